"""Frames: COBS between zeros, with a CRC-32. ``firmware/LINK.md`` section 2 is normative."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX

FRAME_OVERHEAD = 6
EMPTY_FRAME = 9  # bytes on the line
FULL_FRAME = 1040  # bytes on the line, at the most


@dataclass(frozen=True)
class Frame:
    """What stands between two zero bytes, with its CRC checked and taken off."""

    type: int
    sequence: int
    payload: bytes

    def encode(self) -> bytes:
        """The frame as it stands on the line, with a zero before and behind."""
        body = bytes([self.type, self.sequence]) + self.payload
        return b"\0" + cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"

    @classmethod
    def decode(cls, coded: bytes) -> Frame | None:
        """The frame between two zeros; None when it is damaged."""
        body = cobs_decode(coded)
        if body is None or not FRAME_OVERHEAD <= len(body) <= PAYLOAD_MAX + FRAME_OVERHEAD:
            return None
        if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            return None
        return cls(body[0], body[1], body[2:-4])


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker, 1999): no zero, at most 1 byte in 254 more."""
    out = bytearray()
    for run in data.split(b"\0"):
        at = 0
        while len(run) - at >= 254:  # a full block stands for no zero
            out.append(255)
            out += run[at : at + 254]
            at += 254
        out.append(len(run) - at + 1)
        out += run[at:]
    return bytes(out)


def cobs_decode(coded: bytes) -> bytes | None:
    """The bytes that were encoded; None when ``coded`` is cut off or empty. It holds no zero."""
    out = bytearray()
    at = 0
    end = len(coded)
    if not end:
        return None
    while at < end:
        code = coded[at]
        stop = at + code
        if stop > end:
            return None
        out += coded[at + 1 : stop]
        at = stop
        if code != 255 and at < end:
            out.append(0)
    return bytes(out)
