"""``SL_PARAMSv1``: values of every kind come back as they went in, and damage is an error."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.mltk_parameters import KINDS, decode, encode, kind_of

pytestmark = pytest.mark.host

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS = st.floats(width=32, allow_nan=False, allow_subnormal=False)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    FLOATS,
    TEXTS,
    st.binary(max_size=50),
    st.lists(TEXTS, max_size=5),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5),
    st.lists(FLOATS, min_size=1, max_size=5),
)


@given(st.dictionaries(TEXTS, VALUES, max_size=8))
def test_every_value_comes_back_with_its_type(parameters: dict[str, object]) -> None:
    found = decode(encode(parameters))
    assert found == parameters
    assert list(found) == list(parameters)
    assert [type(v) for v in found.values()] == [type(v) for v in parameters.values()]


@pytest.mark.parametrize(
    ("value", "kind", "number"),
    [
        (True, "bool", 1), (-5, "int8", 2), (5, "uint8", 3), (-300, "int16", 4), (300, "uint16", 5),
        (-70000, "int32", 6), (70000, "uint32", 7), (-(2**40), "int64", 8), (2**40, "uint64", 9),
        (0.5, "float32", 10), (1e300, "float64", 11), ("a", "str", 12), (["a"], "str_list", 13),
        ([1], "int32_list", 14), ([0.5], "float_list", 15), (b"a", "bin", 16),
    ],
)  # fmt: skip
def test_kinds_are_numbered_as_in_mltk(value: object, kind: str, number: int) -> None:
    assert kind_of("key", value) == kind
    assert KINDS.index(kind) == number


@pytest.mark.parametrize("value", [None, {}, [None], [1, "a"], [2**31], 2**64, object()])
def test_what_has_no_kind_is_refused_by_name(value: object) -> None:
    with pytest.raises(UsageError, match=r"parameter 'key' is .*; allowed: a truth value"):
        encode({"key": value})


def test_another_version_and_too_many_entries_are_refused() -> None:
    good = encode({"a": 1})
    version = good.index(b"\x01", struct.unpack_from("<I", good)[0] + 4)
    with pytest.raises(ModelError, match="of version 9"):
        decode(good[:version] + b"\x09" + good[version + 1 :])
    with pytest.raises(ModelError, match="claims 5000 entries"):
        decode(encode({f"key{i}": True for i in range(5000)}))


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=20),
    st.integers(0, 200),
)
def test_damage_ends_as_a_model_error_or_is_read(changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(encode({"a": "text", "b": [1, 2], "c": ["x", "y"], "d": 0.5, "e": b"z"}))
    for place, value in changes:
        damaged[place % len(damaged)] = value
    for content in (bytes(damaged), bytes(damaged[:cut])):
        with suppress(ModelError):
            decode(content)


def test_lists_of_floats_keep_what_32_bits_hold() -> None:
    assert decode(encode({"a": [0.1, 2]}))["a"] == [float(np.float32(0.1)), 2.0]
