"""Multiply-accumulates: those of whole networks as they are published, and of operators counted singly."""

from __future__ import annotations

import numpy as np
import pytest

from conformance_models.shapes import SHAPES, model
from pytest_quantcheck.graph.macs import operator_macs
from pytest_quantcheck.graph.model import (
    BatchMatMul,
    Operator,
    Params,
    QuantGraph,
    Requantize,
    Tensor,
    TransposedConvolution,
    Window,
)

pytestmark = pytest.mark.host

RULE = Requantize(np.asarray([1 << 30]), np.asarray([-1]))
MILLIONS = {"resnet8": 12.50, "ds-cnn": 2.66, "mobilenet": 7.49, "autoencoder": 0.264}
"""As the results of MLPerf Tiny give them."""


def one_operator(params: Params, output: tuple[int, ...], *inputs: tuple[int, ...]) -> int:
    tensors = [Tensor(i, "", shape, np.dtype("int8")) for i, shape in enumerate((*inputs, output))]
    operator = Operator(0, "", tuple(range(len(inputs))), (len(inputs),), params)
    graph = QuantGraph(tuple(tensors), (operator,), (0,), (len(inputs),), "00" * 32)
    return operator_macs(graph, operator)


@pytest.mark.parametrize("name", SHAPES)
def test_the_networks_of_mlperf_tiny_have_what_is_published(name: str) -> None:
    made = model(name)
    macs = sum(operator_macs(made.graph, operator) for operator in made.graph.operators)
    assert macs == made.manifest["macs"]
    assert macs / 1e6 == pytest.approx(MILLIONS[name], rel=0.01)


@pytest.mark.parametrize("adjoint", [False, True])
def test_a_matrix_product_sums_over_the_axis_that_both_sides_share(adjoint: bool) -> None:
    left, right = np.ones((2, 1, 3, 5)), np.ones((4, 5, 7))
    params = BatchMatMul(0, 0, 0, RULE, adjoint, False)
    shape = left.swapaxes(2, 3).shape if adjoint else left.shape
    assert one_operator(params, (left @ right).shape, shape, right.shape) == int((left @ right).sum())


def test_a_transposed_convolution_spreads_every_input_cell() -> None:
    params = TransposedConvolution(Window(2, 3, 2, 2), 0, 0, RULE, -128, 127)
    cells, channels, kernel, outputs = 4 * 5, 6, 2 * 3, 7
    found = one_operator(params, (1, 8, 11, outputs), (1, 4, 5, channels), (outputs, 2, 3, channels))
    assert found == cells * channels * kernel * outputs
