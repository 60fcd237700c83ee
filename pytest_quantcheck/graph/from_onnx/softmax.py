"""Softmax, which is TFLM's: of int8 at most 1/256 away from onnxruntime's."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.axes import axis_from_front
from pytest_quantcheck.graph.from_onnx.movement import arrive
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Value
from pytest_quantcheck.graph.model import Requantize, Softmax, SoftmaxInt16
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.limits import SOFTMAX_INTEGER_BITS

SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = np.float32(1 / 256), -128


def softmax(t: Translation, node: Any, given: Attributes) -> None:
    """Over any axis: it goes behind the others and back, by name only where no element moves."""
    value = t.activation(node, 0)
    rank = len(value.shape)
    axis = axis_from_front(t, node, given.get("axis", -1), rank)
    if value.channels_last and axis == 1:
        axis = rank - 1
    else:
        value = t.model_layout(value)
    target = t.target(node)
    params = _softmax(t, node, value)
    made_scale, made_zero = (
        (np.float32(2.0**-15), 0) if target.dtype == "int16" else (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)
    )
    order = [*(a for a in range(rank) if a != axis), axis]
    moved = value if axis == rank - 1 else t.permuted(value, order)
    same = target.whole and (target.scale, target.zero_point) == (made_scale, made_zero)
    if same and moved is value:
        t.emit(node, "SOFTMAX", (value.index,), value.shape, target, params, value.channels_last)
        return
    made = replace(moved, scale=made_scale, zero_point=made_zero)
    made = t.between("SOFTMAX", (moved.index,), made, params)
    if moved is value:
        t.rescale(node, made, target)
    else:
        arrive(t, node, t.permuted(made, [order.index(a) for a in range(rank)]), target)


def _softmax(t: Translation, node: Any, value: Value) -> Softmax | SoftmaxInt16:
    """The kernel's numbers for the input's scale. Source: TFLM ``softmax_common.cc``."""
    if t.arithmetic.dtype == "int16":
        steps = float(value.scale) / (10.0 / 65535.0)  # of the exponential's table
        return SoftmaxInt16(Requantize(*quantize_multiplier(np.atleast_1d(steps))))
    real = float(value.scale) * (1 << (31 - SOFTMAX_INTEGER_BITS))
    if not real > 1:
        t.fail(node, f"its input scale {value.scale:g} is too small; more than 2**-26 is allowed")
    multiplier, shift = quantize_multiplier(min(real, 2.0**31 - 1))
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS) / (1 << int(shift))
    return Softmax(int(multiplier), int(shift), -math.floor(radius))
