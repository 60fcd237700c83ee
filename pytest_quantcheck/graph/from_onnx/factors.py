"""What the sums of an ONNX operator need beside its window or axes: factor, bias, symmetric weights.

The factor of a sum is the product of scales in float32, results round half to even: onnxruntime's rule
(``numerics.float_scale``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant, Target, Value
from pytest_quantcheck.graph.model import Requantize
from pytest_quantcheck.numerics.affine import quantize_bias
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.float_scale import float_multiplier

BIAS_TOLERANCE = 1e-5  # relative; the quantizer multiplies the scales in another precision


def product_factor(t: Translation, node: Any, first: Any, second: Any, output: Any) -> Requantize:
    """``first * second / output``, all scales, in float32. Raises ``UnsupportedOperatorError``."""
    try:
        return _rule(float_multiplier(first, second, output))
    except ValueError as error:
        t.fail(node, f"its scales do not fit float32: {error}")


def mean_factor(t: Translation, node: Any, source: Value, target: Target, count: int) -> Requantize:
    """``input scale / (output scale * count)`` in float32.

    Source: onnxruntime ``qlinear_global_average_pool.cc``.
    """
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
    """Weights must be int8 without zero point, with one scale or one for each of ``channels`` along ``axis``.

    Raises ``UnsupportedOperatorError``.
    """
    if weights.data.dtype != np.int8:
        t.fail(node, f"weights are {weights.data.dtype.name}; int8 and uint8 are supported")
    if weights.zero_point.any():
        t.fail(node, "its weights have a zero point; symmetric int8 weights are supported")
    if len(weights.scale) not in (1, channels):
        t.fail(node, f"{len(weights.scale)} weight scales for {channels} output channels")
    if len(weights.scale) > 1 and weights.axis % weights.data.ndim != axis:
        t.fail(node, f"its weights are quantized along axis {weights.axis}; it must be {axis}")


def add_bias(
    t: Translation, node: Any, position: int, input_scale: np.float32, weights: Constant, channels: int
) -> list[int]:
    """The index of the int32 bias, none where there is none. One in float is rounded as onnxruntime does."""
    if len(node.input) <= position or not node.input[position]:
        return []
    name = node.input[position]
    plain = name in t.constants and t.constants[name].dtype == np.float32
    shape = t.constants[name].shape if plain else t.weights(node, position).data.shape
    if shape[-1:] not in ((), (1,), (channels,)) or math.prod(shape[:-1]) != 1:
        t.fail(node, f"its bias has the shape {shape}; one value, or {channels} in one row, are supported")
    if plain:
        real = np.broadcast_to(t.constants[name].reshape(-1), channels)
        integers, scales = quantize_bias(real, input_scale, weights.scale, rounding="half_even")
        return [t.add(name, (channels,), "int32", scales, 0, integers.astype(np.int32))]
    bias = t.weights(node, position)
    expected = np.float64(input_scale) * weights.scale.astype(np.float64)
    data = bias.data.reshape(-1)
    if data.dtype != np.int32 or bias.zero_point.any():
        t.fail(node, f"its bias is {data.dtype.name}; int32 with zero point 0 is supported")
    if not np.allclose(bias.scale, expected, rtol=BIAS_TOLERANCE, atol=0):
        t.fail(node, "its bias scale is not the product of input and weight scale")
    data = np.ascontiguousarray(np.broadcast_to(data, channels))
    return [t.add(name, (channels,), "int32", bias.scale, 0, data)]
