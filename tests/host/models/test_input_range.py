"""What a model file says of the values that go into it, and that nothing else is taken for it."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest

from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.formats.input_statistics import ENTRY, input_statistics
from pytest_quantcheck.formats.tflite_metadata import with_metadata
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.input_range import input_ranges

pytestmark = pytest.mark.host

DIGITS = (DATA / FLOAT_MODEL).read_bytes()


def network(steps, channels: int = 3) -> FloatModel:
    """An input, elementwise steps with a constant, and something that uses it."""
    writer = TfliteWriter()
    shape = (1, 2, 2, channels)
    x = at = writer.tensor(shape, "float32", scale=None, name="x")
    for kind, value in steps:
        constant = writer.constant(np.asarray(value, np.float32), "float32")
        at, before = writer.tensor(shape, "float32", scale=None), at
        writer.operator(kind, [before, constant], [at])
    y = writer.tensor(shape, "float32", scale=None)
    writer.operator("RELU", [at], [y])
    return FloatModel.from_tflite(writer.finish([x], [y]), "net", "net.tflite")


@pytest.mark.parametrize(
    ("steps", "low", "high"),
    [
        ([("MUL", [1 / 255])], 0, 255),
        ([("DIV", [255.0])], 0, 255),
        ([("MUL", [1 / 127.5]), ("ADD", [-1.0])], 0, 255),
        ([("SUB", [127.5]), ("MUL", [1 / 127.5])], 0, 255),
        ([("MUL", [1 / 255]), ("SUB", [0.5])], 0, 255),
        ([("SUB", [10.0, 20.0, 30.0]), ("DIV", [1.0, 2.0, 10.0])], 0, 60),
        ([("SUB", [-4.0]), ("MUL", [0.5])], -10, 2),
    ],
)
def test_a_scaling_at_the_start_says_the_range(steps, low, high):
    ranges, findings = input_ranges(network(steps))
    assert ranges[0] == pytest.approx((low, high), abs=1e-3)
    assert [finding.severity for finding in findings] == ["note"]


@pytest.mark.parametrize(
    "steps", [[], [("MUL", [0.0])], [("MUL", [1.0])], [("MUL", [float("inf")])], [("DIV", [0.0])]]
)
def test_what_says_nothing_is_an_assumption(steps):
    ranges, findings = input_ranges(network(steps))
    assert ranges == ((0.0, 1.0),)
    assert [(finding.severity, finding.code) for finding in findings] == [("warning", "input_range_assumed")]


def metadata(*, stats=None, normalization=None) -> bytes:
    """TFLITE_METADATA of one input, as TensorFlow Lite Support writes it."""
    builder = flatbuffers.Builder(256)

    def floats(values):
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependFloat32(value)
        return builder.EndVector()

    def table(fields, offsets):
        builder.StartObject(fields)
        for slot, offset in offsets.items():
            if slot == "kind":
                builder.PrependUint8Slot(0, offset, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return builder.EndObject()

    def tables(offset):
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    offsets = {}
    if stats:
        highs, lows = floats(stats[1]), floats(stats[0])
        offsets[5] = table(2, {0: highs, 1: lows})
    if normalization:
        means, deviations = floats(normalization[0]), floats(normalization[1])
        options = table(2, {0: means, 1: deviations})
        offsets[4] = tables(table(2, {"kind": 1, 1: options}))
    graph = table(4, {2: tables(table(7, offsets))})
    builder.Finish(table(7, {3: tables(graph)}), file_identifier=b"M001")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ({"stats": ([-2.0, -1.0], [3.0, 4.0])}, (-2.0, 4.0)),
        ({"normalization": ([127.5], [127.5])}, (-1.0, 1.0)),
        ({"normalization": ([0.0], [1.0])}, (0.0, 255.0)),
        ({"stats": ([-3.0], [3.0]), "normalization": ([127.5], [127.5])}, (-3.0, 3.0)),
    ],
)
def test_metadata_say_the_range(said, span):
    content = with_metadata(DIGITS, {ENTRY: metadata(**said)})
    ranges, findings = input_ranges(FloatModel.from_tflite(content, "net", "net.tflite"))
    assert ranges == (span,)
    assert "metadata" in findings[0].sentence


@pytest.mark.parametrize(
    "said", [{"stats": ([1.0], [1.0])}, {"stats": ([0.0], [float("nan")])}, {"normalization": ([0.0], [0.0])}]
)
def test_metadata_without_a_range_say_nothing(said):
    assert input_statistics(with_metadata(DIGITS, {ENTRY: metadata(**said)})) == {}


def test_damaged_metadata_are_never_more_than_silent():
    whole = metadata(stats=([-2.0], [3.0]), normalization=([127.5], [127.5]))
    generator = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole[: generator.integers(8, len(whole) + 1)])
        for place in generator.integers(0, len(damaged), 3):
            damaged[place] = generator.integers(256)
        found = input_statistics(with_metadata(DIGITS, {ENTRY: bytes(damaged)}))
        assert all(low < high for low, high in found.values())
