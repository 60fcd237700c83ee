"""Payloads: what is packed is what is read, and what is no payload is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.rig.messages import fields, numbers
from pytest_quantcheck.rig.messages.answers import ANSWERS, NOTICES, BaudAnswer, Done
from pytest_quantcheck.rig.messages.counter import CounterReading, LoopResult
from pytest_quantcheck.rig.messages.crash import CrashRecord
from pytest_quantcheck.rig.messages.fields import MessageError
from pytest_quantcheck.rig.messages.hello import Hello
from pytest_quantcheck.rig.messages.message import Message, Repeated
from pytest_quantcheck.rig.messages.message import fields as fields_of
from pytest_quantcheck.rig.messages.model import CommitAnswer, ModelInfo, SelectAnswer, TensorInfo
from pytest_quantcheck.rig.messages.notices import Banner, Busy, Refusal
from pytest_quantcheck.rig.messages.numbers import Capability, Kind, Place
from pytest_quantcheck.rig.messages.run import OperatorResult, ReadAnswer, RunAnswer
from pytest_quantcheck.rig.messages.store import StoreAnswer, StoreSlot

pytestmark = pytest.mark.host

INCLUDE = Path(__file__).parents[3] / "firmware" / "include"
u32 = st.integers(0, 2**32 - 1)
counts = st.integers(0, 2**63 - 1)


def _number(kind: fields.Number) -> st.SearchStrategy[int]:
    inside = st.integers(kind.low, kind.most)
    return inside | st.just(0) if kind.or_zero else inside


def _text(kind: fields.Text) -> st.SearchStrategy[str]:
    if kind.pattern:
        return st.sampled_from(["qcm", "tflite", "builtin", "X-CUBE-AI_9.1", "builtin:" + "0f" * 32])
    return st.text(st.characters(codec="utf-8"), max_size=60).filter(str.isprintable)


_VALUES: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    fields.Number: _number,
    fields.Truth: lambda kind: st.booleans(),
    fields.OrNone: lambda kind: st.none() | st.integers(0, 2**32 - 2),
    fields.Choice: lambda kind: st.sampled_from(kind.values),
    fields.Flags: lambda kind: st.integers(0, sum(kind.values)).map(kind.values),
    fields.Word: lambda kind: st.sampled_from(kind.words),
    fields.Fixed: lambda kind: st.binary(min_size=kind.size, max_size=kind.size),
    fields.Counted: lambda kind: st.binary(max_size=min(kind.most, 60)),
    fields.Text: _text,
    fields.Rest: lambda kind: st.binary(max_size=64),
    fields.Padded: lambda kind: value_of(kind.kind),
}


def value_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of this kind may have."""
    return _VALUES[type(kind)](kind)


def messages_of(kind: type[Message]) -> st.SearchStrategy[Any]:
    """Any message of a class, made from the class's own fields: a new one is drawn at once."""
    if kind is ModelInfo:
        tensors = st.lists(messages_of(TensorInfo), max_size=3)
        return st.builds(ModelInfo.of, u32, u32, tensors, tensors)
    if kind is StoreAnswer:
        slots = st.lists(messages_of(StoreSlot), max_size=3).map(tuple)
        return st.builds(
            lambda at, some, more: StoreAnswer(at, len(some) | (more and bool(some)) << 31, some),
            u32,
            slots,
            st.booleans(),
        )
    drawn = st.builds(kind, **{name: value_of(each) for name, each in fields_of(kind)})
    return drawn.map(_REPAIRS.get(kind, lambda message: message))


def _one_store_and_one_image(hello: Hello) -> Hello:
    """The same, with fields that fit together."""
    held = hello.place != Place.NONE
    return replace(
        hello,
        store_address=hello.store_address & 0x7FFF_FFFF,
        store_bytes=hello.store_bytes & 0x7FFF_FFFF | 64,
        store_alignment=64,
        pool_bytes=max(64, hello.pool_bytes),
        image_bytes=hello.image_bytes % 64 + 1 if held else 0,
        image_sha256=hello.image_sha256[:31] + b"x" if held else bytes(32),
    )


_REPAIRS: dict[type[Message], Callable[[Any], Any]] = {
    Hello: _one_store_and_one_image,
    RunAnswer: lambda run: replace(run, records=min(run.records, run.operators), counter=run.counter | 1),
    SelectAnswer: lambda select: replace(select, place=select.place or Place.RAM),
}


KINDS: list[type[Message]] = [
    *(Hello, ModelInfo, RunAnswer, CrashRecord, StoreSlot, LoopResult, CounterReading),
    *(TensorInfo, SelectAnswer, CommitAnswer, ReadAnswer, OperatorResult, StoreAnswer, BaudAnswer, Done),
    *(Banner, Busy, Refusal),
]
MESSAGES: list[tuple[Any, Any]] = [(kind, messages_of(kind)) for kind in KINDS]
names = [each.__name__ for each, _ in MESSAGES]


def test_every_answer_and_notice_is_tested_here() -> None:
    kinds = {*ANSWERS.values(), *NOTICES.values()}
    nested = {each.kind for kind in kinds for _, each in fields_of(kind) if isinstance(each, Repeated)}
    assert kinds | nested | {OperatorResult} == set(KINDS)
    assert {*ANSWERS, *NOTICES, Kind.ECHO} == set(Kind)


