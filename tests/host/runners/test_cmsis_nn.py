"""CMSIS-NN's single rounding, computed again with Python's integers, and only where CMSIS-NN computes."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.cmsis_nn import CmsisNnRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.registry import host_runner

pytestmark = pytest.mark.host


def once(x: int, multiplier: int, shift: int) -> int:
    """``arm_nn_requantize``: ``x * multiplier``, shifted by all but one bit, one added, the last bit."""
    return ((x * multiplier >> 30 - shift) + 1) >> 1


def test_a_dense_layer_rounds_once():
    luck = np.random.default_rng(5)
    writer = TfliteWriter()
    x = writer.tensor((1, 16), scale=0.05, zero_point=-3)
    weights = luck.integers(-127, 128, (64, 16)).astype(np.int8)
    y = writer.fully_connected(x, weights, None, weight_scale=0.002, scale=0.0313, zero_point=4)
    model = QuantizedModel("dense", writer.finish([x], [y]))
    samples = luck.integers(-128, 128, (400, 16)).astype(np.int8)
    seen = CmsisNnRunner().run(model, Raw(samples))
    (operator,) = model.graph.operators
    rule = operator.params.requantize
    sums = (samples.astype(int) + 3) @ weights.astype(int).T
    wanted = [
        [
            min(127, max(-128, once(int(each), int(rule.multiplier[0]), int(rule.shift[0])) + 4))
            for each in row
        ]
        for row in sums
    ]
    assert seen.outputs[0].tolist() == wanted
    assert not seen.exact
    twice = IntegerRunner().run(model, Raw(samples)).outputs[0]
    assert 0 < np.count_nonzero(twice != seen.outputs[0]) < 300
    assert np.abs(twice.astype(int) - seen.outputs[0]).max() == 1


def test_what_cmsis_nn_does_not_compute_stays_as_it_is():
    writer = TfliteWriter()
    x = writer.tensor((1, 6, 6, 2), scale=0.05, zero_point=-3)
    y = writer.mean(writer.quantize(x, scale=0.043, zero_point=7), [1, 2], keep=False, scale=0.021)
    model = QuantizedModel("mean", writer.finish([x], [y]))
    vectors = Raw(np.random.default_rng(6).integers(-128, 128, (90, 6, 6, 2)).astype(np.int8))
    seen, right = (
        runner.run(model, vectors, operators=True) for runner in (CmsisNnRunner(), IntegerRunner())
    )
    assert seen.operators == right.operators


def test_each_operator_of_a_network_may_round_otherwise_and_its_tensor_is_given():
    model, samples = demo_models()[0], demo_samples().take(range(8))
    runner = host_runner("cmsis_nn")
    seen = runner.run(model, samples, operators=True)
    right = IntegerRunner().run(model, samples, operators=True)
    first = next(a.kind for a, b in zip(seen.operators[0], right.operators[0], strict=True) if a != b)
    assert first == "CONV_2D"
    one = [each[0] for each in seen.inputs]
    output = runner.tensor(model, one, 0).astype(int) - IntegerRunner().tensor(model, one, 0)
    assert np.abs(output).max() == 1
    assert "single rounding" in seen.runtime
