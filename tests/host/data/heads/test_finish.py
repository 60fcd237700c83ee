"""Outputs that are constants, such as anchors: no network computes them, and a task finds them in their
place."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.tasks.heads.finish import Finish
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.registry import host_runner

pytestmark = pytest.mark.host
CONSTANT = np.arange(-12, 12, dtype=np.int8).reshape(1, 6, 4)


def model(place=1, *, scale=0.5, zero_point=3):
    """Two outputs that are computed, and a constant at ``place`` among them."""
    writer = TfliteWriter()
    x = writer.tensor((1, 8), scale=0.1, zero_point=0, name="x")
    outputs = [writer.reshape(x, (1, 2, 4)), writer.reshape(x, (1, 4, 2))]
    constant = writer.tensor(
        CONSTANT.shape, scale=scale, zero_point=zero_point, data=CONSTANT, name="anchors"
    )
    outputs.insert(place, constant)
    return writer.finish([x], outputs)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_constant_comes_back_in_its_place(place):
    made = QuantizedModel("anchored", model(place))
    assert [tensor.shape for tensor in read_tflite_summary(made.artefact).output_tensors] == [
        (1, 2, 4),
        (1, 4, 2),
    ]
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    run = host_runner("tflm").run(made, Samples(x))
    outputs = made.finish(run.outputs)
    assert np.array_equal(
        outputs[place], np.broadcast_to(0.5 * (CONSTANT[0].astype(np.float32) - 3), (3, 6, 4))
    )
    assert [each for i, each in enumerate(outputs) if i != place] == list(run.outputs)


def test_a_model_whose_outputs_are_all_computed_stays_as_it_is():
    writer = TfliteWriter()
    x = writer.tensor((1, 8), scale=0.1, zero_point=0, name="x")
    content = writer.finish([x], [writer.reshape(x, (1, 2, 4))])
    assert Finish.cut_off(content) == (content, None)
    assert Finish.cut_off(b"") == (b"", None)
