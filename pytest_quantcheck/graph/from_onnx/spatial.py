"""ONNX operators over images, NHWC in the graph: convolutions, pools, Resize, and their windows.

With one spatial axis the image has one row. An average is a convolution with ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph.from_onnx.factors import (
    add_bias,
    after_zero_point,
    check_symmetric,
    mean_factor,
    product_factor,
)
from pytest_quantcheck.graph.from_onnx.moves import axis_from_front, place
from pytest_quantcheck.graph.from_onnx.read import (
    Constant,
    Target,
    Translation,
    Value,
    check_size,
    requantized,
)
from pytest_quantcheck.graph.model import (
    Convolution,
    Params,
    Pool,
    Reshape,
    Resize,
    Table,
    TransposedConvolution,
    Window,
)

MAX_WINDOW = 65_535  # kernel, stride, dilation and padding are 16 bits wide on a board
MAX_RESIZED = 32_768  # sizes and positions are 16 bits wide on a board, with a sign
HALF = np.float32(0.5)


# --- convolutions ----------------------------------------------------------------------------


def conv(t: Translation, node: Any, given: Attributes) -> None:
    """Conv: CONV_2D, or DEPTHWISE_CONV_2D for several groups of one input channel each."""
    source, given = _image(t, node, given)
    weights, cells = _kernel(t, node, given)
    outputs, depth, height, width = cells.shape
    groups, channels = int(given.get("group", 1)), source.shape[3]
    if groups * depth != channels or outputs % groups:
        t.fail(node, f"weights {weights.data.shape} in {groups} groups do not fit {channels} input channels")
    target = t.target(node)
    window, shape = _window(t, node, given, source.shape, (height, width))
    check_symmetric(t, node, weights, outputs, 0)
    depthwise = depth == 1 and groups > 1
    layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    data = np.ascontiguousarray(cells.transpose(layout))
    axis = 3 if depthwise else 0
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data, axis),
        *add_bias(t, node, 2, source.scale, weights, outputs),
    ]
    params = Convolution(
        window,
        source.zero_point,
        target.zero_point,
        product_factor(t, node, source.scale, weights.scale, target.scale),
        target.act_min,
        target.act_max,
        depth_multiplier=outputs // groups if depthwise else 0,
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    _emit_image(t, node, kind, inputs, (source.shape[0], *shape, outputs), target, params)


def conv_transpose(t: Translation, node: Any, given: Attributes) -> None:
    """ConvTranspose: TRANSPOSE_CONV.

    Its weights are (inputs, outputs, height, width); ``pads`` are those of the convolution it transposes.
    Source: ONNX ``ConvTranspose``.
    """
    source, given = _image(t, node, given)
    weights, cells = _kernel(t, node, given)
    depth, outputs, height, width = cells.shape
    if given.get("group", 1) != 1 or tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "groups and dilations other than 1 are not supported")
    if given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        t.fail(node, f"auto_pad {given['auto_pad']!r} is not supported; export it with pads")
    if depth != source.shape[3]:
        t.fail(node, f"weights {weights.data.shape} do not fit {source.shape[3]} input channels")
    check_symmetric(t, node, weights, outputs, 1)
    window, shape = _transposed_window(t, node, given, source.shape, (height, width))
    target = t.target(node)
    data = np.ascontiguousarray(cells.transpose(1, 2, 3, 0))
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data, 0),
        *add_bias(t, node, 2, source.scale, weights, outputs),
    ]
    factor = product_factor(t, node, source.scale, weights.scale, target.scale)
    bounds = target.act_min, target.act_max
    params = TransposedConvolution(window, source.zero_point, target.zero_point, factor, *bounds)
    _emit_image(t, node, "TRANSPOSE_CONV", inputs, (source.shape[0], *shape, outputs), target, params)


def _kernel(t: Translation, node: Any, given: Attributes) -> tuple[Constant, npt.NDArray[Any]]:
    """The weights, and their integers with two spatial axes."""
    weights = t.weights(node, 1)
    data = weights.data
    cells = data.reshape(*data.shape[:2], 1, data.shape[2]) if data.ndim == 3 else data
    if cells.ndim != 4 or data.ndim != len(t.activation(node, 0).shape):
        t.fail(node, f"weights {data.shape} do not fit an input of {t.activation(node, 0).shape}")
    if tuple(given.get("kernel_shape", cells.shape[2:])) != cells.shape[2:]:
        t.fail(node, f"kernel_shape {given['kernel_shape']} is not that of its weights {data.shape}")
    return weights, cells


# --- pools -----------------------------------------------------------------------------------


def max_pool(t: Translation, node: Any, given: Attributes) -> None:
    """MaxPool: MAX_POOL_2D, and a change of scale or clamp behind it where the output asks for one."""
    source, given = _image(t, node, given)
    target = t.target(node)
    if tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "dilations other than 1 are not supported")
    window, shape = _window(t, node, given, source.shape, tuple(given["kernel_shape"]))
    full = (source.shape[0], *shape, source.shape[3])
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        _emit_image(t, node, "MAX_POOL_2D", (source.index,), full, target, Pool(window, -128, 127))
        return
    pooled = t.between("MAX_POOL_2D", (source.index,), replace(source, shape=full), Pool(window, -128, 127))
    table = Table(np.clip(requantized(pooled, target), target.act_min, target.act_max))
    _emit_image(t, node, "QUANTIZE", (pooled.index,), full, target, table)


def average_pool(t: Translation, node: Any, given: Attributes) -> None:
    """AveragePool: a depthwise convolution with ones. Cells of the padding count where the model says so."""
    source, given = _image(t, node, given)
    target = t.target(node)
    kernel = tuple(given["kernel_shape"])
    window, shape = _window(t, node, given, source.shape, kernel)
    inside = window.pad_top == window.pad_left == 0 and all(
        (shape[i] - 1) * stride + (kernel[i] - 1) * dilation < source.shape[i + 1]
        for i, (stride, dilation) in enumerate(
            ((window.stride_h, window.dilation_h), (window.stride_w, window.dilation_w))
        )
    )
    if not inside and not given.get("count_include_pad", 0):
        t.fail(node, "windows over the border with count_include_pad=0 are not supported; pad before it")
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
    _emit_image(t, node, "DEPTHWISE_CONV_2D", (source.index, weights), full, target, params)


# --- images and windows ----------------------------------------------------------------------


_WINDOWED = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


def _image(t: Translation, node: Any, given: Attributes) -> tuple[Value, Attributes]:
    """The input as NHWC, and the attributes for two spatial axes: with one, the image has one row."""
    source = t.nhwc(t.activation(node, 0))
    if not source.channels_last:
        t.fail(node, f"{len(source.shape) - 2} spatial axes; 1 and 2 are supported")
    if len(source.shape) == 4:
        return source, given
    batch, length, channels = source.shape
    lengths = {name: given[name] for name in _WINDOWED if name in given}
    if any(len(each) != 1 for each in lengths.values()) or len(given.get("pads", (0, 0))) != 2:
        t.fail(node, "its kernel, strides, dilations or pads do not fit one spatial axis")
    wide = {**given, **{name: (_WINDOWED[name], *each) for name, each in lengths.items()}}
    if "pads" in given:
        wide["pads"] = (0, given["pads"][0], 0, given["pads"][1])
    return t.insert("RESHAPE", source, (batch, 1, length, channels), Reshape()), wide


def _emit_image(
    t: Translation,
    node: Any,
    kind: str,
    inputs: Sequence[int],
    shape: tuple[int, ...],
    target: Target,
    params: Params,
) -> None:
    """An operator over images; the row is taken away again where the model has one spatial axis."""
    t.emit(node, kind, inputs, shape, target, params, channels_last=True)
    if len(t.activation(node, 0).shape) == 3:
        made = t.values[target.name]
        t.values[target.name] = t.insert("RESHAPE", made, (shape[0], *shape[2:]), Reshape())


def _window(
    t: Translation, node: Any, given: Attributes, shape: Sequence[int], kernel: tuple[int, int]
) -> tuple[Window, tuple[int, int]]:
    """Window and output height and width over an NHWC input."""
    strides = tuple(given.get("strides", (1, 1)))
    dilations = tuple(given.get("dilations", (1, 1)))
    pads = list(given.get("pads", (0, 0, 0, 0)))
    auto = given.get("auto_pad", "NOTSET")
    ceil = bool(given.get("ceil_mode", 0))
    if ceil and kind_of(node) != "MaxPool":
        t.fail(node, "ceil_mode=1 is not supported; export with ceil_mode=0")
    lengths = [len(each) for each in (kernel, strides, dilations, pads)]
    if lengths != [2, 2, 2, 4] or min((*kernel, *strides, *dilations)) < 1:
        t.fail(
            node,
            f"kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}; two spatial axes are "
            "supported",
        )
    if max((*kernel, *strides, *dilations, *pads)) > MAX_WINDOW:
        t.fail(node, f"kernel {kernel}, pads {pads}: no size above {MAX_WINDOW} is supported")
    before, out = [], []
    for axis in (0, 1):
        size, reach = shape[axis + 1], (kernel[axis] - 1) * dilations[axis] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
            first = total // 2 if auto == "SAME_UPPER" else total - total // 2
        elif auto in ("NOTSET", "VALID"):
            first = pads[axis] if auto == "NOTSET" else 0
            total = first + (pads[axis + 2] if auto == "NOTSET" else 0)
        else:
            t.fail(node, f"auto_pad {auto!r} is not known")
        length = (size + total - reach) // strides[axis] + 1
        if (
            ceil
            and (length - 1) * strides[axis] + reach < size + total
            and length * strides[axis] < size + first
        ):
            length += 1  # a last window that reaches beyond the padding, but begins before it
        if first < 0 or total < first or size + total < reach:
            t.fail(node, f"kernel {kernel} and pads {pads} do not fit an input of {tuple(shape)}")
        before.append(first)
        out.append(length)
    window = Window(*kernel, *strides, *dilations, *before)
    return window, (out[0], out[1])


def _transposed_window(
    t: Translation, node: Any, given: Attributes, shape: Sequence[int], kernel: tuple[int, int]
) -> tuple[Window, tuple[int, int]]:
    """Window and output height and width of a ConvTranspose over an NHWC input."""
    strides = tuple(given.get("strides", (1, 1)))
    pads = tuple(given.get("pads", (0, 0, 0, 0)))
    more = tuple(given.get("output_padding", (0, 0)))
    if [len(each) for each in (strides, pads, more)] != [2, 4, 2] or min(*strides, *kernel) < 1:
        t.fail(node, f"kernel {kernel}, strides {strides}, pads {pads}, output_padding {more} do not fit")
    if min(*pads, *more) < 0 or max(*kernel, *strides, *pads, *more) > MAX_WINDOW:
        t.fail(node, f"pads {pads}, output_padding {more}: sizes from 0 to {MAX_WINDOW} are supported")
    out = [
        strides[axis] * (shape[axis + 1] - 1) + kernel[axis] + more[axis] - pads[axis] - pads[axis + 2]
        for axis in (0, 1)
    ]
    if min(out) < 1:
        t.fail(node, f"kernel {kernel} and pads {pads} leave nothing of an input of {tuple(shape)}")
    window = Window(*kernel, strides[0], strides[1], pad_top=pads[0], pad_left=pads[1])
    return window, (out[0], out[1])


# --- Resize ----------------------------------------------------------------------------------


def resize(t: Translation, node: Any, given: Attributes) -> None:
    """Resize: nearest positions as onnxruntime has them, linear ones in steps of 1/1024, rounded once."""
    mode, told = given.get("mode", "nearest"), _not_resized(given)
    if told:
        t.fail(node, f"{told} is not supported")
    source = t.nhwc(t.activation(node, 0))
    rank = len(source.shape)
    if rank not in (3, 4):
        t.fail(node, f"{rank - 2} spatial axes; 1 and 2 are supported")
    image = source if rank == 4 else t.insert("RESHAPE", source, _with_row(source.shape), Reshape())
    shape, scales = _resized(t, node, given, source)
    if shape[0] != source.shape[0] or shape[-1] != source.shape[-1]:
        t.fail(node, f"from {source.shape} to {shape} (channels last); only spatial axes may change")
    full = shape if rank == 4 else _with_row(shape)
    factors = scales if rank == 4 else (1.0, 1.0, *scales[1:])
    if max(*image.shape[1:3], *full[1:3]) >= MAX_RESIZED:
        t.fail(node, f"from {source.shape} to {shape}; heights and widths below {MAX_RESIZED} are supported")
    positions = _nearest if mode == "nearest" else _between
    rows, columns = (positions(given, image.shape[i], full[i], factors[i]) for i in (1, 2))
    target, params = t.target(node), Resize(rows, columns)
    kind = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
    if target.whole and (source.scale, source.zero_point) == (target.scale, target.zero_point):
        _emit_image(t, node, kind, (image.index,), full, target, params)
        return
    if mode != "nearest":
        told = "put a Relu or Clip that follows it before it, or take mode='nearest'"
        t.fail(node, f"with mode='linear' its output must have the scale of its input: {told}")
    made = t.insert(kind, image, full, params)
    table = Table(np.clip(requantized(made, target), target.act_min, target.act_max))
    _emit_image(t, node, "QUANTIZE", (made.index,), full, target, table)


def _with_row(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[0], 1, *shape[1:])


def _not_resized(given: Attributes) -> str | None:
    """The first attribute of a Resize whose value is not supported."""
    allowed = {
        "mode": ("nearest", "linear"),
        _COORDINATE: _COORDINATES,
        "nearest_mode": tuple(_NEAREST),
        "keep_aspect_ratio_policy": ("stretch",),
        "antialias": (0,),
        "exclude_outside": (0,),
    }
    for name, values in allowed.items():
        if given.get(name, values[0]) not in values:
            return f"{name}={given[name]!r}"
    rounding = given.get("mode", "nearest"), given.get("nearest_mode")
    if rounding == ("nearest", "round_prefer_ceil") and given.get(_COORDINATE) == "asymmetric":
        return "asymmetric coordinates with round_prefer_ceil"  # onnxruntime rounds some below a half up
    return None


def _resized(
    t: Translation, node: Any, given: Attributes, source: Value
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape in the graph, and the factor of each axis."""
    rank = len(source.shape)
    axes = [place(source, axis_from_front(t, node, int(a), rank)) for a in given.get("axes", range(rank))]
    shape, factors = list(source.shape), [np.float32(1)] * rank
    scales, sizes = t.constant_input(node, 2), t.constant_input(node, 3)
    asked = sizes if scales is None or not scales.size else scales
    if asked is None or asked.size != len(axes) or not np.all(asked > 0):
        t.fail(node, "its scales or sizes must be constants above 0, one for each axis")
    for axis, value in zip(axes, asked.reshape(-1), strict=True):
        before = shape[axis]
        if asked is sizes:
            shape[axis], factors[axis] = int(value), np.float32(value) / np.float32(before)
        else:
            shape[axis], factors[axis] = int(np.float32(before) * np.float32(value)), np.float32(value)
    return tuple(shape), tuple(float(f) for f in factors)


