"""Variables of a ``.tflite`` file become states of the graph; what cannot is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.graph.execute import run_batch
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from tests.streaming import HIDDEN, keyword_spotter

pytestmark = pytest.mark.host

HOW = {"scale": 0.1, "zero_point": 3}


class Counter:
    """y = x + variable, which becomes y; steps of the test may do it differently."""

    def __init__(self) -> None:
        self.writer = TfliteWriter()
        self.x = self.writer.tensor((1, 4), **HOW)

    def variable(self, initial=(1, 2, 3, 4), dtype="int8", name="sum"):
        return self.writer.variable(name, [initial], dtype, **HOW)

    def read(self, variable, shape=(1, 4)):
        return self.writer.read_variable(variable, shape, **HOW)

    def add(self, a, b):
        return self.writer.add(a, b, **HOW)

    def finish(self, *outputs):
        return read_tflite(self.writer.finish([self.x], outputs))


def test_a_variable_is_a_state_with_its_first_value_and_what_it_becomes():
    graph = keyword_spotter().graph
    frames, hidden = graph.states
    assert graph.tensors[frames.before].name == "frames"
    assert hidden.initial.shape == graph.tensors[hidden.after].shape == (1, HIDDEN)
    assert {op.kind for op in graph.operators}.isdisjoint({"VAR_HANDLE", "ASSIGN_VARIABLE", "CALL_ONCE"})


def test_what_is_read_behind_an_assignment_is_what_was_assigned():
    net = Counter()
    sum_ = net.variable()
    first = net.add(net.x, net.read(sum_))
    net.writer.assign_variable(sum_, first)
    second = net.add(net.x, net.read(sum_))
    net.writer.assign_variable(sum_, second)
    graph = net.finish(second)
    (state,) = graph.states
    values = run_batch(graph, [np.full((1, 1, 4), 5, np.int8)])
    assert state.after == graph.outputs[0]
    assert values[state.after].tolist() == [[[5, 6, 7, 8]]]  # each time 5 - 3 more


def test_two_handles_of_one_name_are_one_variable():
    net = Counter()
    y = net.add(net.x, net.read(net.variable()))
    net.writer.assign_variable(net.writer.handle("sum"), y)
    assert len(net.finish(y).states) == 1


def test_a_variable_that_is_assigned_before_it_is_read_is_no_state():
    net = Counter()
    sum_ = net.variable()
    net.writer.assign_variable(sum_, net.x)
    assert net.finish(net.add(net.x, net.read(sum_))).states == ()


def test_a_variable_that_is_never_assigned_keeps_its_first_value():
    net = Counter()
    graph = net.finish(net.add(net.x, net.read(net.variable())))
    (state,) = graph.states
    assert state.before == state.after
    ((before, after, _),) = read_image(compile_image(graph).data).states
    assert before == after


def test_a_variable_without_a_first_value_is_refused():
    net = Counter()
    y = net.add(net.x, net.read(net.writer.handle("lost")))
    with pytest.raises(UnsupportedOperatorError, match=r"'lost' is read before .* no CALL_ONCE"):
        net.finish(y)


def test_a_float_variable_of_an_integer_network_is_refused_with_the_converters_option():
    net = Counter()
    y = net.add(net.x, net.read(net.variable(dtype="float32")))
    with pytest.raises(UnsupportedOperatorError, match=r"begins as float32 .*_experimental_variable_quant"):
        net.finish(y)


def test_another_shape_than_before_is_refused():
    net = Counter()
    sum_ = net.variable()
    y = net.add(net.x, net.read(sum_))
    net.writer.assign_variable(sum_, net.writer.reshape(y, (4, 1)))
    with pytest.raises(
        UnsupportedOperatorError, match=r"int8 \(4, 1\), the variable elsewhere int8 \(1, 4\)"
    ):
        net.finish(y)


def test_an_input_that_is_no_handle_is_refused():
    net = Counter()
    with pytest.raises(ModelError, match="is not the handle of a variable"):
        net.finish(net.add(net.x, net.read(net.x)))


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_call_of_a_subgraph_that_is_not_there_is_refused(number):
    net = Counter()
    y = net.add(net.x, net.read(net.variable()))
    call = next(op for op in net.writer._operators if op.kind == "CALL_ONCE")
    call.options["InitSubgraphIndex"] = number
    with pytest.raises(ModelError, match=f"CALL_ONCE names subgraph {number}, but there are 2"):
        net.finish(y)


def test_variables_that_swap_their_values_do_not_go_to_a_board():
    net = Counter()
    a, b = net.variable(name="a"), net.variable((9, 8, 7, 6), name="b")
    of_a, of_b = net.read(a), net.read(b)
    net.writer.assign_variable(a, of_b)
    net.writer.assign_variable(b, of_a)
    graph = net.finish(net.add(of_a, of_b))
    with pytest.raises(UnsupportedOperatorError, match="'a' takes over the value of 'b' as it is"):
        compile_image(graph)
