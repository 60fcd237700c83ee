"""What the sums of an ONNX operator need beside its window or axes: factor, bias, symmetric weights.

The factor of a sum is the product of scales in float32, results round half to even: onnxruntime's rule
(``numerics.float_scale``); or a power of two that the rule of a chip rounds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant, Target, Value, exponent_of
from pytest_quantcheck.graph.model import Requantize
from pytest_quantcheck.numerics.affine import quantize_bias
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.float_scale import float_multiplier
from pytest_quantcheck.numerics.limits import MAX_LONG_BIAS, MAX_SHIFT, MIN_RATIO_SHIFT, MIN_SHIFT

BIAS_TOLERANCE = 1e-5  # relative; the quantizer multiplies the scales in another precision


def product_factor(t: Translation, node: Any, first: Any, second: Any, output: Any) -> Requantize:
    """``first * second / output``, all scales, in float32. Raises ``UnsupportedOperatorError``."""
    if t.arithmetic.powers_of_two:
        rule = t.shift(np.float64(first) * np.asarray(second, np.float64), output)
        if np.any((rule.shift < MIN_RATIO_SHIFT) | (rule.shift > MAX_SHIFT)):
            t.fail(node, f"shifts {rule.shift}; from {MIN_RATIO_SHIFT} to {MAX_SHIFT} are supported")
        return rule
    try:
        return _rule(float_multiplier(first, second, output))
    except ValueError as error:
        t.fail(node, f"its scales do not fit float32: {error}")


def mean_factor(t: Translation, node: Any, source: Value, target: Target, count: int) -> Requantize:
    """``input scale / (output scale * count)`` in float32.

    Source: onnxruntime ``qlinear_global_average_pool.cc``.
    """
    if t.arithmetic.powers_of_two:
        rule = t.shift(source.scale, target.scale, count)
        if np.any((rule.shift < MIN_SHIFT) | (rule.shift > MAX_SHIFT)):
            t.fail(node, f"shifts {rule.shift}; from {MIN_SHIFT} to {MAX_SHIFT} are supported")
        return rule
    with np.errstate(all="ignore"):
        factor = source.scale / np.float32(target.scale * np.float32(count))
    if not np.isfinite(factor) or factor <= 0:
        t.fail(node, f"its scales {source.scale} and {target.scale} do not fit float32")
    return _rule(factor)


def after_zero_point(rule: Requantize, target: Target) -> Requantize:
    """The rule of kernels that add the zero point before they round: QLinearAdd, Mul, AveragePool."""
    return replace(rule, rounding="float_odd") if target.zero_point % 2 else rule


def _rule(factor: npt.ArrayLike) -> Requantize:
    """A float32 factor exactly, to be applied in float32: mantissa and exponent."""
    multiplier, shift = quantize_multiplier(np.atleast_1d(np.asarray(factor, np.float64)))
    return Requantize(multiplier, shift, "float")


def check_symmetric(t: Translation, node: Any, weights: Constant, channels: int, axis: int) -> None:
    """Weights must have the activations' type, no zero point, one scale or ``channels`` along ``axis``.

    Raises ``UnsupportedOperatorError``.
    """
    if weights.data.dtype.name != t.arithmetic.dtype:
        allowed = t.arithmetic.dtype if t.arithmetic.powers_of_two else "int8 and uint8"
        t.fail(node, f"weights are {weights.data.dtype.name}; {allowed} are supported")
    if weights.zero_point.any():
        t.fail(node, "its weights have a zero point; symmetric weights are supported")
    if len(weights.scale) not in (1, channels):
        t.fail(node, f"{len(weights.scale)} weight scales for {channels} output channels")
    if len(weights.scale) > 1 and weights.axis % weights.data.ndim != axis:
        t.fail(node, f"its weights are quantized along axis {weights.axis}; it must be {axis}")


def add_bias(
    t: Translation, node: Any, position: int, input_scale: np.float32, weights: Constant, channels: int
) -> list[int]:
    """The index of the bias, none where there is none. One in float is rounded as onnxruntime does.

    It is int32; int64, and of any scale that sums have, where scales are powers of two.
    """
    if len(node.input) <= position or not node.input[position]:
        return []
    name = node.input[position]
    plain = name in t.constants and t.constants[name].dtype == np.float32
    shape = t.constants[name].shape if plain else t.weights(node, position).data.shape
    if shape[-1:] not in ((), (1,), (channels,)) or math.prod(shape[:-1]) != 1:
        t.fail(node, f"its bias has the shape {shape}; one value, or {channels} in one row, are supported")
    if plain and t.arithmetic.powers_of_two:
        t.fail(node, "its bias is float32; int32 is supported where scales are powers of two")
    if plain:
        real = np.broadcast_to(t.constants[name].reshape(-1), channels)
        integers, scales = quantize_bias(real, input_scale, weights.scale, rounding="half_even")
        return [t.add(name, (channels,), "int32", scales, 0, integers.astype(np.int32))]
    bias = t.weights(node, position)
    expected = np.float64(input_scale) * weights.scale.astype(np.float64)
    data = bias.data.reshape(-1)
    if data.dtype != np.int32 or bias.zero_point.any():
        t.fail(node, f"its bias is {data.dtype.name}; int32 with zero point 0 is supported")
    if t.arithmetic.powers_of_two:
        return [_shifted_bias(t, node, name, bias, expected, channels)]
    if not np.allclose(bias.scale, expected, rtol=BIAS_TOLERANCE, atol=0):
        t.fail(node, "its bias scale is not the product of input and weight scale")
    data = np.ascontiguousarray(np.broadcast_to(data, channels))
    return [t.add(name, (channels,), "int32", bias.scale, 0, data)]


def _shifted_bias(
    t: Translation, node: Any, name: str, bias: Constant, scale: npt.NDArray[np.float64], channels: int
) -> int:
    """A bias with exponents of its own as part of the sums: shifted to theirs, never to the right."""
    left = np.broadcast_to(exponent_of(bias.scale) - exponent_of(scale), channels)
    most = MAX_LONG_BIAS if t.arithmetic.dtype == "int16" else 1 << 31
    values = np.broadcast_to(bias.data.reshape(-1), channels).astype(np.int64)
    if left.min() < 0 or left.max() > 60 or np.any(np.abs(values) > most - 1 >> left):
        t.fail(node, f"its bias, shifted left by {left.min()} to {left.max()}, does not fit its sums")
    dtype = "int64" if t.arithmetic.dtype == "int16" else "int32"
    return t.add(name, (channels,), dtype, scale, 0, np.ascontiguousarray((values << left).astype(dtype)))
