"""A few of the hostile files of every kind that needs no TensorFlow to be made; all of them run nightly."""

from __future__ import annotations

import pytest

from tests.hostile.strangers_files import attack

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("kind", "number"),
    [("inventory", 40), ("data", 25), ("tflite", 30), ("archive", 15), ("keras", 8), ("h5", 8), ("onnx", 12)],
)
def test_hostile_files_are_refused_or_read_and_do_nothing_else(kind, number):
    result = attack(kind, number, seed=1)
    assert result.tried == number
    assert not result.faults
    assert result.refused > 0