_COORDINATE = "coordinate_transformation_mode"
_COORDINATES = ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")
_NEAREST: dict[str, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]] = {
    "round_prefer_floor": lambda x: np.ceil(x - HALF),
    "round_prefer_ceil": lambda x: np.floor(x + HALF),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _coordinates(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.float32]:
    """Where the output's cells lie in the input, in float32. Source: ONNX ``Resize``."""
    mode = given.get(_COORDINATE, "half_pixel")
    x, factor = np.arange(out).astype(np.float32), np.float32(scale)
    if factor == 1:
        return x
    if out == 1 and mode in ("pytorch_half_pixel", "align_corners"):
        return np.zeros_like(x)
    if mode == "align_corners":
        return x * np.float32(size - 1) / np.float32(out - 1)
    return x / factor if mode == "asymmetric" else (x + HALF) / factor - HALF


def _nearest(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.int64]:
    at = _NEAREST[given.get("nearest_mode", "round_prefer_floor")](_coordinates(given, size, out, scale))
    lower = np.clip(at, 0, size - 1).astype(np.int64)
    return np.stack([lower, np.zeros_like(lower)], axis=1)


def _between(given: Attributes, size: int, out: int, scale: float) -> npt.NDArray[np.int64]:
    at = np.clip(_coordinates(given, size, out, scale), 0, size - 1)
    steps = np.rint(at.astype(np.float64) * 1024).astype(np.int64)
    return np.stack([steps >> 10, steps & 1023], axis=1)
