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
    at = _weights(image, _find(image, source_index)).at
    if not 0 <= output < at.shape[0] or not 0 <= k < at.shape[1]:
        raise ImageError(
            f"weight ({output}, {k}) does not exist; the operator has {at.shape[0]} x {at.shape[1]}"
        )
    patched = bytearray(data)
    patched[at[output, k]] = (patched[at[output, k]] + delta) & 0xFF
    return layout.with_crc(patched)


def patch_input_zero_point(data: bytes, source_index: int | None = None, *, delta: int = 1) -> bytes:
    """The image as if one weighted operator's input zero point were ``delta`` larger; CRC refreshed.

    Changes the folded biases, ``-delta * sum of weights`` each, and the value of padding cells. This
    is the mistake of forgetting or misplacing a zero point.
    """
    image = read_image(data)
    op = _find(image, source_index)
    weights = _weights(image, op)
    if image.tensors[op.inputs[0]].dtype == "int16":
        raise ImageError(f"operator {op.source_index} ({op.opcode}) works on int16, which has no zero point")
    zero_point = weights.input_zero_point + delta
    if not -128 <= zero_point <= 127:
        raise ImageError(f"input zero point {weights.input_zero_point} plus {delta} leaves int8")
    patched = bytearray(data)
    struct.pack_into("<i", patched, op.params_offset + 16, zero_point)
    values = np.frombuffer(data, np.int8)[weights.at].astype(np.int64)
    sums = (values - weights.zero_point).sum(axis=1)
    table = np.frombuffer(data, layout.CHANNEL, len(sums), weights.channels_at).copy()
    table["bias"] = wrap_int32(table["bias"] - delta * sums)
    patched[weights.channels_at : weights.channels_at + table.nbytes] = table.tobytes()
    return layout.with_crc(patched)


@dataclass(frozen=True, eq=False)
class _Weights:
    """A weighted operator's constants: ``at[output, k]`` is the file offset of one weight, ``k`` counting
    kernel rows, columns and input channels as in the source."""

    at: IntArray
    zero_point: int
    input_zero_point: int
    channels_at: int


def _weights(image: ImageDescription, op: ImageOperator) -> _Weights:
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
        rows = index.reshape(channels // 4, -1, 4, 4).transpose(0, 2, 1, 3)
        at = rows.reshape(channels, runs, layout.up4(run))[:outputs, :, :run].reshape(outputs, -1)
    constants = image.constants_offset
    return _Weights(constants + fields[16] + at, fields[9], fields[8], constants + fields[18])


def _find(image: ImageDescription, source_index: int | None) -> ImageOperator:
    """The weighted operator with that source index, or the first one."""
    weighted = [op for op in image.operators if op.opcode in _WEIGHTED]
    for op in weighted:
        if source_index in (None, op.source_index):
            return op
    allowed = ", ".join(f"{op.source_index} ({op.opcode})" for op in weighted) or "none in this image"
    raise ImageError(f"operator {source_index} has no weights; operators with weights: {allowed}")
