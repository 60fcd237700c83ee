"""Sliding windows over NHWC: padding and sizes, of convolutions, transposed ones and pools."""

from __future__ import annotations

import math

import tflite

from pytest_quantcheck.graph.from_tflite.operator import TfliteOperator
from pytest_quantcheck.graph.model import Tensor, Window
from pytest_quantcheck.numerics.limits import MAX_TFLM_WINDOW

MAX_PADDED = 1 << 26  # values of an image with its padding


def sliding_window(
    op: TfliteOperator, source: Tensor, target: Tensor, kernel: tuple[int, int], dilation: tuple[int, int]
) -> Window:
    """Check the target's height and width against the window and find the padding before."""
    strides = (op.option("StrideH"), op.option("StrideW"))
    if min(strides) < 1 or min(dilation) < 1 or min(kernel) < 1:
        op.fail(f"kernel {kernel}, stride {strides} and dilation {dilation} must be at least 1")
    same = op.option("Padding") == tflite.Padding.SAME
    if not same and op.option("Padding") != tflite.Padding.VALID:
        op.fail(f"padding {op.option('Padding')} is not known; allowed: SAME, VALID")
    before, padded = [], math.prod(source.shape) // (source.shape[1] * source.shape[2])
    for axis in (0, 1):
        size, out = source.shape[axis + 1], target.shape[axis + 1]
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        expected = -(-size // strides[axis]) if same else (size - reach) // strides[axis] + 1
        if out != expected:
            op.fail(f"output size {out} along axis {axis + 1}, but input, kernel and stride give {expected}")
        total = max((out - 1) * strides[axis] + reach - size, 0)
        step, place = strides[axis], total // 2
        if max(step, dilation[axis], place) > MAX_TFLM_WINDOW:
            op.fail(
                f"stride {step}, dilation {dilation[axis]} and padding {place} along axis {axis + 1}; "
                f"allowed: at most {MAX_TFLM_WINDOW}, since TFLM holds them in 16 bits with a sign"
            )
        before.append(place)
        padded *= size + total
    if padded > MAX_PADDED:
        op.fail(f"its padded input has {padded} values; {MAX_PADDED} are allowed")
    return Window(*kernel, *strides, *dilation, *before)
