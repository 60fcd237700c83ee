"""Silicon Labs' MLTK: archives and scripts, quantized with the settings that they hold."""

from __future__ import annotations

from pytest_quantcheck.workflows.mltk.quantize import quantize_model

__all__ = ["quantize_model"]
