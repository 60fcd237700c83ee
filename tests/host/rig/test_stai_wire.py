"""Packets and fields of ST's validation firmware: nothing is taken for what its schema does not declare."""

from __future__ import annotations

import math

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.stai.fields import Fields
from pytest_quantcheck.rig.stai.messages import Operator
from pytest_quantcheck.rig.stai.packets import PacketLine
from pytest_quantcheck.rig.stai.protobuf import message
from pytest_quantcheck.rig.stai.settings import StaiSettings
from pytest_quantcheck.rig.stai.tensors import TensorInfo
from tests.stai_device import Edge, M

pytestmark = pytest.mark.host

NODE = M["Op"](name="n", type=1 << 24, id=7, duration=1.5, counter_type=0, stack_used=-1, heap_used=-1)


class Tape:
    """A line that says ``content``, over and over where it is ``endless``."""

    def __init__(self, content: bytes, *, endless: bool = False) -> None:
        self._content, self._endless, self._at = content, endless, 0

    def read(self, count: int) -> bytes:
        if not self._endless:
            part = self._content[self._at : self._at + count]
        else:
            part = bytes(self._content[i % len(self._content)] for i in range(self._at, self._at + count))
        self._at += len(part)
        return part

    def write(self, data: bytes) -> None:
        raise AssertionError(f"nothing is sent here: {data!r}")


@pytest.mark.parametrize(("header", "mark"), [(1, b"\x81"), (2, b"\x80\x01")])
def test_packets_inside_a_message_are_full(header: int, mark: bytes) -> None:
    end = mark + b"B" * 32
    full = (32).to_bytes(header, "big") + b"A" * 32
    line = PacketLine(Tape(full + end), header=header)
    assert line.receive(1, end=math.inf, most=99) == b"A" * 32 + b"B"
    short = (1).to_bytes(header, "big") + b"A" * 32
    with pytest.raises(RigFault, match="inside a message says that it has 1 bytes, and holds 32"):
        PacketLine(Tape(short + end), header=header).receive(1, end=math.inf, most=99)


def test_a_message_that_never_ends_is_a_fault_as_soon_as_it_is_too_long() -> None:
    line = PacketLine(Tape(b"\x00\x20" + bytes(32), endless=True), header=2)
    with pytest.raises(RigFault, match="128 bytes came, 99 may"):
        line.receive(1, end=math.inf, most=99)


def test_an_operator_is_read_as_it_was_written() -> None:
    made = Operator.of(NODE.SerializeToString())
    assert (made.name, made.node, made.number, made.milliseconds, made.stack_bytes) == ("n", True, 7, 1.5, -1)


@pytest.mark.parametrize(
    ("field", "words"),
    [("type", "field 2, a number, is missing"), ("duration", "field 4, a float32, is missing"),
     ("name", "field 1, bytes, is missing")],
)  # fmt: skip
def test_a_field_that_is_missing_is_not_zero(field: str, words: str) -> None:
    without = M["Op"]()
    without.CopyFrom(NODE)
    without.ClearField(field)
    with pytest.raises(RigFault, match=words):
        Operator.of(without.SerializePartialToString())


def test_a_varint_is_no_float_and_a_text_no_number() -> None:
    for wrong, words in (
        ((4, 0x3F800000), "field 4 should be a float32"),
        ((2, b"1"), "field 2 should be a number"),
        ((1, 3), "field 1 should be bytes"),
        ((3, 1 << 32), "field 3 has more than 32 bits"),
        ((7, 1 << 31), "field 7 has more than 32 bits"),
    ):
        with pytest.raises(RigFault, match=words):
            Operator.of(NODE.SerializeToString() + message([wrong]))


def test_repeated_numbers_are_packed_or_not() -> None:
    packed, single = message([(5, b"\x01\x80\x01")]), message([(5, 1), (5, 128)])
    assert Fields.of(packed).counts(5) == Fields.of(single).counts(5) == (1, 128)


@pytest.mark.parametrize(
    ("order", "dims"),
    [
        (1, (1, 6, 5, 4)),  # batch, channel, width, height
        (2, (1, 4, 5, 6)),  # batch, height, width, channel
        (3, (1, 5, 6, 4)),
        (4, (1, 4, 5, 6)),
        (5, (1, 4, 5, 6)),
    ],
)
def test_a_shape_is_the_same_in_every_order_of_the_protocol(order: int, dims: tuple[int, ...]) -> None:
    info = TensorInfo.of(Edge("x", "int16", dims, order=order).desc().SerializeToString())
    assert (info.shape, info.dtype, info.nbytes) == ((1, 4, 5, 6), "int16", 240)


def test_a_board_has_one_signature_or_one_for_each_model() -> None:
    both = {"signature": "0x1", "A" * 64: "0x2"}
    entry = BoardEntry("theirs", "serial", "theirs", protocol="stai", protocol_settings=both)
    with pytest.raises(UsageError, match="leave one of both out"):
        StaiSettings.of(entry)
