"""Hypothesis strategies that users import: numbers, and quantized models. Needs the package hypothesis."""

from pytest_quantcheck.errors import MissingExtraError

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise MissingExtraError("hypothesis", "properties", "Drawing numbers and models") from error

from pytest_quantcheck.strategies.models import (
    ACTIVATIONS,
    DTYPES,
    LAYER_KINDS,
    ModelCase,
    layer_dtypes,
    layers,
    raw_inputs,
    small_models,
)
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
