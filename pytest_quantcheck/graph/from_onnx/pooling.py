"""Many elements become one: pools over windows, means over axes. An average is a sum with a factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.axes import axis_from_front, listed
from pytest_quantcheck.graph.from_onnx.factors import after_zero_point, mean_factor
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Value, check_size, nhwc_order
from pytest_quantcheck.graph.from_onnx.windows import as_image, emit_image, sliding_window
from pytest_quantcheck.graph.model import Convolution, Mean, Pool, ReduceMax
from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.limits import INT16_SUM_LIMIT


def max_pool(t: Translation, node: Any, given: Attributes) -> None:
    """MaxPool: MAX_POOL_2D, and a change of scale or clamp behind it where the output asks for one."""
    source, given = as_image(t, node, given)
    target = t.target(node)
    if tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "dilations other than 1 are not supported")
    window, shape = sliding_window(t, node, given, source.shape, tuple(given["kernel_shape"]))
    full = (source.shape[0], *shape, source.shape[3])
    pool = Pool(window, *integer_range(target.dtype))
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        emit_image(t, node, "MAX_POOL_2D", (source.index,), full, target, pool)
        return
    pooled = t.between("MAX_POOL_2D", (source.index,), replace(source, shape=full), pool)
    emit_image(t, node, "QUANTIZE", (pooled.index,), full, target, t.change(pooled, target))


def average_pool(t: Translation, node: Any, given: Attributes) -> None:
    """AveragePool: a depthwise convolution with ones. Cells of the padding count where the model says so."""
    source, given = as_image(t, node, given)
    target = t.target(node)
    kernel = tuple(given["kernel_shape"])
    window, shape = sliding_window(t, node, given, source.shape, kernel)
    inside = window.pad_top == window.pad_left == 0 and all(
        (shape[i] - 1) * stride + (kernel[i] - 1) * dilation < source.shape[i + 1]
        for i, (stride, dilation) in enumerate(
            ((window.stride_h, window.dilation_h), (window.stride_w, window.dilation_w))
        )
    )
    if not inside and not given.get("count_include_pad", 0):
        t.fail(node, "windows over the border with count_include_pad=0 are not supported; pad before it")
    if target.dtype == "int16" and math.prod(kernel) >= INT16_SUM_LIMIT:
        t.fail(node, f"{math.prod(kernel)} int16 values together; fewer than {INT16_SUM_LIMIT} are allowed")
    channels = source.shape[3]
    name, sizes = f"{node.output[0]}_ones", (1, *kernel, channels)
    check_size(name, sizes)  # before there is such an array
    weights = t.add(name, sizes, "int8", np.float32(1), 0, np.ones(sizes, np.int8), 3)
    params = Convolution(
        window,
        source.zero_point,
        target.zero_point,
        after_zero_point(mean_factor(t, node, source, target, math.prod(kernel)), target),
        target.act_min,
        target.act_max,
        depth_multiplier=1,
    )
    full = (source.shape[0], *shape, channels)
    emit_image(t, node, "DEPTHWISE_CONV_2D", (source.index, weights), full, target, params)


def global_average_pool(t: Translation, node: Any, _: Attributes) -> None:
    """GlobalAveragePool: MEAN over the spatial axes."""
    source = t.nhwc(t.activation(node, 0))
    if not source.channels_last:
        t.fail(node, f"{len(source.shape) - 2} spatial axes; 1 and 2 are supported")
    _mean(t, node, source, tuple(range(1, len(source.shape) - 1)), True)


def reduce_mean(t: Translation, node: Any, given: Attributes) -> None:
    """ReduceMean: MEAN, in the model's layout where its axes ask for it."""
    _reduce(t, node, given, _mean)


def reduce_max(t: Translation, node: Any, given: Attributes) -> None:
    """ReduceMax: its input is rounded to the output's scale first, which changes no result."""
    _reduce(t, node, given, _max)


_Reduction = Callable[[Translation, Any, Value, tuple[int, ...], bool], None]


def _reduce(t: Translation, node: Any, given: Attributes, reduction: _Reduction) -> None:
    source = t.activation(node, 0)
    rank = len(source.shape)
    axes = listed(t, node, given, "axes", [])
    if not axes and given.get("noop_with_empty_axes", 0):
        t.rescale(node, source, t.target(node))
        return
    chosen = sorted({axis_from_front(t, node, a, rank) for a in axes or range(rank)})
    keep = bool(given.get("keepdims", 1))
    if source.channels_last and (keep or chosen == list(range(2, rank))):
        chosen = sorted(nhwc_order(rank).index(a) for a in chosen)
    else:
        source = t.model_layout(source)
    reduction(t, node, source, tuple(chosen), keep)


def _max(t: Translation, node: Any, source: Value, axes: tuple[int, ...], keep: bool) -> None:
    target = t.target(node)
    if not target.whole or t.arithmetic.dtype != "int8":
        t.fail(node, "a clamp behind it, or int16, is not supported")
    source = t.rescaled(source, target)
    moving = [axis for axis in axes if source.shape[axis] > 1]
    kept = [axis for axis in range(len(source.shape)) if axis not in axes]
    shape = [1 if a in axes else n for a, n in enumerate(source.shape) if keep or a not in axes]
    last = source.channels_last and keep
    if moving and any(moving[0] < axis < moving[-1] and source.shape[axis] > 1 for axis in kept):
        source = replace(t.permuted(source, [*kept, *axes]), channels_last=False)
        moving = list(range(len(kept), len(source.shape)))
    t.emit(node, "REDUCE_MAX", (source.index,), shape, target, ReduceMax(tuple(moving)), last)


def _mean(t: Translation, node: Any, source: Value, axes: tuple[int, ...], keep: bool) -> None:
    target = t.target(node)
    if not target.whole:
        t.fail(node, "a clamp behind it is not supported")
    count = math.prod(source.shape[a] for a in axes)
    shape = [1 if a in axes else n for a, n in enumerate(source.shape) if keep or a not in axes]
    factor = mean_factor(t, node, source, target, count)
    params = Mean(axes, source.zero_point, target.zero_point, factor)
    t.emit(node, "MEAN", (source.index,), shape, target, params, source.channels_last and keep)
