"""Metadata of a ``.tflite`` file: put there without changing what the network computes, and read back."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL, demo_models, demo_samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite_metadata import read_metadata, with_metadata
from pytest_quantcheck.models.schema import semantic_sha256
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.registry import host_runner

pytestmark = pytest.mark.host

INT8 = demo_models()[0].artefact
FLOAT = (DATA / FLOAT_MODEL).read_bytes()


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=200), max_size=5))
def test_what_is_put_in_is_read_back_and_the_rest_stays(entries: dict[str, bytes]) -> None:
    entries = {name.encode("utf-8", "replace").decode(): data for name, data in entries.items()}
    before = read_metadata(INT8)
    made = with_metadata(INT8, entries)
    assert read_metadata(made) == {**before, **entries}
    assert semantic_sha256(made) == semantic_sha256(INT8)
    assert INT8 in made


@pytest.mark.parametrize("runner", ["tflm", "litert", "litert_reference", "integer"])
def test_every_runtime_computes_the_same_with_metadata(runner: str) -> None:
    samples = demo_samples().take(range(8))
    made = with_metadata(INT8, {"SL_PARAMSv1": b"x" * 1001})
    one, other = (host_runner(runner).run(QuantizedModel("m", each), samples) for each in (INT8, made))
    assert np.array_equal(one.outputs[0], other.outputs[0])


def test_weights_are_aligned_as_before() -> None:
    def places(content: bytes) -> list[int]:
        model = tflite.Model.GetRootAs(content, 0)
        buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
        return [b._tab.Vector(b._tab.Offset(4)) % 16 for b in buffers if b.DataLength()]

    for size in range(1, 40):
        made = places(with_metadata(INT8, {"x": bytes(size)}))
        assert made[: len(places(INT8))] == places(INT8)
        assert made[-1] == 0


def test_setting_again_replaces_and_adds_nothing() -> None:
    first = with_metadata(FLOAT, {"a": b"1" * 100, "b": b"2"})
    second = with_metadata(first, {"a": b"3" * 100})
    assert len(second) == len(first)
    assert read_metadata(second)["a"] == b"3" * 100
    assert read_metadata(second)["b"] == b"2"
    assert with_metadata(second, {"a": b"1" * 100}) == first


@pytest.mark.parametrize("content", [b"", b"abc", bytes(64), INT8[:40], INT8[:8] + bytes(200)])
def test_what_is_no_sound_file_is_refused(content: bytes) -> None:
    for act in (read_metadata, lambda file: with_metadata(file, {"a": b"1"})):
        with pytest.raises(ModelError):
            act(content)


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=30))
def test_damage_ends_as_a_model_error_or_is_read(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(with_metadata(INT8, {"a": b"1" * 100}))
    for place, value in changes:
        damaged[place % len(damaged)] = value
    for act in (read_metadata, lambda file: with_metadata(file, {"a": b"2"})):
        with suppress(ModelError):
            act(bytes(damaged))
