"""Convolutions copy their weights into the arena where it has room anyway, and only there."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.graph.read import read_graph
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import ImageOperator, read_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

SIZE, PARAM = 3, 9
FLAGS = 44  # where they lie in a convolution's parameters


def network(side: int = 16, *, outputs: int = 6, kernel: int = 3, dense: bool = False) -> QuantGraph:
    """A picture, made small by a pool, and layers on what is left of it."""
    random, writer = np.random.default_rng(outputs), TfliteWriter()
    image = writer.tensor((1, side, side, 12), scale=0.02, zero_point=3)

    def layer(x: Value, count: int, size: int, depthwise: bool = False) -> Value:
        shape = (1, size, size, count) if depthwise else (count, size, size, x.shape[3])
        weights = random.integers(-127, 128, shape).astype(np.int8)
        bias = random.integers(-2000, 2000, count).astype(np.int32)
        return writer.conv_2d(x, weights, bias, weight_scale=0.01, scale=0.05, depthwise=depthwise)

    x = layer(writer.pool("MAX_POOL_2D", image, (2, 2), stride=(2, 2)), outputs, kernel)
    x = layer(layer(x, outputs, 3, depthwise=True), outputs, 1)
    if dense:
        x = writer.reshape(x, (1, int(np.prod(x.shape))))
        weights = random.integers(-127, 128, (4, x.shape[1])).astype(np.int8)
        x = writer.fully_connected(x, weights, None, weight_scale=0.01, scale=0.5)
    return read_graph(writer.finish([image], [x]))


def is_staged(op: ImageOperator) -> bool:
    return bool(layout.CONVOLUTION.unpack(op.params)[15] & layout.STAGED)


def weighted(image: bytes, opcode: str) -> list[ImageOperator]:
    return [op for op in read_image(image).operators if op.opcode == opcode]


@pytest.mark.parametrize("outputs", [1, 4, 6, 11])
@pytest.mark.parametrize("kernel", [1, 3])
def test_staged_convolutions_are_exact(engine: Engine, outputs: int, kernel: int) -> None:
    graph = network(outputs=outputs, kernel=kernel)
    image = compile_image(graph).data
    assert [is_staged(op) for op in weighted(image, "CONV_2D")] == [True, True]
    x = np.random.default_rng(1).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    expected = execute.run(graph, [x])
    answer = engine.run_graph(graph, image, [x])
    assert answer.outputs == execute.computed(expected[graph.outputs[0]]).tobytes()
    for op, (index, data) in zip(graph.operators, answer.operators, strict=True):
        assert (index, data) == (op.index, execute.computed(expected[op.outputs[0]]).tobytes())


def test_no_byte_of_the_arena_is_added_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    staged = compile_image(network())
    monkeypatch.setattr(layout, "STAGED_PIXELS", 1 << 30)
    plain = compile_image(network())
    assert staged.arena_bytes == plain.arena_bytes
    assert not any(is_staged(op) for op in weighted(plain.data, "CONV_2D"))


def test_a_few_pixels_and_a_full_arena_are_not_worth_it() -> None:
    few = compile_image(network(6)).data  # 3 x 3 pixels
    assert not any(is_staged(op) for op in weighted(few, "CONV_2D"))
    full = compile_image(network(outputs=200)).data  # its own output is the largest tensor
    assert not is_staged(weighted(full, "CONV_2D")[1])


def with_flag(image: bytes, op: ImageOperator) -> bytes:
    patched = bytearray(image)
    flags = struct.unpack_from("<I", op.params, FLAGS)[0] | layout.STAGED
    struct.pack_into("<I", patched, op.params_offset + FLAGS, flags)
    return layout.with_crc(patched)


@pytest.mark.parametrize("opcode", ["DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_only_conv_2d_is_staged(engine: Engine, opcode: str) -> None:
    image = compile_image(network(dense=True)).data
    assert engine.run(image, [bytes(16 * 16 * 12)]).status == 0
    assert engine.run(with_flag(image, weighted(image, opcode)[0]), [bytes(16 * 16 * 12)]).status == PARAM


def test_a_staged_convolution_without_room_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "STAGED_PIXELS", 1 << 30)
    image = compile_image(network()).data
    assert engine.run(with_flag(image, weighted(image, "CONV_2D")[0]), [bytes(16 * 16 * 12)]).status == SIZE
