"""Whole networks: every operator's output, stopping early, memory that is too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.layout import OPCODES
from pytest_quantcheck.image.read import read_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

QC_ERR_NO_MEMORY = 11


def samples(graph: QuantGraph, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(scale=4, size=graph.tensors[graph.inputs[0]].shape).astype("f4") for _ in range(count)]


@pytest.mark.parametrize("which", ["network", "wide_network"])
def test_every_operator_of_a_network_equals_the_interpreter(
    engine: Engine, which: str, request: pytest.FixtureRequest
) -> None:
    graph = request.getfixturevalue(which)
    image = compile_image(graph).data
    for x in samples(graph, 20):
        expected = execute.run(graph, [x])
        answer = engine.run_graph(graph, image, [x])
        assert [index for index, _ in answer.operators] == [op.index for op in graph.operators]
        for op, (_, output) in zip(graph.operators, answer.operators, strict=True):
            assert output == expected[op.outputs[0]].tobytes(), op.kind
        assert answer.outputs == b"".join(expected[t].tobytes() for t in graph.outputs)


def test_the_two_networks_have_every_opcode(network: QuantGraph, wide_network: QuantGraph) -> None:
    images = [read_image(compile_image(graph).data) for graph in (network, wide_network)]
    assert {op.opcode for image in images for op in image.operators} == set(OPCODES) - {""}


def test_a_hook_stops_the_run_behind_any_operator(engine: Engine, network: QuantGraph) -> None:
    image, (x,) = compile_image(network).data, samples(network, 1)
    expected = execute.run(network, [x])
    for position, op in enumerate(network.operators):
        answer = engine.run(image, [x.tobytes()], stop_after=position + 1)
        assert len(answer.operators) == position + 1
        assert answer.operators[-1] == (op.index, expected[op.outputs[0]].tobytes())


def test_a_pool_smaller_than_the_arena_is_refused(engine: Engine, network: QuantGraph) -> None:
    assert engine.run(compile_image(network).data, withhold=16).status == QC_ERR_NO_MEMORY
