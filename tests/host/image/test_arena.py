"""The arena plan never lets two live buffers overlap, and wastes next to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph.model import (
    Add,
    Convolution,
    Operator,
    QuantGraph,
    Requantize,
    Rescale,
    Reshape,
    Softmax,
    Tensor,
    Window,
)
from pytest_quantcheck.image import arena
from pytest_quantcheck.image.arena import Buffer, lower_bound, place

pytestmark = pytest.mark.host

RULE = Requantize(np.asarray([1 << 30]), np.asarray([-1]))
CONV = Convolution(Window(1, 1), 0, 0, RULE, -128, 127)
ADD = Add(20, 0, 0, 0, RULE, RULE, RULE, -128, 127)
RELU = Rescale(0, 0, None, 0, 127)


class Network:
    """A graph of activations only: sizes and who reads what decide a plan, weights do not."""

    def __init__(self, *inputs: int) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.inputs = tuple(self.tensor(size) for size in inputs)

    def tensor(self, size: int) -> int:
        self.tensors.append(Tensor(len(self.tensors), "", (size,), np.dtype("int8")))
        return len(self.tensors) - 1

    def __call__(self, params: object, *inputs: int, size: int) -> int:
        output = self.tensor(size)
        self.operators.append(Operator(len(self.operators), "", inputs, (output,), params))  # type: ignore[arg-type]
        return output

    def plan(self, *outputs: int, scratch: tuple[int, ...] = ()) -> arena.ArenaPlan:
        graph = QuantGraph(tuple(self.tensors), tuple(self.operators), self.inputs, outputs, "00" * 32)
        return arena.plan(graph, scratch or (0,) * len(self.operators))


buffers = st.lists(
    st.builds(
        lambda size, first, length: Buffer(size, first, first + length),
        st.integers(1, 2000),
        st.integers(0, 12),
        st.integers(0, 5),
    ),
    max_size=25,
)


@given(buffers)
@settings(max_examples=150, deadline=None)
def test_buffers_that_meet_never_overlap(drawn: list[Buffer]) -> None:
    placed = place(drawn)
    assert placed.size >= placed.lower_bound == lower_bound(drawn)
    for i, a in enumerate(drawn):
        assert placed.offsets[i] % 16 == 0
        assert placed.offsets[i] + a.size <= placed.size
        for j, b in enumerate(drawn[:i]):
            if a.meets(b):
                apart = (
                    placed.offsets[i] + a.size <= placed.offsets[j]
                    or placed.offsets[j] + b.size <= placed.offsets[i]
                )
                assert apart


@given(buffers)
@settings(max_examples=30, deadline=None)
def test_the_plan_is_reproducible(drawn: list[Buffer]) -> None:
    assert place(drawn) == place(drawn)


def test_the_lower_bound_is_the_fullest_moment() -> None:
    assert lower_bound([Buffer(10, 0, 1), Buffer(20, 1, 2), Buffer(40, 3, 3)]) == 48
    assert lower_bound([]) == 0


def _residual() -> Network:
    """ResNet-8 of MLPerf Tiny."""
    net = Network(32 * 32 * 3)
    x = net(CONV, net.inputs[0], size=32 * 32 * 16)
    y = net(CONV, net(CONV, x, size=32 * 32 * 16), size=32 * 32 * 16)
    x = net(ADD, x, y, size=32 * 32 * 16)
    for size in (16 * 16 * 32, 8 * 8 * 64):
        y = net(CONV, net(CONV, x, size=size), size=size)
        x = net(ADD, net(CONV, x, size=size), y, size=size)
    net(Softmax(1 << 30, 23, -248), net(CONV, x, size=10), size=10)
    return net


def _separable() -> Network:
    """MobileNetV1 0.25 of MLPerf Tiny."""
    net = Network(96 * 96 * 3)
    x = net(CONV, net.inputs[0], size=48 * 48 * 8)
    edge, channels = 48, 8
    for outputs, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2)):
        edge //= stride
        x = net(CONV, x, size=edge * edge * channels)
        channels = outputs
        x = net(CONV, x, size=edge * edge * channels)
    net(CONV, x, size=2)
    return net


def _branches() -> Network:
    """Four branches of different depth that meet in one concatenation, again and again."""
    net = Network(4000)
    x = net.inputs[0]
    for width in (900, 1300, 700):
        ends = []
        for depth in range(1, 5):
            y = x
            for step in range(depth):
                y = net(CONV, y, size=width * (step + 2))
            ends.append(net(CONV, y, size=width))
        x = net(CONV, *ends, size=4 * width)
    return net


@pytest.mark.parametrize("build", [_residual, _separable, _branches])
def test_plans_of_real_shapes_stay_within_5_percent_of_the_bound(build) -> None:
    net = build()
    scratch = tuple(300 + 17 * i for i in range(len(net.operators)))
    plan = net.plan(len(net.tensors) - 1, scratch=scratch)
    assert plan.size <= 1.05 * plan.lower_bound


def test_a_residual_block_needs_three_tensors_and_no_more() -> None:
    assert _residual().plan(len(_residual().tensors) - 1).size == 3 * 32 * 32 * 16


@pytest.mark.parametrize("params", [RELU, Softmax(1 << 30, 23, -248)])
def test_elementwise_operators_write_over_an_input_nobody_reads_again(params) -> None:
    net = Network(160)
    x = net(CONV, net.inputs[0], size=96)
    y = net(params, x, size=96)
    plan = net.plan(net(CONV, y, size=16))
    assert plan.tensors[y] == plan.tensors[x]


def test_an_input_that_is_read_again_is_not_written_over() -> None:
    net = Network(160)
    x = net(CONV, net.inputs[0], size=96)
    y = net(RELU, x, size=96)
    plan = net.plan(net(ADD, y, x, size=96))
    assert plan.tensors[y] != plan.tensors[x]


def test_a_graph_output_is_not_written_over() -> None:
    net = Network(160)
    x = net(CONV, net.inputs[0], size=96)
    y = net(RELU, x, size=96)
    plan = net.plan(x, y)
    assert plan.tensors[y] != plan.tensors[x]


def test_a_broadcast_input_is_not_written_over() -> None:
    net = Network(16, 96)
    small, large = (net(CONV, i, size=n) for i, n in zip(net.inputs, (16, 96), strict=True))
    total = net(ADD, small, large, size=96)
    plan = net.plan(total)
    assert plan.tensors[total] == plan.tensors[large] != plan.tensors[small]


def test_reshape_is_another_name_for_its_input() -> None:
    net = Network(96)
    x = net(CONV, net.inputs[0], size=96)
    y = net(Reshape(), x, size=96)
    z = net(RELU, y, size=96)
    plan = net.plan(net(ADD, z, x, size=96))
    assert plan.tensors[y] == plan.tensors[x]
    assert plan.tensors[z] != plan.tensors[x], "x is still needed under its first name"


def test_reshape_of_a_constant_is_refused_by_name() -> None:
    net = Network(96)
    constant = net.tensor(96)
    net.tensors[constant] = Tensor(constant, "", (96,), np.dtype("int8"), data=np.zeros(96, np.int8))
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 .*constant"):
        net.plan(net(Reshape(), constant, size=96))