@pytest.mark.parametrize(("kind", "values"), MESSAGES, ids=names)
@given(data=st.data())
def test_what_is_packed_is_what_is_read(kind: Any, values: Any, data: st.DataObject) -> None:
    value = data.draw(values)
    assert kind.unpack(value.pack()) == value


@pytest.mark.parametrize(
    ("kind", "values"),
    [each for each in MESSAGES if each[0] is not Done],
    ids=[name for name in names if name != "Done"],
)
@given(data=st.data())
def test_a_payload_that_was_cut_off_is_refused(kind: Any, values: Any, data: st.DataObject) -> None:
    value = data.draw(values)
    fixed = len(value.pack()) - len(getattr(value, "data", b""))
    short = value.pack()[: data.draw(st.integers(0, fixed - 1))]
    with pytest.raises(MessageError):
        kind.unpack(short)


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        *((Hello, "window", wrong) for wrong in (0, 129, 0xFFFF)),
        *((Hello, "chunk", wrong) for wrong in (0, 1, 15, 1021, 0xFFFF)),
        *((Hello, "clock_hz", wrong) for wrong in (1, 999_999, 2**32 - 1)),
        *((Hello, "place", wrong) for wrong in (4, 0xFF)),
        *((Hello, "flags", wrong) for wrong in (4, 0x80)),
        (Hello, "capabilities", 2**31),
        (TensorInfo, "bytes", 0),
        *((RunAnswer, "counter", wrong) for wrong in (2**63, 2**64 - 1)),
        (CounterReading, "counter", 2**63),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else str(each),
)
@settings(max_examples=5)  # the field is wrong whatever the others are
@given(data=st.data())
def test_a_number_out_of_range_is_refused_where_it_is_read(
    kind: Any, field: str, wrong: int, data: st.DataObject
) -> None:
    payload = replace(data.draw(messages_of(kind)), **{field: wrong}).pack()
    with pytest.raises(MessageError, match=rf"\b{field} is {wrong}; allowed: "):
        kind.unpack(payload)


@pytest.mark.parametrize(
    ("kind", "values"),
    [each for each in MESSAGES if each[0] not in (RunAnswer, ReadAnswer)],
    ids=lambda each: "",
)
@given(data=st.data())
def test_a_payload_that_is_too_long_is_refused(kind: Any, values: Any, data: st.DataObject) -> None:
    with pytest.raises(MessageError):
        kind.unpack(data.draw(values).pack() + b"\0")


@pytest.mark.parametrize(("kind", "values"), MESSAGES, ids=names)
@given(junk=st.binary(max_size=300))
def test_junk_is_read_or_refused_but_raises_nothing_else(kind: Any, values: Any, junk: bytes) -> None:
    try:
        read = kind.unpack(junk)
    except MessageError:
        return
    assert isinstance(read, kind)


@given(record=st.builds(OperatorResult, u32, u32, u32, u32, counts), capabilities=st.integers(0, 15))
def test_a_record_says_none_for_what_the_runtime_cannot_tell(
    record: OperatorResult, capabilities: int
) -> None:
    read = OperatorResult.unpack(record.pack()).as_far_as(Capability(capabilities))
    assert read.crc32 == (record.crc32 if capabilities & Capability.OPERATOR_CRC else None)
    assert read.counter == (record.counter if capabilities & Capability.PROFILE else None)
    assert (read.index, read.source_index, read.nbytes) == (record.index, record.source_index, record.nbytes)


@pytest.mark.parametrize(
    ("header", "prefix", "enumeration"),
    [
        ("include/qc_status.h", "QC_ERR_", numbers.Status),
        ("harness/qc_messages.h", "QC_REQ_", numbers.Kind),
        ("harness/qc_messages.h", "QC_FRAME_", numbers.Kind),
    ],
)
def test_numbers_are_those_of_the_firmware(header: str, prefix: str, enumeration: Any) -> None:
    source = (INCLUDE.parent / header).read_text(encoding="utf-8")
    found = {
        name: int(value, 0) for name, value in re.findall(rf"\b{prefix}(\w+) = (0x[0-9A-Fa-f]+|\d+),", source)
    }
    assert found
    assert found == {name: enumeration[name].value for name in found}


def test_capabilities_and_data_types_are_those_of_the_firmware() -> None:
    source = (INCLUDE / "qc_runtime.h").read_text(encoding="utf-8")
    capabilities = {name: 1 << int(bit) for name, bit in re.findall(r"QC_CAP_(\w+) = 1u << (\d)", source)}
    assert capabilities == {each.name: each.value for each in Capability}
    dtypes = re.findall(r"QC_(U?INT\d+|FLOAT32) = (\d)", source)
    assert [name.lower() for name, _ in sorted(dtypes, key=lambda each: int(each[1]))] == list(numbers.DTYPES)


def test_a_loop_costs_what_the_port_says() -> None:
    assert LoopResult(0, per_round=3, fixed=7).expected(100) == 307
    assert LoopResult(0, per_round=0, fixed=0).expected(100) is None
