"""What a step of the limit of work costs on a chip (SPEC.md, "Work"): 2^31 of them are minutes, not hours.

The cases are those that cost most per step: next to no arithmetic for each element, tall windows of one
channel, edges that reach far beyond the input, factors of float32.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_quantcheck.graph.model import (
    BatchMatMul,
    Convolution,
    Mean,
    Mul,
    Operator,
    Params,
    Pool,
    QuantGraph,
    Requantize,
    Softmax,
    Tensor,
    TransposedConvolution,
    Window,
)
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.runners.board import board_artefact

pytestmark = pytest.mark.hw

MOST = {"virtual-stm32f405": 45, "virtual-esp32c3": 36}
"""Instructions of a step. The dearest known, of a transposed convolution, take 42.6 and 34.6."""
FLOAT = Requantize(np.asarray([1 << 30]), np.asarray([-7]), "float")
REDUCED = Requantize(np.asarray([1 << 30]), np.asarray([-7]), "reduced")
ONCE = Window(1, 1)
ONES = np.ones((1, 1, 1, 4), np.int8)


def single(
    kind: str,
    params: Params,
    shape: tuple[int, ...],
    out: tuple[int, ...],
    *constants: np.ndarray,
    dtype: str = "int8",
) -> QuantGraph:
    """A graph of one operator."""
    tensors = [Tensor(0, "", shape, np.dtype(dtype))]
    tensors += [Tensor(1 + i, "", c.shape, c.dtype, data=c) for i, c in enumerate(constants)]
    result = len(tensors)
    tensors.append(Tensor(result, "", out, np.dtype(dtype)))
    operator = Operator(0, kind, tuple(range(result)), (result,), params)
    return QuantGraph(tuple(tensors), (operator,), (0,), (result,), "5a" * 32)


def depthwise(window: Window) -> Convolution:
    return Convolution(window, 0, 0, FLOAT, -128, 127, 1)


CASES = {
    # the graph, and what it counts beside 32 steps per byte of output
    "max pool of one channel": (
        single("MAX_POOL_2D", Pool(Window(32, 32), -128, 127), (1, 40, 40, 1), (1, 9, 9, 1)),
        9 * 9 * 32 * 32,
    ),
    "max pool of single cells": (
        single("MAX_POOL_2D", Pool(ONCE, -128, 126), (1, 64, 64, 1), (1, 64, 64, 1)),
        64 * 64,
    ),
    "max pool of tall windows": (
        single("MAX_POOL_2D", Pool(Window(128, 1), -128, 127), (1, 255, 8, 1), (1, 128, 8, 1)),
        128 * 8 * 128,
    ),
    "depthwise of tall windows": (
        single(
            *("DEPTHWISE_CONV_2D", depthwise(Window(128, 1))),
            *((1, 255, 8, 1), (1, 128, 8, 1), np.ones((1, 128, 1, 1), np.int8)),
        ),
        1024 * 128 + (128 + 127) * 8 + 4 * 128 * 8,
    ),
    "transposed convolution of tall windows": (
        single(
            *("TRANSPOSE_CONV", TransposedConvolution(Window(256, 1, pad_top=255), 0, 0, FLOAT, -128, 127)),
            *((1, 512, 4, 1), (1, 257, 4, 1), np.ones((1, 256, 1, 1), np.int8)),
        ),
        257 * 4 * 256,
    ),
    "int16 convolution of one channel": (
        single(
            *("CONV_2D", Convolution(Window(32, 32, dilation_w=2), 0, 0, REDUCED, -32768, 32767)),
            *((1, 48, 80, 1), (1, 17, 18, 1), np.ones((1, 32, 32, 1), np.int8)),
            dtype="int16",
        ),
        2 * 17 * 18 * 1024,
    ),
    "depthwise of single cells": (
        single("DEPTHWISE_CONV_2D", depthwise(ONCE), (1, 32, 32, 4), (1, 32, 32, 4), ONES),
        4096 + 4 * 32 * 32 + 4 * 32,
    ),
    "depthwise with a stride far beyond the input": (
        single(
            *("DEPTHWISE_CONV_2D", depthwise(Window(1, 1, 65535, 1))),
            *((1, 1, 200, 1), (1, 200, 200, 1), ONES[..., :1]),
        ),
        200 * 200 + 200 * 200 + 4 * 200,
    ),
    "depthwise of one cell with a far stride": (
        single("DEPTHWISE_CONV_2D", depthwise(Window(1, 1, 65535, 1)), (1, 1, 1, 4), (1, 64, 1, 4), ONES),
        256 + 4 * 64 + 4,
    ),
    "convolution of one channel": (
        single(
            *("CONV_2D", Convolution(ONCE, 0, 0, FLOAT, -128, 127)),
            *((1, 64, 64, 1), (1, 64, 64, 1), ONES[..., :1]),
        ),
        4096 * 16,
    ),
    "transposed convolution of one channel": (
        single(
            *("TRANSPOSE_CONV", TransposedConvolution(ONCE, 0, 0, FLOAT, -128, 127)),
            *((1, 32, 32, 1), (1, 32, 32, 4), np.ones((4, 1, 1, 1), np.int8)),
        ),
        1024 * 4,
    ),
    "sums of one product": (
        single(
            *("BATCH_MATMUL", BatchMatMul(0, 0, 0, FLOAT, False, False)),
            *((64, 1), (64, 64), np.ones((1, 64), np.int8)),
        ),
        4096,
    ),
    "softmax of single values": (
        single("SOFTMAX", Softmax(1518500250, 22, -496), (1, 4096, 1), (1, 4096, 1)),
        16 * 4096,
    ),
    "products with a float factor": (
        single("MUL", Mul(0, 0, 0, FLOAT, -128, 127), (1, 4096), (1, 4096), np.full((1, 4096), 77, np.int8)),
        16 * 4096,
    ),
    "mean over axes that are no neighbours": (
        single("MEAN", Mean((0, 2, 4), 0, 0, FLOAT), (4, 4, 4, 4, 16), (4, 4)),
        16 * 4096,
    ),
}


@pytest.mark.parametrize("board", sorted(MOST))
def test_a_step_of_work_costs_few_instructions(new_session, board):
    session = new_session(board, deadlines=Deadlines(operator=20.0))
    costs = {}
    for name, (graph, own) in CASES.items():
        source = graph.tensors[0]
        data = (np.arange(math.prod(source.shape)) % 251).astype(source.dtype.str.replace("i", "u")).tobytes()
        (inference,) = session.infer(board_artefact(compile_image(graph)), [[data]])
        costs[name] = inference.counter / (own + 32 * graph.tensors[-1].nbytes)
    assert max(costs.values()) < MOST[board], costs
    assert min(costs.values()) > 0.5, costs
