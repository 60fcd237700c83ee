"""Payloads: what is packed is what is read, and what is no payload is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.rig import messages
from pytest_quantcheck.rig.messages import (
    Capability,
    CounterReading,
    CrashRecord,
    Hello,
    LoopResult,
    MessageError,
    ModelInfo,
    OperatorResult,
    Place,
    RunAnswer,
    RunResult,
    StoreSlot,
    TensorInfo,
)

pytestmark = pytest.mark.host

INCLUDE = Path(__file__).parents[3] / "firmware" / "include"
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
digests = st.binary(min_size=32, max_size=32)

tensors = st.builds(TensorInfo, dtype=st.sampled_from(messages.DTYPES), bytes=u32)
hellos = st.builds(
    Hello,
    **dict.fromkeys(("protocol", "window", "chunk"), u16),
    **dict.fromkeys(("board", "chip", "runtime", "version", "artefact", "build_id"), texts),
    **dict.fromkeys(
        (
            *("nonce", "firmware_bytes", "firmware_crc32", "clock_hz", "pool_bytes", "store_bytes"),
            *("store_address", "store_alignment", "image_bytes", "image_crc32", "boot_count"),
            *("bad_frames", "overruns"),
        ),
        u32,
    ),
    unique_id=st.binary(max_size=16),
    image_sha256=digests,
    place=st.sampled_from(Place),
    capabilities=st.integers(0, 15).map(Capability),
)
runs = st.builds(RunResult, counter=u64, operators=u32, records=u32, stack_bytes=u32, outputs=st.just(()))
crashes = st.builds(
    CrashRecord,
    **dict.fromkeys(("cause", "pc", "address", "link_register", "request", "boot_count"), u32),
    operators=st.none() | st.integers(0, 2**32 - 2),
)
MESSAGES: list[tuple[Any, Any]] = [
    (Hello, hellos),
    (ModelInfo, st.builds(ModelInfo, u32, u32, st.tuples(tensors), st.tuples(tensors, tensors))),
    (RunAnswer, st.builds(RunAnswer, runs, st.booleans(), st.binary(max_size=64))),
    (CrashRecord, crashes),
    (StoreSlot, st.builds(StoreSlot, u32, u32, u32, u32, digests)),
    (LoopResult, st.builds(LoopResult, u64, u32, u32)),
    (CounterReading, st.builds(CounterReading, u64, u32, u32, u32, u32)),
]
names = [each.__name__ for each, _ in MESSAGES]


@pytest.mark.parametrize(("kind", "values"), MESSAGES, ids=names)
@given(data=st.data())
def test_what_is_packed_is_what_is_read(kind: Any, values: Any, data: st.DataObject) -> None:
    value = data.draw(values)
    assert kind.unpack(value.pack()) == value


@pytest.mark.parametrize(("kind", "values"), MESSAGES, ids=names)
@given(data=st.data())
def test_a_payload_that_was_cut_off_is_refused(kind: Any, values: Any, data: st.DataObject) -> None:
    value = data.draw(values)
    fixed = len(value.pack()) - (len(value.data) if isinstance(value, RunAnswer) else 0)
    short = value.pack()[: data.draw(st.integers(0, fixed - 1))]
    with pytest.raises(MessageError):
        kind.unpack(short)


@pytest.mark.parametrize(
    ("kind", "values"), [each for each in MESSAGES if each[0] is not RunAnswer], ids=lambda each: ""
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


@given(record=st.builds(OperatorResult, u32, u32, u32, u32, u64), capabilities=st.integers(0, 15))
def test_a_record_says_none_for_what_the_runtime_cannot_tell(
    record: OperatorResult, capabilities: int
) -> None:
    read = OperatorResult.unpack(record.pack(), Capability(capabilities))
    assert read.crc32 == (record.crc32 if capabilities & Capability.OPERATOR_CRC else None)
    assert read.counter == (record.counter if capabilities & Capability.PROFILE else None)
    assert (read.index, read.source_index, read.nbytes) == (record.index, record.source_index, record.nbytes)


@pytest.mark.parametrize(
    ("header", "prefix", "enumeration"),
    [
        ("include/qc_status.h", "QC_ERR_", messages.Status),
        ("harness/qc_link.h", "QC_REQ_", messages.Kind),
        ("harness/qc_link.h", "QC_FRAME_", messages.Kind),
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
    assert [name.lower() for name, _ in sorted(dtypes, key=lambda each: int(each[1]))] == list(
        messages.DTYPES
    )


def test_a_loop_costs_what_the_port_says() -> None:
    assert LoopResult(0, per_round=3, fixed=7).expected(100) == 307
    assert LoopResult(0, per_round=0, fixed=0).expected(100) is None
