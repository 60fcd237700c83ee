"""ESP-DL's quantization toolkit by its own names: scripts for it run with other import lines."""

from __future__ import annotations

from pytest_quantcheck.workflows.espdl.calibrator import Calibrator
from pytest_quantcheck.workflows.espdl.evaluator import Evaluator
from pytest_quantcheck.workflows.espdl.noise import layer_noise, noise_table
from pytest_quantcheck.workflows.espdl.optimizer import optimize_fp_model

__all__ = ["Calibrator", "Evaluator", "layer_noise", "noise_table", "optimize_fp_model"]
