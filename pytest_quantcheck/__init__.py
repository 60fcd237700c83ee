"""Quantized neural networks, tested on the host and on the microcontroller.

Importing this package imports nothing else: the pytest plug-in must cost nothing while unused. The names
that a test suite needs come in when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.version import __version__ as __version__

if TYPE_CHECKING:
    from pytest_quantcheck.data.calibration import Calibration as Calibration
    from pytest_quantcheck.data.dataset import Dataset as Dataset
    from pytest_quantcheck.data.dataset import Raw as Raw
    from pytest_quantcheck.data.dataset import Samples as Samples
    from pytest_quantcheck.quantizers.config import QuantConfig as QuantConfig

_HOMES = {
    "Calibration": "data.calibration",
    "Dataset": "data.dataset",
    "QuantConfig": "quantizers.config",
    "Raw": "data.dataset",
    "Samples": "data.dataset",
}
__all__ = ["Calibration", "Dataset", "QuantConfig", "Raw", "Samples", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
