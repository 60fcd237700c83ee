"""Functions of one value: tables, computed in float64 and rounded once to float32 before QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import quantized, real_values, requantized
from pytest_quantcheck.graph.model import Table

_Function = Callable[[npt.NDArray[np.float64], Attributes], npt.NDArray[np.float64]]

_COPIES = ("Identity", "Dropout")

_NAMES = {"Sigmoid": "LOGISTIC", "LeakyRelu": "LEAKY_RELU", "HardSwish": "HARD_SWISH", "Identity": "QUANTIZE"}

FUNCTIONS: dict[str, _Function] = {
    "Identity": lambda x, _: x,
    "Dropout": lambda x, _: x,
    "Relu": lambda x, _: np.maximum(x, 0),
    "Clip": lambda x, _: x,
    "Sigmoid": lambda x, _: 1 / (1 + np.exp(-x)),
    "Tanh": lambda x, _: np.tanh(x),
    "LeakyRelu": lambda x, a: np.where(x < 0, x * np.float64(np.float32(a.get("alpha", 0.01))), x),
    "HardSwish": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "HardSigmoid": lambda x, a: np.clip(
        x * np.float64(np.float32(a.get("alpha", 0.2))) + np.float64(np.float32(a.get("beta", 0.5))), 0, 1
    ),
    "Elu": lambda x, a: np.where(x < 0, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x),
    "Softplus": lambda x, _: np.logaddexp(x, 0),
    "Abs": lambda x, _: np.abs(x),
    "Neg": lambda x, _: -x,
    "Exp": lambda x, _: np.exp(x),
}


def function(t: Translation, node: Any, given: Attributes) -> None:
    """A function of one value: all 256 results."""
    value = t.activation(node, 0)
    kind = kind_of(node)
    training = t.constant_input(node, 2) if kind == "Dropout" else None
    if training is not None and training.any():
        t.fail(node, "training_mode=True is not supported; export the model for inference")
    low, high = t.clip_bounds(node) if kind == "Clip" else (-np.inf, np.inf)
    x = real_values(value).astype(np.float64)
    with np.errstate(over="ignore"):
        results = np.clip(FUNCTIONS[kind](x, given), low, high).astype(np.float32)
    target = t.target(node)
    integers = requantized(value, target) if kind in _COPIES else quantized(results, target)
    table = Table(np.clip(integers, target.act_min, target.act_max))
    name = _NAMES.get(kind, kind.upper())
    t.emit(node, name, (value.index,), value.shape, target, table, value.channels_last)
