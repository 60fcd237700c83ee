"""ST's messages as bytes: what Google's protobuf writes is read, and nothing that arrives is a traceback."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.stai import messages
from pytest_quantcheck.rig.stai.protobuf import fields, message, varint
from tests.stai_device import FORMATS, Edge, M

pytestmark = pytest.mark.host

NUMBERS = st.integers(0, 2**32 - 1)


@given(NUMBERS, st.sampled_from(messages.Command), NUMBERS, st.text(max_size=60))
def test_a_request_is_read_by_protobuf(number, command, param, name):
    read = M["Request"].FromString(messages.request(number, command, param=param, name=name))
    assert (read.reqid, read.cmd, read.param, read.name, read.opt) == (number, command, param, name, 0)


@given(st.binary(max_size=400))
def test_a_tensor_for_the_device_is_read_by_protobuf(data):
    read = M["Data"].FromString(messages.data_message(data))
    assert (read.datas, read.size, read.type, read.addr) == (data, len(data), 0, 0)
    assert M["Ack"].FromString(messages.ACK) == M["Ack"](param=0, error=0)


@given(
    st.sampled_from(sorted(FORMATS)),
    st.integers(0, 2**31 - 1),
    st.floats(0, 100, width=32),
    st.integers(-(2**31), 2**31 - 1),
)
def test_a_description_that_protobuf_wrote_is_read(dtype, size, scale, zero_point):
    desc = Edge("x", dtype, size, scale, zero_point).desc(2).SerializeToString()
    assert messages.TensorInfo.of(desc) == messages.TensorInfo("x", dtype, size, scale, zero_point)


@given(st.floats(width=32, allow_nan=False), st.integers(-(2**31), 2**31 - 1), st.integers(0, 7), NUMBERS)
def test_an_operator_that_protobuf_wrote_is_read(milliseconds, stack, flags, number):
    op = M["Op"](
        name="n", type=flags << 24 | 5, id=number, duration=milliseconds, counter_type=0, counters=[1, 2],
        stack_used=stack, heap_used=-1,
    )  # fmt: skip
    read = messages.Operator.of(op.SerializeToString())
    assert (read.name, read.number, read.milliseconds, read.stack_bytes) == ("n", number, milliseconds, stack)
    assert (read.node, read.last, read.with_tensors) == (flags > 0, bool(flags & 2), not flags & 4)


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_back(value):
    assert dict(fields(message([(1, value)]))) == {1: value}
    assert len(varint(value)) == max(1, -(-value.bit_length() // 7))


READERS = (
    messages.Response.of, messages.Network.of, messages.Sync.of, messages.Operator.of, messages.TensorInfo.of,
    messages.tensor_data, messages.refusal, messages.log_text, lambda data: messages.System.of(data, 2),
)  # fmt: skip
VALUES = st.one_of(NUMBERS, st.binary(max_size=40), st.text(max_size=10))


@pytest.mark.parametrize("read", READERS)
@given(st.one_of(st.binary(max_size=80), st.lists(st.tuples(st.integers(1, 30), VALUES)).map(message)))
def test_whatever_arrives_is_read_or_a_fault(read, data):
    with suppress(RigFault):
        read(data)


@pytest.mark.parametrize(
    ("descriptor", "dtype"),
    [
        (0x840440, "int8"),
        (0x1840440, "int8"),
        (0x40840, "uint16"),
        (0x822040, ""),
        (0x60440, ""),
        (0x840447, "int8"),
    ],
)
def test_a_format_names_its_type_or_none(descriptor, dtype):
    assert messages.dtype_of(descriptor) == dtype
