"""ST's messages as bytes: what Google's protobuf writes is read, and nothing that arrives is a traceback."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.stai import messages
from pytest_quantcheck.rig.stai.protobuf import VARINT, fields, message, varint
from pytest_quantcheck.rig.stai.tensors import TensorInfo, TensorMessage
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
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.floats(0, 100, width=32),
    st.integers(-(2**31), 2**31 - 1),
)
def test_a_description_that_protobuf_wrote_is_read(dtype, dims, scale, zero_point):
    desc = Edge("x", dtype, tuple(dims), scale, zero_point).desc(2).SerializeToString()
    named = "fixed point of 8 bits, 7 of them fraction (Qm.n)" if dtype == "q7" else dtype
    assert TensorInfo.of(desc) == TensorInfo("x", named, tuple(dims), scale, zero_point)


@given(st.floats(width=32, allow_nan=False), st.integers(-(2**31), 2**31 - 1), st.integers(0, 7), NUMBERS)
def test_an_operator_that_protobuf_wrote_is_read(milliseconds, stack, flags, number):
    op = M["Op"](
        name="n", type=flags << 24 | 5, id=number, duration=milliseconds, counter_type=0, counters=[1, 2],
        stack_used=stack, heap_used=-1,
    )  # fmt: skip
    read = messages.Operator.of(op.SerializeToString())
    assert (read.name, read.number, read.milliseconds, read.stack_bytes) == ("n", number, milliseconds, stack)
    assert read.node == (flags > 0)


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_back(value):
    assert list(fields(message([(1, value)]))) == [(1, VARINT, value)]
    assert len(varint(value)) == max(1, -(-value.bit_length() // 7))


READERS = (
    messages.Response.of, messages.Network.of, messages.Sync.of, messages.Operator.of, TensorInfo.of,
    TensorMessage.of, messages.refusal, messages.log_text, lambda data: messages.System.of(data, 2),
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
        (0x2840440, "int8"),  # a flag above the format
        (0x40840, "uint16"),
        (0x822040, "the format 0x822040"),
        (0x840447, "fixed point of 8 bits, 7 of them fraction (Qm.n)"),
    ],
)
def test_a_format_names_its_type_or_what_else_it_is(descriptor, dtype):
    desc = Edge("x", "int8", (4,)).desc()
    desc.format = descriptor
    assert TensorInfo.of(desc.SerializeToString()).dtype == dtype
