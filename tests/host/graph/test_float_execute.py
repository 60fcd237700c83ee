"""The network in real numbers: near the integers where all is rounded, and what is replaced is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from conformance_models import onnx_nets
from pytest_quantcheck.graph.execute import computed, run_batch
from pytest_quantcheck.graph.float_execute import activations, real_values, round_to, run_float
from pytest_quantcheck.graph.model import Quantization
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.verdict.metrics.regression import sqnr
from tests.catalogue import networks

pytestmark = pytest.mark.host

NETWORKS = (networks.pictures, networks.gates, networks.branches, networks.wide, networks.pairs)


def inputs_of(model: QuantizedModel) -> list[Array]:
    return [np.asarray(x, np.float32)[:, None] for x in networks.samples_of(model).inputs]


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_with_every_activation_rounded_it_is_the_integer_network_but_for_a_few_steps(
    build: Callable[[int], QuantizedModel],
) -> None:
    model = build(0)
    graph = model.graph
    raw = prepare.quantize_inputs(model, networks.samples_of(model))
    integers = run_batch(graph, prepare.model_inputs(model, raw))
    real = run_float(graph, inputs_of(model), rounded=activations(graph))
    for index in graph.outputs:
        q = graph.tensors[index].quantization
        assert q is not None
        steps = computed(real[index]) / q.scale[0] + q.zero_point[0]
        off = np.abs(steps - computed(integers[index]).reshape(steps.shape))
        assert off.max() <= 8
        assert np.median(off) <= 1.01


def test_without_rounding_it_is_nearer_to_the_true_network() -> None:
    """A finer scale changes it less than the artefact's own does."""
    model = networks.pictures(0)
    graph, inputs = model.graph, inputs_of(networks.pictures(0))
    last = graph.operators[-2].outputs[0]
    exact = computed(run_float(graph, inputs)[last])
    rounded = computed(run_float(graph, inputs, rounded=activations(graph))[last])
    q = graph.tensors[last].quantization
    assert q is not None
    coarse = {last: Quantization(q.scale * 8, q.zero_point)}
    coarser = computed(run_float(graph, inputs, rounded=activations(graph), scales=coarse)[last])
    assert 0 < np.abs(rounded - exact).mean() < np.abs(coarser - exact).mean()


def test_constants_take_the_place_of_the_artefacts() -> None:
    model = networks.wide(0)
    graph = model.graph
    op = graph.operators[0]
    weights = real_values(graph.tensors[op.inputs[1]])
    one = computed(run_float(graph, inputs_of(model))[op.outputs[0]])
    same = computed(run_float(graph, inputs_of(model), constants={op.inputs[1]: weights})[op.outputs[0]])
    np.testing.assert_array_equal(one, same)
    none = computed(run_float(graph, inputs_of(model), constants={op.inputs[1]: 0 * weights})[op.outputs[0]])
    assert np.ptp(none, axis=(0, 1, 2, 3)).max() == 0


def test_rounding_knows_limits_zero_point_and_channels() -> None:
    graph = networks.pictures(0).graph
    source = graph.tensors[graph.inputs[0]]
    q = Quantization(np.array([0.5], np.float32), np.array([-3], np.int64))
    tensor = replace(source, quantization=q)
    np.testing.assert_array_equal(round_to(tensor, np.array([0.3, 0.0, 1e9, -1e9])), [0.5, 0, 65, -62.5])
    weights = next(t for t in graph.tensors if t.quantization is not None and len(t.quantization.scale) > 1)
    assert weights.data is not None
    assert weights.quantization is not None
    first = real_values(weights).take(0, weights.quantization.axis)
    expected = weights.data.take(0, weights.quantization.axis) * weights.quantization.scale[0]
    np.testing.assert_allclose(first, expected, rtol=1e-6)


def test_an_average_that_was_lowered_to_ones_is_an_average() -> None:
    """ONNX: the factor of the operator holds the count, not the scales."""
    data = onnx_nets.residual_data()
    model = quantize(onnx_nets.residual(), QuantConfig(quantizer="onnx"), data, name="net")
    graph = model.graph
    raw = prepare.model_inputs(model, prepare.quantize_inputs(model, data.test))
    shape = graph.tensors[graph.inputs[0]].shape
    real = run_float(graph, [np.asarray(data.test.inputs[0], np.float32).reshape(-1, *shape)])
    last = next(op for op in graph.operators if op.kind == "FULLY_CONNECTED").outputs[0]
    q = graph.tensors[last].quantization
    assert q is not None
    exact = (computed(run_batch(graph, raw)[last]) - q.zero_point[0]) * q.scale[0]
    assert sqnr(exact.reshape(computed(real[last]).shape), computed(real[last])) > 30
