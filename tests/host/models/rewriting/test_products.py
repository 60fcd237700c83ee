"""NEG, SQUARE and ADD_N as products and sums: LiteRT computes the same floats before and after."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.models.rewriting.products import as_products
from pytest_quantcheck.runners.litert import float_outputs

pytestmark = pytest.mark.host


def network(kind: str, count: int) -> bytes:
    writer = TfliteWriter()
    inputs = [writer.tensor((1, 5), "float32", name=f"x{i}") for i in range(count)]
    y, z = (writer.tensor((1, 5), "float32", name=name) for name in "yz")
    writer.operator(kind, inputs, [y])
    writer.operator("RELU", [y], [z])
    return writer.finish(inputs, [y, z])


@pytest.mark.parametrize(
    ("kind", "count", "expected"),
    [("NEG", 1, "MUL"), ("SQUARE", 1, "MUL"), ("ADD_N", 2, "ADD"), ("ADD_N", 4, "ADD")],
)
def test_the_values_stay_and_the_operator_goes(kind: str, count: int, expected: str) -> None:
    before = network(kind, count)
    after = as_products(before)
    assert set(read_summary(after).kinds) == {expected, "RELU"}
    arrays = tuple(np.random.default_rng(i).normal(size=(9, 5)).astype(np.float32) for i in range(count))
    data = Samples(arrays if count > 1 else arrays[0])
    for old, new in zip(float_outputs(before, data), float_outputs(after, data), strict=True):
        assert old.std() > 0.1
        np.testing.assert_array_equal(new, old)


def test_a_file_without_them_stays_as_it_is() -> None:
    content = network("TANH", 1)
    assert as_products(content) is content


def test_whole_numbers_stay_as_they_are() -> None:
    writer = TfliteWriter()
    x, y = (writer.tensor((1, 5), "int32") for _ in range(2))
    writer.operator("NEG", [x], [y])
    assert read_summary(as_products(writer.finish([x], [y]))).kinds == ("NEG",)
