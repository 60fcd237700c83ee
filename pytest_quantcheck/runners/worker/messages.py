"""Messages between a worker process and its parent, the same in both directions.

The number of parts (u32), then each part with its length (u64); the first part is JSON, the others are
arrays in NumPy's ``.npy`` form or the model's bytes. No pickle.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from pytest_quantcheck.numerics.arrays import Array


def send(stream: IO[bytes], header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Write one message."""
    blobs = [json.dumps(header).encode(), *parts]
    stream.write(struct.pack("<I", len(blobs)))
    for blob in blobs:
        stream.write(struct.pack("<Q", len(blob)))
        stream.write(blob)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; ``EOFError`` when the other side is gone."""
    (count,) = struct.unpack("<I", _read(stream, 4))
    blobs = [_read(stream, struct.unpack("<Q", _read(stream, 8))[0]) for _ in range(count)]
    header = json.loads(blobs[0])
    assert isinstance(header, dict)
    return header, blobs[1:]


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def pack(array: Array) -> bytes:
    """An array as ``.npy`` bytes."""
    whole = np.asarray(array, order="C")
    target = io.BytesIO()
    np.lib.format.write_array_header_2_0(target, np.lib.format.header_data_from_array_1_0(whole))
    return b"".join((target.getbuffer(), whole.data))  # a pixel is copied once


def unpack(data: bytes) -> Array:
    """The array of ``.npy`` bytes."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
