"""Quantized neural networks, tested on the host and on the microcontroller.

These are the public names. Importing the package imports none of what they need: the pytest plug-in must cost
nothing while unused, so each comes in when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_quantcheck.version import __version__ as __version__

if TYPE_CHECKING:
    from pytest_quantcheck.data.calibration import Calibration as Calibration
    from pytest_quantcheck.data.dataset import Dataset as Dataset
    from pytest_quantcheck.data.dataset import Raw as Raw
    from pytest_quantcheck.data.dataset import Samples as Samples
    from pytest_quantcheck.data.tasks.task import Task as Task
    from pytest_quantcheck.errors import ImageError as ImageError
    from pytest_quantcheck.errors import MissingExtraError as MissingExtraError
    from pytest_quantcheck.errors import ModelError as ModelError
    from pytest_quantcheck.errors import QuantcheckError as QuantcheckError
    from pytest_quantcheck.errors import QuantizationError as QuantizationError
    from pytest_quantcheck.errors import RigFault as RigFault
    from pytest_quantcheck.errors import UnsupportedOperatorError as UnsupportedOperatorError
    from pytest_quantcheck.errors import UsageError as UsageError
    from pytest_quantcheck.finding import Finding as Finding
    from pytest_quantcheck.models.float_model import FloatModel as FloatModel
    from pytest_quantcheck.models.load import load as load
    from pytest_quantcheck.quantizers.config import QuantConfig as QuantConfig
    from pytest_quantcheck.quantizers.quantize import quantize as quantize
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel as QuantizedModel
    from pytest_quantcheck.runners.board import BoardRunner as BoardRunner
    from pytest_quantcheck.runners.device import Device as Device
    from pytest_quantcheck.runners.registry import host_runner as host_runner
    from pytest_quantcheck.runners.run import Run as Run
    from pytest_quantcheck.runners.run import Runner as Runner
    from pytest_quantcheck.verdict.gate import Gate as Gate
    from pytest_quantcheck.verdict.metrics.metric import Metric as Metric
    from pytest_quantcheck.verdict.row import Row as Row
    from pytest_quantcheck.verdict.score import Score as Score
    from pytest_quantcheck.verdict.verdict import Verdict as Verdict

_HOMES = {
    "BoardRunner": "runners.board",
    "Calibration": "data.calibration",
    "Dataset": "data.dataset",
    "Device": "runners.device",
    "Finding": "finding",
    "FloatModel": "models.float_model",
    "Gate": "verdict.gate",
    "ImageError": "errors",
    "Metric": "verdict.metrics.metric",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "QuantConfig": "quantizers.config",
    "QuantcheckError": "errors",
    "QuantizationError": "errors",
    "QuantizedModel": "quantizers.quantized_model",
    "Raw": "data.dataset",
    "RigFault": "errors",
    "Row": "verdict.row",
    "Run": "runners.run",
    "Runner": "runners.run",
    "Samples": "data.dataset",
    "Score": "verdict.score",
    "Task": "data.tasks.task",
    "UnsupportedOperatorError": "errors",
    "UsageError": "errors",
    "Verdict": "verdict.verdict",
    "host_runner": "runners.registry",
    "load": "models.load",
    "quantize": "quantizers.quantize",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
