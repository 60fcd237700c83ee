"""Hypothesis strategies that users import: numbers, and quantized models. Needs the package hypothesis.

``layers`` and ``small_models`` draw ``.tflite`` files, built in milliseconds without TensorFlow, with the
values that break kernels: extreme zero points, multipliers above and below 1, dilations, strides above the
kernel, single cells, accumulators near the 32-bit limit. With a failing example Hypothesis prints the lines
that build it.
"""

from pytest_quantcheck.errors import MissingExtraError

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise MissingExtraError("hypothesis", "properties", "Drawing numbers and models") from error

from pytest_quantcheck.strategies.case import ModelCase, raw_inputs
from pytest_quantcheck.strategies.layers import LAYER_KINDS, layer_dtypes, layers
from pytest_quantcheck.strategies.models import small_models
from pytest_quantcheck.strategies.network import ACTIVATIONS, DTYPES
from pytest_quantcheck.strategies.values import (
    Multiplier,
    calibration_ranges,
    exponents,
    multipliers,
    quant_params,
    quantized_arrays,
    real_arrays,
)

__all__ = [
    "ACTIVATIONS",
    "DTYPES",
    "LAYER_KINDS",
    "ModelCase",
    "Multiplier",
    "calibration_ranges",
    "exponents",
    "layer_dtypes",
    "layers",
    "multipliers",
    "quant_params",
    "quantized_arrays",
    "raw_inputs",
    "real_arrays",
    "small_models",
]
