"""Functions of one value.

Of int8 tables, computed in float64 and rounded once to float32 before QuantizeLinear; of int16 what has a
kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Target, Value, exponent_of, quantized, real_values
from pytest_quantcheck.graph.model import Extremum, Mul, Rescale, SigmoidInt16, Table
from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.power_of_two import choose_exponent, dequantize, quantize

_Function = Callable[[npt.NDArray[np.float64], Attributes], npt.NDArray[np.float64]]

_COPIES = ("Identity", "Dropout")

_NAMES = {"Sigmoid": "LOGISTIC", "LeakyRelu": "LEAKY_RELU", "HardSwish": "HARD_SWISH", "Identity": "QUANTIZE"}

_SELU = (1.67326319217681884765625, 1.05070102214813232421875)  # alpha and gamma, ONNX ``Selu``


def _gelu(x: npt.NDArray[np.float64], *, tanh: bool) -> npt.NDArray[np.float64]:
    """Source: ONNX ``Gelu``."""
    if tanh:
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * np.vectorize(math.erfc)(-x * math.sqrt(0.5)))


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
    "Gelu": lambda x, a: _gelu(x, tanh=a.get("approximate", "none") == "tanh"),
    "Erf": lambda x, _: np.vectorize(math.erf)(x),
    "Sqrt": lambda x, _: np.sqrt(np.maximum(x, 0)),
    "Log": lambda x, _: np.log(np.maximum(x, 0)),
    "Reciprocal": lambda x, _: 1 / np.abs(x) * np.where(x < 0, -1, 1),
    "Mish": lambda x, _: x * np.tanh(np.logaddexp(x, 0)),
    "Softsign": lambda x, _: x / (1 + np.abs(x)),
    "Selu": lambda x, a: (
        a.get("gamma", _SELU[1]) * np.where(x < 0, a.get("alpha", _SELU[0]) * np.expm1(np.minimum(x, 0)), x)
    ),
    "Celu": lambda x, a: np.where(
        x < 0, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0) / a.get("alpha", 1.0)), x
    ),
    "ThresholdedRelu": lambda x, a: np.where(x > a.get("alpha", 1.0), x, 0),
}


def function(t: Translation, node: Any, given: Attributes) -> None:
    """A function of one value: all 256 results."""
    value = t.activation(node, 0)
    kind = kind_of(node)
    training = t.constant_input(node, 2) if kind == "Dropout" else None
    if training is not None and training.any():
        t.fail(node, "training_mode=True is not supported; export the model for inference")
    low, high = t.clip_bounds(node) if kind == "Clip" else (-np.inf, np.inf)
    if t.arithmetic.dtype == "int16":
        _function_int16(t, node, value, (low, high), given)
        return
    x = real_values(value).astype(np.float64)
    with np.errstate(all="ignore"):
        results = np.clip(FUNCTIONS[kind](x, given), low, high).astype(np.float32)
    target = t.target(node)
    reals = real_values(value) if kind in _COPIES else results
    table = Table(quantized(reals, target, t.arithmetic.rounding))
    name = _NAMES.get(kind, kind.upper())
    t.emit(node, name, (value.index,), value.shape, target, table, value.channels_last)


def _function_int16(
    t: Translation, node: Any, value: Value, bounds: tuple[float, float], given: Attributes
) -> None:
    kind, target = kind_of(node), t.target(node)
    if kind in ("Relu", "Clip", *_COPIES):
        low, high = (0.0, np.inf) if kind == "Relu" else bounds
        t.rescale(node, value, t.clamped(target, low, high))
    elif kind == "LeakyRelu":
        _leaky_relu_int16(t, node, value, target, given)
    elif kind in ("Sigmoid", "Tanh"):
        scale = replace(value, scale=np.float32(2.0**-15))
        params = _sigmoid_steps(t, node, value)
        t.rescale(node, t.between(_NAMES.get(kind, kind.upper()), (value.index,), scale, params), target)
    else:
        t.fail(node, "int16 is not supported; supported: Relu, Clip, LeakyRelu, Sigmoid, Tanh")


def _leaky_relu_int16(t: Translation, node: Any, value: Value, target: Target, given: Attributes) -> None:
    """The larger of a value and its product with a slope up to 1, the smaller with one above 1."""
    slope = np.float32(given.get("alpha", 0.01))
    exponent = int(choose_exponent(abs(float(slope)), np.int16))
    data = quantize(slope, exponent, np.int16).reshape(1)
    if dequantize(data, exponent)[0] != slope:
        t.fail(node, f"alpha={slope} is no int16 times a power of two")
    scale = np.float32(2.0**exponent)
    index = t.add(f"{node.output[0]}_alpha", (1,), "int16", scale, 0, data)
    rule = t.shift(np.float64(value.scale) * np.float64(scale), target.scale)
    low, high = integer_range("int16")
    wanted = replace(value, scale=target.scale)
    sloped = t.between("MUL", (value.index, index), wanted, Mul(0, 0, 0, rule, low, high))
    kept = t.rescaled(value, target)
    kind = "MAXIMUM" if slope <= 1 else "MINIMUM"
    if target.whole:
        inputs = (kept.index, sloped.index)
        t.emit(node, kind, inputs, value.shape, target, Extremum(), value.channels_last)
        return
    chosen = t.between(kind, (kept.index, sloped.index), wanted, Extremum())
    clamp = Rescale(0, 0, None, target.act_min, target.act_max)
    t.emit(node, "QUANTIZE", (chosen.index,), value.shape, target, clamp, value.channels_last)


def _sigmoid_steps(t: Translation, node: Any, value: Value) -> SigmoidInt16:
    """To the steps of TFLite's table, 1 / (3 * 4096); half up."""
    shift = -(int(exponent_of(value.scale)) + 12)
    if shift <= 0:
        if 3 << -shift > 32767:
            t.fail(node, f"its input scale {value.scale} is too large; less than 2.67 is allowed")
        return SigmoidInt16(3 << -shift, 0)
    if shift > 31:
        t.fail(node, f"its input scale {value.scale} is too small; 2**-43 is allowed")
    return SigmoidInt16(3, shift)
