"""The interpreter computes TFLM's integers where drawn models would hardly look; drawn ones are compared in
``tests/firmware/engine/test_differential.py``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value
from pytest_quantcheck.graph.model import Convolution
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.litert import LitertReferenceRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host


def every_int16(build: Callable[[TfliteWriter, Value], Value], scale: float) -> tuple[QuantizedModel, Raw]:
    """All 65536 inputs of an operator."""
    writer = TfliteWriter()
    x = writer.tensor((1, 1 << 16), "int16", scale=scale)
    values = np.arange(-(1 << 15), 1 << 15, dtype=np.int16)[None]
    return QuantizedModel("every", writer.finish([x], [build(writer, x)])), Raw(values)


# powers of two that are exact in the table's steps, nearly so, and others
@pytest.mark.parametrize(
    "scale", [2.0**-12, 2.0**-11, 1.9999999 * 2.0**-12, 2.0**-13, 1.2345678 * 2.0**-3, 2.5]
)
@pytest.mark.parametrize("kind", ["logistic", "tanh"])
def test_every_int16_goes_through_the_table_as_in_tflm(kind: str, scale: float) -> None:
    model, vectors = every_int16(lambda writer, x: getattr(writer, kind)(x), scale)
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("scale", [3.0 / 65536, 10.0 / 65536, 1.0])
def test_every_int16_difference_gives_the_softmax_of_tflm(scale: float) -> None:
    """Two values each, the first one the largest there is: the whole table of the exponential."""
    writer = TfliteWriter()
    x = writer.tensor((1, 1 << 16, 2), "int16", scale=scale)
    model = QuantizedModel("every", writer.finish([x], [writer.softmax(x)]))
    second = np.arange(-(1 << 15), 1 << 15)
    vectors = Raw(np.stack([np.full_like(second, 32767), second], axis=-1).astype(np.int16)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("scale", [2.0**-8, 0.0471, 0.5, 7.0])
def test_every_int8_difference_gives_the_softmax_of_tflm(scale: float, beta: float, dtype: str) -> None:
    """Two values each, the first one the largest there is; far below it the exponential is cut off."""
    writer = TfliteWriter()
    x = writer.tensor((1, 256, 2), scale=scale)
    model = QuantizedModel("every", writer.finish([x], [writer.softmax(x, beta, dtype)]))
    second = np.arange(-128, 128)
    vectors = Raw(np.stack([np.full_like(second, 127), second], axis=-1).astype(np.int8)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("zero_point", [-128, -1, 127])
@pytest.mark.parametrize("scale", [2.0**-8, 0.0471, 1.0, 7.0])
@pytest.mark.parametrize("kind", ["logistic", "tanh"])
def test_every_int8_gives_the_value_of_tflm(kind: str, scale: float, zero_point: int) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=zero_point)
    model = QuantizedModel("every", writer.finish([x], [getattr(writer, kind)(x)]))
    vectors = Raw(np.arange(-128, 128).astype(np.int8)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("zero_points", [(-128, 127), (-1, -5), (127, 0)])
@pytest.mark.parametrize("scale", [0.011, 3 / 128, 0.0471, 0.5, 7.0])
@pytest.mark.parametrize("step", [0.31, 1.0, 1.7])
def test_every_int8_gives_the_hard_swish_of_tflm(
    scale: float, step: float, zero_points: tuple[int, int]
) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=zero_points[0])
    y = writer.function("HARD_SWISH", x, scale=scale * step, zero_point=zero_points[1])
    model = QuantizedModel("every", writer.finish([x], [y]))
    vectors = Raw(np.arange(-128, 128).astype(np.int8)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("zero_points", [(-128, 127), (-1, -5), (127, 0)])
@pytest.mark.parametrize("scale", [0.0011, 3 / 128, 0.0471, 0.5, 7.0])
@pytest.mark.parametrize("step", [0.0031, 0.31, 1.0, 1.7, 300.0])
def test_every_int8_gives_the_elu_of_tflm(scale: float, step: float, zero_points: tuple[int, int]) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=zero_points[0])
    y = writer.function("ELU", x, scale=scale * step, zero_point=zero_points[1])
    model = QuantizedModel("every", writer.finish([x], [y]))
    vectors = Raw(np.arange(-128, 128).astype(np.int8)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
@pytest.mark.parametrize("scale", [0.0011, 3 / 128, 0.0471, 0.5, 7.0])
@pytest.mark.parametrize("step", [0.001, 0.031, 0.7])
def test_every_int8_gives_the_rsqrt_of_tflm(scale: float, step: float, zero_point: int) -> None:
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=-128)
    y = writer.function("RSQRT", x, scale=step, zero_point=zero_point)
    model = QuantizedModel("every", writer.finish([x], [y]))
    vectors = Raw(np.arange(-128, 128).astype(np.int8)[None])
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


LITERT_ONLY: dict[str, tuple[dict[str, bool], int, Callable[[float], float]]] = {
    "GELU": ({"Approximate": False}, 0, lambda scale: 0.7 * scale),
    "GELU with tanh": ({"Approximate": True}, 0, lambda scale: 0.7 * scale),
    "SQRT": ({}, -128, lambda scale: scale**0.5 / 7),
    "EXP": ({}, 0, lambda scale: math.exp(100 * scale) / 128),
    "LOG": ({}, -7, lambda _: 0.031),
    "RELU_N1_TO_1": ({}, 5, lambda scale: 1.3 * scale),
    "RELU_0_TO_1": ({}, 5, lambda scale: 1.3 * scale),
}


@pytest.mark.parametrize("scale", [0.0011, 3 / 128, 0.0471, 0.5])
@pytest.mark.parametrize("name", LITERT_ONLY)
def test_every_int8_gives_the_value_of_litert_where_tflm_has_no_kernel(name: str, scale: float) -> None:
    (options, zero_point, step), kind = LITERT_ONLY[name], name.partition(" ")[0]
    writer = TfliteWriter()
    x = writer.tensor((1, 256), scale=scale, zero_point=zero_point)
    y = writer.function(kind, x, scale=step(scale), zero_point=-20, **options)
    model = QuantizedModel("every", writer.finish([x], [y]))
    vectors = Raw(np.arange(-128, 128).astype(np.int8)[None])
    ours, theirs = (
        runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), LitertReferenceRunner())
    )
    assert np.array_equal(ours, theirs)
    assert len(np.unique(ours)) > 2
    assert exact_runner().run(model, vectors).runner == "integer"
    assert "TFLM has no integer kernel for it" in model.graph.notes[0]


@pytest.mark.parametrize(("bias", "rounding"), [(None, "reduced"), ("int64", "reduced"), ("int32", "double")])
def test_the_sums_of_an_int16_convolution_follow_its_bias(bias: str | None, rounding: str) -> None:
    rng = np.random.default_rng(0)
    writer = TfliteWriter()
    x = writer.tensor((1, 1, 1, 64), "int16", scale=0.001)
    weights = rng.integers(-127, 128, (32, 1, 1, 64)).astype(np.int8)
    offsets = None if bias is None else np.zeros(32, bias)
    y = writer.conv_2d(x, weights, offsets, weight_scale=0.01, scale=0.0013)
    model = QuantizedModel("convolution", writer.finish([x], [y]))
    params = model.graph.operators[0].params
    assert isinstance(params, Convolution)
    assert params.requantize.rounding == rounding
    vectors = Raw(rng.integers(-(1 << 15), 1 << 15, (200, 1, 1, 64)).astype(np.int16))
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


def at_the_far_end(kind: str, zero_point: int, nearly: list[int]) -> QuantizedModel:
    """An operator that brings some inputs to ``nearly`` 2**31 before its output's zero point is added.

    The scales' product is 1 - 2**-28, which makes the multiplier 2**31 - 8.
    """
    writer = TfliteWriter()
    x = writer.tensor((1, 1, 1, 1), scale=1 + 2**-14)
    if kind == "MUL":
        other = writer.tensor((1,), scale=1 - 2**-14, data=np.array([-128], np.int8))
        y = writer.mul(x, other, scale=2**-17, zero_point=zero_point)
        return QuantizedModel(kind, writer.finish([x], [y]))
    bias = np.array([2**30 - n if n > 0 else -(2**30) - n for n in nearly], np.int32)
    how: dict[str, Any] = {"weight_scale": 1 - 2**-14, "scale": 0.5, "zero_point": zero_point}
    if kind == "FULLY_CONNECTED":
        y = writer.fully_connected(x, np.ones((len(bias), 1), np.int8), bias, **how)
    elif kind == "DEPTHWISE_CONV_2D":
        y = writer.conv_2d(x, np.ones((1, 1, 1, len(bias)), np.int8), bias, depthwise=True, **how)
    else:
        y = writer.conv_2d(x, np.ones((len(bias), 1, 1, 1), np.int8), bias, **how)
    return QuantizedModel(kind, writer.finish([x], [y]))


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL"])
@settings(deadline=None)
@given(
    zero_point=st.sampled_from([-128, 127]) | st.integers(-128, 127),
    nearly=st.lists(st.integers(-200, 200), min_size=1, max_size=4),
)
@example(zero_point=127, nearly=[1])
@example(zero_point=-128, nearly=[0])
def test_a_sum_beyond_32_bits_wraps_as_in_tflm(kind: str, zero_point: int, nearly: list[int]) -> None:
    model = at_the_far_end(kind, zero_point, nearly)
    vectors = Raw(np.arange(-128, 128, dtype=np.int8).reshape(-1, 1, 1, 1))
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)


def test_the_multiplier_of_fully_connected_is_a_product_of_doubles() -> None:
    """Biases half way between what the float32 and the float64 product round to different integers."""
    scale, weight_scale, scale_out = (float(np.float32(x)) for x in (0.001, 0.01, 190.0))
    exact = scale * weight_scale / scale_out
    rough = float(np.float32(scale) * np.float32(weight_scale)) / scale_out
    steps = np.arange(20, 100) + 0.5
    bias = ((steps / exact + steps / rough) / 2).astype(np.int32)
    writer = TfliteWriter()
    x = writer.tensor((1, 1), scale=scale)
    weights = np.zeros((len(bias), 1), np.int8)
    y = writer.fully_connected(x, weights, bias, weight_scale=weight_scale, scale=scale_out)
    model, vectors = QuantizedModel("bias", writer.finish([x], [y])), Raw(np.zeros((1, 1), np.int8))
    ours, theirs = (runner.run(model, vectors).outputs[0][0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, np.floor(bias * rough + 0.5))


def test_an_image_is_enlarged_by_way_of_five_axes() -> None:
    """What Keras 3 makes of UpSampling2D."""
    writer = TfliteWriter()
    x = writer.tensor((1, 3, 4, 2), scale=0.1, zero_point=5)
    parts = writer.reshape(x, (1, 3, 1, 4, 2))
    twice = writer.moved("TILE", parts, (1, 3, 2, 4, 2), [1, 1, 2, 1, 1])
    model = QuantizedModel("enlarged", writer.finish([x], [writer.reshape(twice, (1, 6, 4, 2))]))
    values = np.random.default_rng(0).integers(-128, 128, (5, 3, 4, 2)).astype(np.int8)
    run = IntegerRunner().run(model, Raw(values))
    assert np.array_equal(run.outputs[0], np.repeat(values, 2, axis=1))
    assert compile_image(model.graph).data
