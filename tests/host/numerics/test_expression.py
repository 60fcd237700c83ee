"""Arithmetic in texts: right where it is arithmetic, refused where it is anything else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.expression import arithmetic, number

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/127.5", 1 / 127.5),
        ("1./255", 1 / 255),
        ("-1", -1),
        ("1e-3", 1e-3),
        ("(128, 128, 3)", (128, 128, 3)),
        ("1/127.5,-1", (1 / 127.5, -1)),
        ("2**64", 2**64),
        ("2**-64", 2**-64),
        ("1000000000**2", 10**18),
        (" 2 * (3 + 4) ** 2 // 5 % 7 - +1 ", 2 * (3 + 4) ** 2 // 5 % 7 - 1),
    ],
)
def test_arithmetic_has_its_value(text, value):
    assert arithmetic(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[1, 2]",
        "'1'",
        "True",
        "1 if 1 else 2",
        "1j",
        "9**9**9",
        "1/0",
        "1e308*10",
        "10**65",
        "1000000001**2",
        "((1, 2), 3)",
        "1;2",
        "1\x00",
        "(" * 150,
        "1+" * 150 + "1",
    ],
)
def test_anything_else_is_refused_and_never_run(text):
    with pytest.raises(UsageError):
        arithmetic(text)


def test_one_number_is_not_two():
    with pytest.raises(UsageError, match="2 numbers; one is expected"):
        number("1, 2")


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text):
    with contextlib.suppress(UsageError):
        arithmetic(text)
