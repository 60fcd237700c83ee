"""Makes a known mistake in a device image on purpose, to see that it is found."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.graph.model import Window
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.read import ImageDescription, ImageOperator, read_image
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.numerics.fixed_point import wrap_int32

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def patch_weight(
    data: bytes, source_index: int | None = None, *, output: int = 0, k: int = 0, delta: int = 1
) -> bytes:
    """The image with ``delta`` added to one weight, wrapping in int8; CRC refreshed.

    ``source_index`` names a weighted operator (default: the first). ``output`` is the output channel,
    ``k`` counts that channel's weights as in the source (kernel rows, columns, input channels).
    Operators with equal weights share them in the image and change together.
    """
    image = read_image(data)
    weights = _weights(data, image, _find(image, source_index))
    outputs, count = weights.at.shape
    if not 0 <= output < outputs or not 0 <= k < count:
        raise ImageError(f"weight ({output}, {k}) does not exist; the operator has {outputs} x {count}")
    value = int(weights.values[output, k])
    changed = (value + delta + 128) % 256 - 128
    patched, at = bytearray(data), int(weights.at[output, k])
    if not weights.paired:
        patched[at] = changed & 0xFF
    else:
        both = struct.unpack_from("<h", data, at)[0] + (changed - value) * (256 if output % 2 else 1)
        if both < -(1 << 15):
            raise ImageError(
                f"weight ({output}, {k}) cannot become {changed}: it shares 16 bits with another one"
            )
        struct.pack_into("<h", patched, at, both)
    return layout.with_crc(patched)


def patch_input_zero_point(data: bytes, source_index: int | None = None, *, delta: int = 1) -> bytes:
    """The image as if one weighted operator's input zero point were ``delta`` larger; CRC refreshed.

    Changes the folded biases, ``-delta * sum of weights`` each, and the value of padding cells. This
    is the mistake of forgetting or misplacing a zero point.
    """
    image = read_image(data)
    op = _find(image, source_index)
    weights = _weights(data, image, op)
    if image.tensors[op.inputs[0]].dtype == "int16":
        raise ImageError(f"operator {op.source_index} ({op.opcode}) works on int16, which has no zero point")
    zero_point = weights.input_zero_point + delta
    if not -128 <= zero_point <= 127:
        raise ImageError(f"input zero point {weights.input_zero_point} plus {delta} leaves int8")
    patched = bytearray(data)
    struct.pack_into("<i", patched, op.params_offset + 16, zero_point)
    sums = (weights.values - weights.zero_point).sum(axis=1)
    table = np.frombuffer(data, layout.CHANNEL, len(sums), weights.channels_at).copy()
    table["bias"] = wrap_int32(table["bias"] - delta * sums)
    patched[weights.channels_at : weights.channels_at + table.nbytes] = table.tobytes()
    return layout.with_crc(patched)


@dataclass(frozen=True, eq=False)
class _Weights:
    """A weighted operator's constants. ``values[output, k]`` is a weight, ``at[output, k]`` its file offset,
    with ``paired`` that of the 16 bits that two outputs share; ``k`` counts kernel rows, columns and input
    channels as in the source."""

    at: IntArray
    values: IntArray
    paired: bool
    zero_point: int
    input_zero_point: int
    channels_at: int


def _weights(data: bytes, image: ImageDescription, op: ImageOperator) -> _Weights:
    fields = layout.CONVOLUTION.unpack(op.params)
    window, packing, size, channels = Window(*fields[:8]), layout.PACKINGS[fields[14]], fields[17], fields[19]
    source, output = image.tensors[op.inputs[0]], image.tensors[op.output]
    outputs = output.shape[-1]
    index = np.arange(size, dtype=np.int64)
    if packing == "planes" or (packing == "plain" and op.opcode != "DEPTHWISE_CONV_2D"):
        at = index.reshape(outputs, -1)
    elif packing == "plain":
        at = index.reshape(-1, outputs).T
    else:
        depth = source.bytes * outputs // output.bytes if op.opcode == "FULLY_CONNECTED" else source.shape[3]
        runs, run = layout.runs(window, depth)
        if packing == "paired4x4":
            pairs = index[::2].reshape(channels // 4, -1, 2, 2, 2).transpose(0, 3, 1, 4, 2)
            rows = pairs.reshape(channels // 2, -1).repeat(2, axis=0)
        else:
            rows = index.reshape(channels // 4, -1, 4, 4).transpose(0, 2, 1, 3)
        at = rows.reshape(channels, runs, layout.up4(run))[:outputs, :, :run].reshape(outputs, -1)
    at = image.constants_offset + fields[16] + at
    values = np.frombuffer(data, np.int8)[at].astype(np.int64)
    if packing == "paired4x4":  # the low byte is the even output's
        values[1::2] = np.frombuffer(data, np.int8)[at[1::2] + 1] + (values[1::2] < 0)
    channels_at = image.constants_offset + fields[18]
    return _Weights(at, values, packing == "paired4x4", fields[9], fields[8], channels_at)


def _find(image: ImageDescription, source_index: int | None) -> ImageOperator:
    """The weighted operator with that source index, or the first one."""
    weighted = [op for op in image.operators if op.opcode in _WEIGHTED]
    for op in weighted:
        if source_index in (None, op.source_index):
            return op
    allowed = ", ".join(f"{op.source_index} ({op.opcode})" for op in weighted) or "none in this image"
    raise ImageError(f"operator {source_index} has no weights; operators with weights: {allowed}")
