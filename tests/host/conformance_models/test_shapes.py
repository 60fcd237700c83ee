"""The four network shapes: published sizes, activations that use their range, exact on the host."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.shapes import SHAPES, model
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

# Multiply-accumulates of the published networks, and the most bytes of activations alive at once.
PUBLISHED = {
    "resnet8": (12_501_632, 49_152),
    "ds-cnn": (2_656_768, 16_000),
    "mobilenet": (7_489_664, 55_296),
    "autoencoder": (264_192, 768),
}


def vectors(name: str, count: int) -> Raw:
    shape = model(name).graph.tensors[model(name).graph.inputs[0]].shape
    return Raw(np.random.default_rng(1).integers(-128, 128, (count, *shape[1:])).astype(np.int8))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_published_multiply_accumulates(name: str) -> None:
    assert model(name).manifest["macs"] == PUBLISHED[name][0]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_the_same_bytes_every_time(name: str) -> None:
    assert model(name).sha256 == model(name).sha256
    assert model(name).sha256 != model(name, seed=1).sha256


@pytest.mark.parametrize("name", SHAPES)
def test_the_interpreter_equals_tflm_in_every_operator_of_a_shape(name: str) -> None:
    shape, samples = model(name), vectors(name, 3)
    integer = IntegerRunner().run(shape, samples, operators=True)
    tflm = TflmRunner().run(shape, samples, operators=True)
    assert integer.operators == tflm.operators
    np.testing.assert_array_equal(integer.outputs[0], tflm.outputs[0])


@pytest.mark.parametrize("name", SHAPES)
def test_outputs_of_a_shape_depend_on_its_inputs(name: str) -> None:
    outputs = IntegerRunner().run(model(name), vectors(name, 5)).outputs[0]
    assert len(np.unique(outputs.reshape(5, -1), axis=0)) > 1


@pytest.mark.parametrize("name", SHAPES)
def test_the_arena_of_a_shape_is_within_five_percent_of_what_is_alive_at_once(name: str) -> None:
    assert compile_image(model(name).graph).arena_bytes <= 1.05 * PUBLISHED[name][1]
