"""Reads what a device image says about itself."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.graph.model import operator_index
from pytest_quantcheck.image import layout


@dataclass(frozen=True)
class ImageTensor:
    """One tensor of an image; ``offset`` counts in the arena or in the constants."""

    dtype: str
    shape: tuple[int, ...]
    place: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class ImageOperator:
    """One operator of an image. ``params`` is the raw parameter block."""

    opcode: str
    state: str
    source_index: int
    inputs: tuple[int, ...]
    output: int
    params: bytes
    params_offset: int  # in the file
    scratch_offset: int
    scratch_bytes: int


@dataclass(frozen=True)
class ImageDescription:
    """What an image says about itself; ``constants_offset`` counts in the file. ``states`` name the
    tensors of each: ``layout.STATE_TENSORS``.
    """

    source_sha256: str
    arena_bytes: int
    tensors: tuple[ImageTensor, ...]
    operators: tuple[ImageOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants_offset: int
    constants_bytes: int
    states: tuple[tuple[int, ...], ...] = ()


def read_image(data: bytes) -> ImageDescription:
    """Read an image's tables. ``ImageError`` when it is not one or its CRC is wrong."""
    if len(data) < layout.HEADER.size or data[:4] != layout.MAGIC:
        raise ImageError(f"not a device image: it starts with {data[:4]!r}, an image with {layout.MAGIC!r}")
    fields = layout.HEADER.unpack_from(data)
    version, header, size, crc, source, arena_bytes = fields[1:7]
    counts, at = fields[7:11], fields[11:19]
    if version != layout.VERSION or header != layout.HEADER.size:
        raise ImageError(
            f"image format version {version} is not supported; this release reads {layout.VERSION}"
        )
    if size > len(data):
        raise ImageError(f"the image is cut off: {len(data)} of {size} bytes")
    if zlib.crc32(data[layout.CRC_START : size]) != crc:
        raise ImageError("the image is damaged: its CRC-32 does not match its content")
    tensors_at, operators_at, lists_at, lists_entries, params_at, _, constants_at, constants_bytes = at
    lists = struct.unpack_from(f"<{lists_entries}H", data, lists_at)
    tensors = (layout.TENSOR.unpack_from(data, tensors_at + i * layout.TENSOR.size) for i in range(counts[0]))
    operators = (
        layout.OPERATOR.unpack_from(data, operators_at + i * layout.OPERATOR.size) for i in range(counts[1])
    )
    edges, each = counts[2] + counts[3], len(layout.STATE_TENSORS)
    return ImageDescription(
        source.hex(),
        arena_bytes,
        tuple(ImageTensor(layout.DTYPES[t[0]], t[6 : 6 + t[1]], t[2], t[4], t[5]) for t in tensors),
        tuple(_operator(data, op, lists, params_at) for op in operators),
        lists[: counts[2]],
        lists[counts[2] : edges],
        constants_at,
        constants_bytes,
        tuple(lists[at : at + each] for at in range(edges, edges + each * fields[19], each)),
    )


def _operator(data: bytes, fields: tuple[int, ...], lists: tuple[int, ...], params_at: int) -> ImageOperator:
    (
        opcode,
        state,
        source_index,
        inputs,
        _,
        source_output,
        at,
        params,
        params_bytes,
        scratch,
        scratch_bytes,
        _,
    ) = fields
    start = params_at + params
    return ImageOperator(
        layout.OPCODES[opcode],
        layout.STATES[state],
        operator_index(source_index, source_output),
        lists[at : at + inputs],
        lists[at + inputs],
        data[start : start + params_bytes],
        start,
        scratch,
        scratch_bytes,
    )
