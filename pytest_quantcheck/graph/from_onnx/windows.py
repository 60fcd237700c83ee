"""Images, NHWC in the graph, and windows that slide over them. With one spatial axis there is one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_quantcheck.formats.onnx import Attributes, kind_of
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Target, Value
from pytest_quantcheck.graph.model import Params, Reshape, Window
from pytest_quantcheck.numerics.limits import MAX_WINDOW

_WINDOWED = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


def as_image(t: Translation, node: Any, given: Attributes) -> tuple[Value, Attributes]:
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


def emit_image(
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


def sliding_window(
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


def transposed_window(
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
