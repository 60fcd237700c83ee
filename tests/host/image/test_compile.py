"""Device images: deterministic, described by themselves, and changed only where a patch says."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib

import numpy as np
import pytest

from pytest_quantcheck.errors import ImageError, UnsupportedOperatorError
from pytest_quantcheck.graph.model import (
    Convolution,
    FullyConnected,
    Operator,
    QuantGraph,
    ReduceMax,
    Requantize,
    Reshape,
    Tensor,
    Window,
)
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.patch import patch_input_zero_point, patch_weight
from pytest_quantcheck.image.read import read_image

pytestmark = pytest.mark.host

RNG = np.random.default_rng(3)
WEIGHTS = {
    "conv": RNG.integers(-128, 128, (5, 3, 3, 3)).astype(np.int8),
    "depthwise": RNG.integers(-128, 128, (1, 3, 3, 5)).astype(np.int8),
    "dense": RNG.integers(-128, 128, (7, 320)).astype(np.int8),
}
BIAS = RNG.integers(-5000, 5000, 5).astype(np.int32)


def network(zero_points: tuple[int, int, int] = (3, -4, 5), rounding: str = "double") -> QuantGraph:
    """CONV_2D, DEPTHWISE_CONV_2D, RESHAPE, FULLY_CONNECTED with the given input zero points."""
    rule = Requantize(np.asarray([1 << 30]), np.asarray([-8]), rounding)
    window = Window(3, 3, 1, 1, 1, 1, 1, 1)
    int8 = np.dtype("int8")
    tensors = (
        Tensor(0, "input", (1, 8, 8, 3), int8),
        Tensor(1, "", WEIGHTS["conv"].shape, int8, data=WEIGHTS["conv"]),
        Tensor(2, "", BIAS.shape, BIAS.dtype, data=BIAS),
        Tensor(3, "", (1, 8, 8, 5), int8),
        Tensor(4, "", WEIGHTS["depthwise"].shape, int8, data=WEIGHTS["depthwise"]),
        Tensor(5, "", (1, 8, 8, 5), int8),
        Tensor(6, "", (1, 320), int8),
        Tensor(7, "", WEIGHTS["dense"].shape, int8, data=WEIGHTS["dense"]),
        Tensor(8, "output", (1, 7), int8),
    )
    operators = (
        Operator(0, "CONV_2D", (0, 1, 2), (3,), Convolution(window, zero_points[0], 0, rule, -128, 127)),
        Operator(
            1,
            "DEPTHWISE_CONV_2D",
            (3, 4, -1),
            (5,),
            Convolution(window, zero_points[1], 0, rule, -128, 127, 1),
        ),
        Operator(2, "RESHAPE", (5,), (6,), Reshape()),
        Operator(3, "FULLY_CONNECTED", (6, 7), (8,), FullyConnected(zero_points[2], 0, 0, rule, -128, 127)),
    )
    return QuantGraph(tensors, operators, (0,), (8,), "a5" * 32)


def test_equal_graphs_give_equal_bytes() -> None:
    assert compile_image(network()).data == compile_image(network()).data


def test_an_image_knows_its_size_hash_and_needs() -> None:
    image = compile_image(network())
    assert image.sha256 == hashlib.sha256(image.data).digest()
    assert len(image.data) % 16 == 0
    assert struct.unpack_from("<4sHHII", image.data) == (
        b"QCM1",
        1,
        96,
        len(image.data),
        zlib.crc32(image.data[16:]),
    )
    description = read_image(image.data)
    assert description.source_sha256 == "a5" * 32
    assert description.arena_bytes == image.arena_bytes >= image.arena_lower_bound
    assert description.constants_bytes == image.constants_bytes


def test_a_description_lists_what_was_compiled() -> None:
    description = read_image(compile_image(network()).data)
    kinds = [(op.opcode, op.state, op.source_index) for op in description.operators]
    assert kinds == [
        ("CONV_2D", "executed", 0),
        ("DEPTHWISE_CONV_2D", "executed", 1),
        ("RESHAPE", "elided", 2),
        ("FULLY_CONNECTED", "executed", 3),
    ]
    assert [description.tensors[i].shape for i in description.inputs] == [(1, 8, 8, 3)]
    assert [description.tensors[i].shape for i in description.outputs] == [(1, 7)]


@pytest.mark.parametrize(("operator", "output", "k"), [(0, 4, 26), (1, 3, 8), (3, 6, 319)])
def test_patching_a_weight_changes_that_weight_and_the_crc(operator: int, output: int, k: int) -> None:
    data = compile_image(network()).data
    patched = patch_weight(data, operator, output=output, k=k, delta=1)
    changed = [i for i in range(16, len(data)) if data[i] != patched[i]]
    assert len(changed) == 1
    assert patched[changed[0]] == (data[changed[0]] + 1) & 0xFF
    assert read_image(patched).operators == read_image(data).operators


def test_a_weight_is_found_where_it_was_packed() -> None:
    """The patched image equals the image of a graph with that one weight changed."""
    data = compile_image(network()).data
    weights = WEIGHTS["dense"].copy()
    weights[6, 100] -= 3
    graph = network()
    tensors = list(graph.tensors)
    tensors[7] = dataclasses.replace(tensors[7], data=weights)
    changed = compile_image(dataclasses.replace(graph, tensors=tuple(tensors))).data
    patched = patch_weight(data, 3, output=6, k=100, delta=-3)
    bias = [i for i in range(16, len(data)) if changed[i] != patched[i]]
    assert len({i // 16 for i in bias}) <= 1, "only the folded bias may differ"


@pytest.mark.parametrize(("operator", "zero_points"), [(0, (5, -4, 5)), (1, (3, -2, 5)), (3, (3, -4, 7))])
def test_patching_a_zero_point_is_compiling_with_that_zero_point(
    operator: int, zero_points: tuple[int, int, int]
) -> None:
    patched = patch_input_zero_point(compile_image(network()).data, operator, delta=2)
    assert patched == compile_image(network(zero_points)).data


def test_patching_the_first_weighted_operator_is_the_default() -> None:
    data = compile_image(network()).data
    assert patch_weight(data) == patch_weight(data, 0)
    assert patch_input_zero_point(data) == patch_input_zero_point(data, 0)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (lambda data: patch_weight(data, 2), r"operator 2 has no weights.*0 \(CONV_2D\)"),
        (lambda data: patch_weight(data, 0, output=5), r"weight \(5, 0\) does not exist"),
        (lambda data: patch_weight(data, 0, k=27), r"weight \(0, 27\) does not exist"),
        (lambda data: patch_input_zero_point(data, 0, delta=125), "leaves int8"),
    ],
)
def test_impossible_patches_say_what_is_possible(patch, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        patch(compile_image(network()).data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"TFL3" + data[4:], "not a device image"),
        (lambda data: data[:50], "not a device image"),
        (lambda data: data[:-1], "cut off"),
        (lambda data: data[:4] + b"\x02" + data[5:], "version 2 is not supported"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "damaged"),
    ],
)
def test_reading_refuses_what_is_not_a_whole_image(damage, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(damage(compile_image(network()).data))


def test_single_rounding_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 \(CONV_2D\): rounding 'single'"):
        compile_image(network(rounding="single"))


def test_other_types_are_refused_by_name() -> None:
    graph = network()
    tensors = [dataclasses.replace(t, dtype=np.dtype("int16")) if t.index == 3 else t for t in graph.tensors]
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 .*tensor 3 is int16"):
        compile_image(dataclasses.replace(graph, tensors=tuple(tensors)))


def test_a_board_takes_the_largest_over_neighbouring_axes_only() -> None:
    int8 = np.dtype("int8")
    tensors = (Tensor(0, "", (1, 2, 3, 4), int8), Tensor(1, "", (1, 3), int8))
    graph = QuantGraph(
        tensors, (Operator(0, "REDUCE_MAX", (0,), (1,), ReduceMax((1, 3))),), (0,), (1,), "0f" * 32
    )
    with pytest.raises(UnsupportedOperatorError, match=r"REDUCE_MAX\): reduces the axes \(1, 3\) of"):
        compile_image(graph)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 70000, 1), "largest of 70000 values along an axis; 65535"),
        ((1, 2048, 2048, 1), "4194304 int8 values"),
    ],
)
def test_a_board_refuses_to_look_at_too_many_values(shape: tuple[int, ...], words: str) -> None:
    int8 = np.dtype("int8")
    tensors = (Tensor(0, "", shape, int8), Tensor(1, "", (1, 1), int8))
    axes = tuple(range(1, len(shape) - 1))
    graph = QuantGraph(
        tensors, (Operator(0, "REDUCE_MAX", (0,), (1,), ReduceMax(axes)),), (0,), (1,), "0f" * 32
    )
    with pytest.raises(UnsupportedOperatorError, match=words):
        compile_image(graph)


def test_a_tensor_nobody_writes_is_refused() -> None:
    graph = network()
    with pytest.raises(ImageError, match=r"tensor 3 .* read but never written"):
        compile_image(dataclasses.replace(graph, operators=graph.operators[1:]))
