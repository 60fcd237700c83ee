"""Dead channels are taken out of a graph without changing any output, and no more of them than is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.folding import without_dead_channels
from pytest_quantcheck.graph.macs import graph_macs
from pytest_quantcheck.graph.model import Convolution, FullyConnected, QuantGraph, Requantize
from pytest_quantcheck.graph.read import read_graph
from tests.dead_channels import network

pytestmark = pytest.mark.host


def random_input(graph: QuantGraph, samples: int = 3):
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(1).integers(-128, 128, (samples, *shape)).astype(np.int8)


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_value_that_is_left_is_the_same(seed):
    assert_same_values(read_graph(network(seed)))


def assert_same_values(graph: QuantGraph) -> None:
    folded = without_dead_channels(graph)
    inputs = [random_input(graph)]
    before, after = execute.run_batch(graph, inputs), execute.run_batch(folded, inputs)
    assert [op.index for op in folded.operators] == [op.index for op in graph.operators]
    for op in graph.operators:
        kept = folded.output_of(op).kept
        value = execute.computed(before[op.outputs[0]])
        left = value if kept is None else value[..., list(kept)]
        np.testing.assert_array_equal(execute.computed(after[op.outputs[0]]), left)
    assert graph_macs(folded) <= graph_macs(graph)


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1), rounding=st.sampled_from(["double", "double", "float", "half_even"]))
def test_sums_that_wrap_or_saturate_are_the_same_as_before(seed, rounding):
    random, graph = np.random.default_rng(seed), read_graph(network(seed))
    operators = []
    for op in graph.operators:
        if isinstance(op.params, (Convolution, FullyConnected)):
            rule = random_rule(random, graph.output_of(op).shape[-1], rounding)
            op = replace(op, params=replace(op.params, requantize=rule))
        operators.append(op)
    assert_same_values(replace(graph, operators=tuple(operators)))


def random_rule(random: np.random.Generator, count: int, rounding: str) -> Requantize:
    """Of every size, so that sums leave 32 bits."""
    low, high = {"double": (-31, 31), "float": (-31, 4), "half_even": (-20, 4)}[rounding]
    multiplier = random.integers(*{"double": (0, 1 << 31), "half_even": (1, 9)}.get(rounding, (1, 2)), count)
    if rounding == "float":
        multiplier = random.integers(1 << 23, 1 << 24, count) << 7
    return Requantize(multiplier, random.integers(low, high, count), rounding)


def chain(*, padding: str, zero_point: int, bias: int, second: bool = False) -> QuantGraph:
    """Two convolutions of 3x3 with 16 channels between them, of which the first four have no weights."""
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    first = random.integers(-127, 128, (16, 1, 1, 4)).astype(np.int8)
    first[:4] = 0
    x = writer.conv_2d(
        image,
        first,
        np.full(16, bias, np.int32),
        weight_scale=0.001,
        scale=0.02,
        zero_point=zero_point,
    )
    weights = random.integers(-127, 128, (4, 3, 3, 16)).astype(np.int8)
    y = writer.conv_2d(x, weights, None, weight_scale=0.001, scale=0.02, padding=padding)
    return read_graph(writer.finish([image], [y, x] if second else [y]))


def left(graph: QuantGraph) -> int:
    """Channels between the two convolutions."""
    return without_dead_channels(graph).output_of(graph.operators[0]).shape[-1]


def test_a_constant_behind_padding_goes_only_where_padding_has_its_value():
    assert left(chain(padding="VALID", zero_point=-3, bias=9000)) == 12
    assert left(chain(padding="SAME", zero_point=-3, bias=0)) == 12
    assert left(chain(padding="SAME", zero_point=-3, bias=9000)) == 16


@pytest.mark.parametrize(
    ("window", "shape"),
    [
        ({"pad_top": 1}, (1, 6, 6, 4)),
        ({"pad_left": 1}, (1, 6, 6, 4)),
        ({}, (1, 7, 6, 4)),
        ({}, (1, 6, 7, 4)),
        ({"stride_h": 2}, (1, 4, 6, 4)),
        ({"dilation_w": 2}, (1, 6, 5, 4)),
    ],
)
def test_padding_on_any_side_keeps_a_constant_of_another_value(window, shape):
    graph = chain(padding="VALID", zero_point=-3, bias=9000)
    last = graph.operators[-1]
    assert isinstance(last.params, Convolution)
    params = replace(last.params, window=replace(last.params.window, **window))
    tensors = [replace(t, shape=shape) if t.index == last.outputs[0] else t for t in graph.tensors]
    changed = replace(
        graph, tensors=tuple(tensors), operators=(graph.operators[0], replace(last, params=params))
    )
    assert left(changed) == 16


def test_of_two_readers_each_gets_what_it_needs():
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    weights = random.integers(1, 128, (16, 1, 1, 4)).astype(np.int8)
    x = writer.conv_2d(image, weights, None, weight_scale=0.001, scale=0.02)
    outputs = []
    for part in (slice(8), slice(8, 16)):
        weights = random.integers(1, 128, (4, 1, 1, 16)).astype(np.int8)
        weights[..., part] = 0
        weights[0] = 0
        outputs.append(writer.conv_2d(x, weights, None, weight_scale=0.001, scale=0.02))
    assert left(read_graph(writer.finish([image], outputs))) == 16


def test_a_mean_over_channels_is_not_one_of_each_channel():
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 3, 8, 4), scale=0.02, zero_point=1)
    weights = random.integers(1, 128, (8, 1, 1, 4)).astype(np.int8)
    x = writer.conv_2d(image, weights, None, weight_scale=0.001, scale=0.02)
    x = writer.mean(x, (3,), keep=False, scale=0.02)
    dense = random.integers(1, 128, (4, 8)).astype(np.int8)
    dense[:, :4] = dense[0] = 0
    x = writer.fully_connected(x, dense, None, weight_scale=0.001, scale=0.02)
    assert left(read_graph(writer.finish([image], [x]))) == 8


def test_a_tensor_that_is_an_output_as_well_keeps_its_channels():
    assert left(chain(padding="VALID", zero_point=-3, bias=9000, second=True)) == 16


def test_channels_that_nobody_reads_go_as_well_and_so_do_their_sums():
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    dense = random.integers(1, 128, (16, 1, 1, 4)).astype(np.int8)
    x = writer.conv_2d(image, dense, None, weight_scale=0.001, scale=0.02, zero_point=-128, activation="RELU")
    planes = random.integers(1, 128, (1, 3, 3, 16)).astype(np.int8)
    planes[..., ::2] = 0
    x = writer.conv_2d(x, planes, None, weight_scale=0.001, scale=0.02, zero_point=-128, depthwise=True)
    x = writer.conv_2d(x, dense.reshape(4, 1, 1, 16), None, weight_scale=0.001, scale=0.02)
    graph = read_graph(writer.finish([image], [x]))
    folded = without_dead_channels(graph)
    kept = [folded.output_of(op).kept for op in folded.operators]
    assert kept == [tuple(range(1, 16, 2)), tuple(range(1, 16, 2)), None]
    assert 2 * graph_macs(folded) == graph_macs(graph)


def test_a_constant_passes_through_a_depthwise_layer_and_stops_at_a_layer_that_sums():
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    first = random.integers(1, 128, (16, 1, 1, 4)).astype(np.int8)
    first[:8] = 0
    x = writer.conv_2d(image, first, None, weight_scale=0.001, scale=0.02, zero_point=-3)
    planes = random.integers(1, 128, (1, 3, 3, 16)).astype(np.int8)
    x = writer.conv_2d(x, planes, None, weight_scale=0.001, scale=0.02, depthwise=True)
    square = random.integers(1, 128, (16, 3, 3, 16)).astype(np.int8)
    square[8:] = 0
    x = writer.conv_2d(x, square, None, weight_scale=0.001, scale=0.02)
    x = writer.conv_2d(x, first[:4].reshape(1, 1, 1, 16) + 1, None, weight_scale=0.001, scale=0.02)
    graph = read_graph(writer.finish([image], [x]))
    folded = without_dead_channels(graph)
    kept = [folded.output_of(op).kept for op in folded.operators]
    assert kept == [tuple(range(8, 16)), tuple(range(8, 16)), tuple(range(8)), None]


def test_a_channel_that_no_input_moves_is_a_constant_and_fast():
    """Tiny weights beside a large bias and a small multiplier, as converters make them of dead channels."""
    graph = chain(padding="VALID", zero_point=-3, bias=0)
    first = graph.operators[0]
    assert isinstance(first.params, Convolution)
    bias = np.full(16, 100, np.int32)
    bias[4:8] = 1 << 30
    rule = Requantize(np.full(16, 1 << 30), np.where(bias == 100, -7, -27))
    data = {first.inputs[2]: bias}
    tensors = [replace(t, data=data.get(t.index, t.data)) for t in graph.tensors]
    changed = replace(first, params=replace(first.params, requantize=rule))
    graph = replace(graph, tensors=tuple(tensors), operators=(changed, *graph.operators[1:]))
    assert left(graph) == 8
    graph = replace(graph, outputs=(first.outputs[0],), operators=graph.operators[:1])
    kept = without_dead_channels(graph).operators[0].params
    assert isinstance(kept, Convolution)
    assert kept.requantize.shift.tolist() == [-1] * 8 + [-7] * 8


def test_a_channel_that_saturates_within_the_picture_but_not_at_its_border_stays():
    """Constants of 130 above the zero point: 36 of them saturate whatever is added, 16 in a corner do not."""
    writer = TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=0)
    first = np.zeros((16, 1, 1, 4), np.int8)
    first[4:] = 127
    bias = np.where(first.any(axis=(1, 2, 3)), 0, 1 << 20).astype(np.int32)
    x = writer.conv_2d(image, first, bias, weight_scale=0.02, scale=0.02, zero_point=-3)
    weights = np.zeros((8, 3, 3, 16), np.int8)
    weights[..., :4] = 1
    weights[:, 1, 1, 4] = 1
    x = writer.conv_2d(x, weights, None, weight_scale=0.065, scale=0.02, zero_point=-3)
    x = writer.conv_2d(x, first[4:8, ..., :1].repeat(8, axis=3), None, weight_scale=0.001, scale=0.02)
    assert_same_values(read_graph(writer.finish([image], [x])))


def test_a_result_that_wraps_for_some_inputs_is_no_constant():
    graph = chain(padding="VALID", zero_point=-3, bias=0)
    first = graph.operators[0]
    assert isinstance(first.params, Convolution)
    rule = Requantize(np.full(16, (1 << 31) - 1), np.zeros(16, np.int64))
    params = replace(first.params, requantize=rule, output_zero_point=127)
    weights = np.ones((16, 1, 1, 4), np.int8)
    data = {first.inputs[1]: weights, first.inputs[2]: np.full(16, (1 << 31) - 508, np.int32)}
    tensors = [replace(t, data=data.get(t.index, t.data)) for t in graph.tensors]
    operators = (replace(first, params=params), *graph.operators[1:])
    assert_same_values(replace(graph, tensors=tuple(tensors), operators=operators))


def test_a_graph_without_dead_channels_is_left_alone():
    random, writer = np.random.default_rng(0), TfliteWriter()
    image = writer.tensor((1, 8, 8, 4), scale=0.02, zero_point=1)
    weights = random.integers(1, 128, (16, 3, 3, 4)).astype(np.int8)
    x = writer.conv_2d(image, weights, None, weight_scale=0.001, scale=0.02)
    graph = read_graph(writer.finish([image], [x]))
    assert without_dead_channels(graph) is graph
