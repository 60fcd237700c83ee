"""PNG files of 8-bit pixels: enough to show a sample, nothing more."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}  # by channels: greyscale, RGB


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A whole file of pixels (H, W) or (H, W, 3). Source: PNG specification, third edition, 5 and 11."""
    height, width = pixels.shape[:2]
    colour = _COLOUR_TYPES[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    lines = np.ascontiguousarray(pixels).reshape(height, -1)
    unfiltered = np.hstack([np.zeros((height, 1), np.uint8), lines])  # filter 0 before each line
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
