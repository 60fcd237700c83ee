"""Rows of weights share halfwords where the compiler proves that their sums come apart, and only there."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from pytest_quantcheck.errors import ImageError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Convolution,
    FullyConnected,
    Operator,
    Params,
    QuantGraph,
    Requantize,
    Tensor,
    Window,
)
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.patch import patch_weight
from pytest_quantcheck.image.read import read_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Int8 = npt.NDArray[np.int8]
PARAM = 9
MOST = 516  # products of 127 and -128 whose sum stays below 2**23
SHIFTS = {"fast": -12, "slow": 0}


@dataclass(frozen=True)
class Layer:
    """A dense layer or a convolution, its weights ``(outputs, ...)`` and its input's shape."""

    kind: str
    weights: Int8
    shape: tuple[int, ...]
    shift: int = -12
    zero_point: int = 0

    def graph(self) -> QuantGraph:
        outputs = len(self.weights)
        rule = Requantize((1 << 30) + (np.arange(outputs) << 27), np.full(outputs, self.shift))
        params: Params = FullyConnected(0, self.zero_point, 3, rule, -128, 127)
        shape: tuple[int, ...] = (self.shape[0], outputs)
        if self.kind == "CONV_2D":
            height, width = (a - b + 1 for a, b in zip(self.shape[1:3], self.weights.shape[1:3], strict=True))
            window = Window(*self.weights.shape[1:3])
            params, shape = (
                Convolution(window, 0, 3, rule, -128, 127),
                (self.shape[0], height, width, outputs),
            )
        bias = np.arange(-outputs, outputs, 2, dtype=np.int32) * 1000
        tensors = (
            Tensor(0, "", self.shape, np.dtype(np.int8)),
            Tensor(1, "", self.weights.shape, np.dtype(np.int8), data=self.weights),
            Tensor(2, "", bias.shape, np.dtype(np.int32), data=bias),
            Tensor(3, "", shape, np.dtype(np.int8)),
        )
        return QuantGraph(tensors, (Operator(0, self.kind, (0, 1, 2), (3,), params),), (0,), (3,), "0f" * 32)


def packing(image: bytes) -> str:
    return layout.PACKINGS[layout.CONVOLUTION.unpack(read_image(image).operators[0].params)[14]]


def packed_as(engine: Engine, layer: Layer, x: Int8) -> str:
    """How the layer was packed, after the engine gave what the interpreter gives."""
    graph = layer.graph()
    image = compile_image(graph).data
    answer = engine.run_graph(graph, image, [x])
    assert answer.status == 0
    np.testing.assert_array_equal(
        np.frombuffer(answer.outputs, np.int8), execute.run(graph, [x])[3].reshape(-1)
    )
    return packing(image)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("count", "expected"), [(MOST, "paired4x4"), (MOST + 1, "block4x4"), (2 * MOST, "block4x4")]
)
def test_fully_connected_rows_are_paired_up_to_the_largest_sum_that_comes_apart(
    engine: Engine, count: int, expected: str, sign: int
) -> None:
    weights = np.full((6, count), 127 * sign, np.int8)
    for batches in (1, 2, 3, 5):
        x = np.full((batches, count), -128, np.int8)
        assert packed_as(engine, Layer("FULLY_CONNECTED", weights, x.shape, -18), x) == expected


