"""Run the integer graph step after step, with its states handed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_quantcheck.graph.execute import Values, computed, run_batch
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.numerics.arrays import Array


def run_steps(graph: QuantGraph, inputs: Sequence[Array]) -> Iterator[Values]:
    """N sequences of T inferences: ``inputs`` are (N, T, *shape) each. Gives what ``run_batch`` returns, for
    each step, with the states that the step before it left.
    """
    states: list[Array] | None = None
    for step in range(min((x.shape[1] for x in inputs), default=0)):
        values = run_batch(graph, [x[:, step] for x in inputs], states=states)
        states = [computed(values[state.after]) for state in graph.states]
        yield values
