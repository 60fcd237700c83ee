"""Hypothesis strategies that users import. Needs the package hypothesis."""

from pytest_quantcheck.strategies.models import (
    ACTIVATIONS,
    LAYER_KINDS,
    ModelCase,
    layers,
    raw_inputs,
    small_models,
)

__all__ = ["ACTIVATIONS", "LAYER_KINDS", "ModelCase", "layers", "raw_inputs", "small_models"]