def test_fully_connected_rows_that_cancel_are_not_taken_for_small_ones(engine: Engine) -> None:
    weights = np.tile(np.array([[127, -127]], np.int8), (4, MOST // 2 + 2))
    x = np.where(weights[:1] > 0, -128, 127).astype(np.int8)
    assert packed_as(engine, Layer("FULLY_CONNECTED", weights, x.shape, -18), x) == "block4x4"


def test_fully_connected_even_rows_may_be_as_large_as_they_like(engine: Engine) -> None:
    weights = np.ones((4, 2 * MOST), np.int8)
    weights[0::2] = 127
    x = np.full((2, 2 * MOST), -128, np.int8)
    assert packed_as(engine, Layer("FULLY_CONNECTED", weights, x.shape, -18), x) == "paired4x4"


@pytest.mark.parametrize(
    ("even", "odd", "expected"),
    [
        (-128, -127, "paired4x4"),
        (0, -128, "paired4x4"),
        (-1, -128, "block4x4"),
        (-128, -128, "block4x4"),
        (-128, 127, "paired4x4"),
        (127, 127, "paired4x4"),
    ],
)
def test_fully_connected_weights_are_paired_where_they_fit_into_16_bits(
    engine: Engine, even: int, odd: int, expected: str
) -> None:
    weights = np.zeros((4, 8), np.int8)
    weights[2:, 5] = even, odd
    x = np.arange(-8, 8, dtype=np.int8).reshape(2, 8) * 16
    assert packed_as(engine, Layer("FULLY_CONNECTED", weights, x.shape, -4), x) == expected


def test_fully_connected_weights_with_a_zero_point_are_not_paired(engine: Engine) -> None:
    weights = np.arange(32, dtype=np.int8).reshape(4, 8)
    x = np.arange(-8, 8, dtype=np.int8).reshape(2, 8)
    layer = Layer("FULLY_CONNECTED", weights, x.shape, -4, zero_point=5)
    assert packed_as(engine, layer, x) == "block4x4"


@pytest.mark.parametrize("rule", SHIFTS)
@pytest.mark.parametrize("lowest", [-127, -128], ids=["paired", "block"])
@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 7, 8])
def test_conv2d_of_every_remainder_is_the_same_in_both_packings(
    engine: Engine, outputs: int, lowest: int, rule: str
) -> None:
    rng = np.random.default_rng(outputs)
    for channels, kernel, width in ((1, 1, 3), (3, 3, 6), (4, 1, 4), (7, 2, 5), (16, 1, 3), (20, 3, 4)):
        weights = rng.integers(-127, 128, (outputs, kernel, kernel, channels)).astype(np.int8)
        if lowest == -128:
            weights = np.concatenate([np.full_like(weights[:1], -128)] * 2 + [weights])[: max(outputs, 2)]
        x = rng.integers(-128, 128, (1, width, width, channels)).astype(np.int8)
        expected = "paired4x4" if lowest == -127 else "block4x4"
        assert packed_as(engine, Layer("CONV_2D", weights, x.shape, SHIFTS[rule]), x) == expected


def test_fully_connected_sums_that_do_not_come_apart_are_refused(engine: Engine) -> None:
    """An image that claims too much: one weight more than the sum of its row allows."""
    weights = np.zeros((4, MOST + 4), np.int8)
    weights[3, :MOST] = 127
    weights[3, MOST] = 3  # 65535 together
    image = compile_image(Layer("FULLY_CONNECTED", weights, (1, MOST + 4)).graph()).data
    assert packing(image) == "paired4x4"
    x = [np.zeros(MOST + 4, np.int8).tobytes()]
    assert engine.run(image, x).status == 0
    assert engine.run(patch_weight(image, output=3, k=MOST), x).status == PARAM
    assert engine.run(patch_weight(image, output=2, k=MOST), x).status == 0


def test_fully_connected_pairs_with_a_zero_point_are_refused(engine: Engine) -> None:
    image = bytearray(compile_image(Layer("FULLY_CONNECTED", np.ones((4, 8), np.int8), (1, 8)).graph()).data)
    struct.pack_into("<i", image, read_image(bytes(image)).operators[0].params_offset + 20, 1)
    assert engine.run(layout.with_crc(image), [bytes(8)]).status == PARAM


@pytest.mark.parametrize("output", range(4))
def test_patching_a_paired_weight_is_compiling_with_that_weight(output: int) -> None:
    weights = np.random.default_rng(1).integers(-100, 100, (4, 3, 3, 2)).astype(np.int8)
    changed = weights.copy()
    changed[output, 1, 2, 0] -= 7
    image, expected = (
        compile_image(Layer("CONV_2D", each, (1, 4, 4, 2)).graph()).data for each in (weights, changed)
    )
    assert packing(image) == "paired4x4"
    assert patch_weight(image, output=output, k=10, delta=-7) == expected


def test_a_paired_weight_that_does_not_fit_is_not_patched() -> None:
    image = compile_image(Layer("FULLY_CONNECTED", np.full((2, 4), -1, np.int8), (1, 4)).graph()).data
    with pytest.raises(ImageError, match=r"weight \(1, 2\) cannot become -128"):
        patch_weight(image, output=1, k=2, delta=-127)
