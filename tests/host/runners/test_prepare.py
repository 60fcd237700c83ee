"""From float vectors to a model's own tensors and back."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

SCALE, ZERO_POINT = 0.037, -11


def model(scale: float = SCALE, zero_point: int = ZERO_POINT) -> QuantizedModel:
    writer = TfliteWriter()
    source = writer.tensor((1, 4, 3), scale=scale, zero_point=zero_point, name="input")
    return QuantizedModel("small", writer.finish([source], [writer.relu6(source)]))


@settings(deadline=None)
@given(st.integers(0, 2**16), st.floats(1e-3, 10), st.integers(-128, 127))
def test_samples_become_the_integers_that_tflm_quantizes_to(seed: int, scale: float, zero_point: int) -> None:
    x = np.random.default_rng(seed).normal(0, 100 * scale, (3, 4, 3)).astype(np.float32)
    x[0] = np.float32(scale) * np.arange(-6, 6).reshape(4, 3) / 2  # halves of a step
    writer = TfliteWriter()
    source = writer.tensor((1, 4, 3), "float32")
    edge = writer.finish([source], [writer.quantize(source, scale=scale, zero_point=zero_point)])
    oracle = TflmRunner().run(QuantizedModel("edge", edge), Samples(x)).outputs[0]
    (ours,) = prepare.quantize_inputs(model(scale, zero_point), Samples(x))
    assert np.array_equal(ours, oracle)


@pytest.mark.parametrize("shape", [(7, 4, 3), (7, 1, 4, 3)])
def test_the_models_own_batch_axis_may_be_given_or_left_out(shape: tuple[int, ...]) -> None:
    (raw,) = prepare.quantize_inputs(model(), Samples(np.zeros(shape)))
    assert raw.shape == (7, 4, 3)
    assert np.all(raw == ZERO_POINT)


def test_dequantized_outputs_are_real_values() -> None:
    raw = np.asarray([[-128], [-11], [127]], np.int8)
    real = prepare.dequantize_output(model(), raw)
    assert real.dtype == np.float32
    assert np.allclose(real[:, 0], [SCALE * -117, 0, SCALE * 138])


def test_outputs_of_another_size_than_the_file_declares_are_an_error() -> None:
    assert prepare.model_outputs(model(), [np.zeros((2, 12), np.int8)])[0].shape == (2, 4, 3)
    with pytest.raises(ModelError, match=r"declares output 0 as \(1, 4, 3\) and computes 13 values"):
        prepare.model_outputs(model(), [np.zeros((2, 13), np.int8)])


def test_raw_integers_pass_unchanged() -> None:
    raw = np.arange(24, dtype=np.int8).reshape(2, 4, 3)
    assert np.array_equal(prepare.quantize_inputs(model(), Raw(raw))[0], raw)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (Raw(np.zeros((2, 4, 3), np.uint8)), "the model takes int8"),
        (Raw(np.zeros((2, 4, 4), np.int8)), r"takes \(N, 4, 3\), given: \(2, 4, 4\)"),
        (Raw((np.zeros((2, 4, 3), np.int8),) * 2), "has 1 inputs, the vectors 2"),
        (Raw(np.zeros((0, 4, 3), np.int8)), "no sample"),
        (Samples(np.full((1, 4, 3), np.nan), ids=["broken-17"]), r"broken-17 holds nan at \[0, 0\]"),
        (Samples(np.full((1, 4, 3), -np.inf), ids=["far"]), "far holds -inf .* allowed: finite numbers"),
    ],
)
def test_vectors_that_do_not_fit_are_named(vectors: Raw | Samples, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare.quantize_inputs(model(), vectors)


def float_edge(scale: float = 0.5) -> QuantizedModel:
    writer = TfliteWriter()
    source = writer.tensor((1, 4), "float32", name="image")
    return QuantizedModel(
        "edge", writer.finish([source], [writer.quantize(source, scale=scale, zero_point=3)])
    )


@pytest.mark.parametrize("kind", [Samples, Raw])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e9, 1e9])
def test_a_float_input_takes_nothing_that_runtimes_convert_differently(kind, value: float) -> None:
    x = np.zeros((3, 4), np.float32)
    x[2, 1] = value
    message = re.escape(f"2 holds {np.float32(value)} at [1] of input 'image'; allowed: -5.36871e+08 to")
    with pytest.raises(UsageError, match=message):
        prepare.quantize_inputs(float_edge(), kind(x))


@pytest.mark.parametrize("value", [2.0**29, -(2.0**29)])
def test_the_largest_values_that_a_float_input_takes_saturate_everywhere(value: float) -> None:
    vectors = Raw(np.full((1, 4), value, np.float32))
    ours, theirs = (each.run(float_edge(), vectors).outputs[0] for each in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)
    assert set(ours.flat) == {127 if value > 0 else -128}


def test_an_integer_input_without_a_scale_is_a_model_error() -> None:
    writer = TfliteWriter()
    source = writer.tensor((1, 4), "int8")
    plain = QuantizedModel("plain", writer.finish([source], [writer.reshape(source, (4, 1))]))
    with pytest.raises(ModelError, match="with 0 scales"):
        prepare.quantize_inputs(plain, Samples(np.zeros((1, 4))))


@pytest.mark.parametrize("scale", [0.0, -0.5, np.nan, np.inf])
def test_an_input_whose_scale_cannot_be_is_a_model_error(scale: float) -> None:
    with pytest.raises(ModelError, match=r"\(input\) has the scale .*; one above 0 is allowed"):
        prepare.quantize_inputs(model(scale), Samples(np.zeros((1, 4, 3), np.float32)))
