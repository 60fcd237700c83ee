"""Frames: any bytes survive, any damage is noticed."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.rig.link.frame import Frame, cobs_decode, cobs_encode
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX

pytestmark = pytest.mark.host

blocks = st.sampled_from([b"", b"\0", b"\xff", b"a" * 253, b"a" * 254, b"a" * 255, b"\0" * 300])
contents = st.lists(st.binary(max_size=300) | blocks, max_size=5).map(b"".join)
frames = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 255), contents.map(lambda content: content[:PAYLOAD_MAX])
)


@given(contents)
def test_any_bytes_survive_cobs_and_none_is_zero(content: bytes) -> None:
    coded = cobs_encode(content)
    assert 0 not in coded
    assert len(coded) <= len(content) + len(content) // 254 + 1
    assert cobs_decode(coded) == content


@given(frames)
def test_any_frame_survives_the_line(frame: Frame) -> None:
    line = frame.encode()
    assert line[0] == line[-1] == 0
    assert Frame.decode(line[1:-1]) == frame


@given(frames, st.data())
def test_no_damage_makes_another_frame(frame: Frame, data: st.DataObject) -> None:
    """One flipped, dropped or doubled byte: CRC-32 finds any burst of up to 32 bits."""
    line = bytearray(frame.encode()[1:-1])
    at = data.draw(st.integers(0, len(line) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "double"]))
    if kind == "flip":
        line[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        line[at : at + 1] = b"" if kind == "drop" else line[at : at + 1] * 2
    pieces = [piece for piece in bytes(line).split(b"\0") if piece]
    assert all(Frame.decode(piece) in (None, frame) for piece in pieces)


@given(contents, st.integers(0, 2**32 - 1))
def test_a_frame_with_another_crc_is_none(body: bytes, crc: int) -> None:
    whole = b"\x01\x02" + body[:PAYLOAD_MAX]
    decoded = Frame.decode(cobs_encode(whole + crc.to_bytes(4, "little")))
    assert (decoded is not None) == (crc == zlib.crc32(whole))
