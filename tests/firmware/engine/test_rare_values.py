"""The engine equals the interpreter where random values hardly ever get: halves of a quantizer's step, sums
beyond 32 bits, an input at the very end of the arena."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Concatenation,
    Convolution,
    FloatEdge,
    FullyConnected,
    Lstm,
    Mean,
    Operator,
    Pad,
    Params,
    QuantGraph,
    Requantize,
    SigmoidInt16,
    Slice,
    Tensor,
    Window,
)
from pytest_quantcheck.image.compile import DeviceImage, compile_image
from pytest_quantcheck.image.read import read_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
WIDE = (-(1 << 15), (1 << 15) - 1)
RULES = {  # for sums of 64 and of 32 bits, as wide as their biases
    rule: Requantize(np.asarray([1518500250]), np.asarray([-20]), rule) for rule in ("reduced", "double")
}
OUTPUT_ZERO = -5
SMALLER = Requantize(np.asarray([1 << 30]), np.asarray([-7]))
BIAS = {"reduced": np.int64, "double": np.int32}


def graph_of(kind: str, params: Params, x: Array, output: Tensor, *constants: Array) -> QuantGraph:
    tensors = [Tensor(0, "", x.shape, x.dtype)]
    tensors += [Tensor(i, "", data.shape, data.dtype, data=data) for i, data in enumerate(constants, 1)]
    op = Operator(0, kind, tuple(range(len(tensors))), (len(tensors),), params)
    return QuantGraph((*tensors, output), (op,), (0,), (len(tensors),), "0f" * 32)


def equal(
    engine: Engine, kind: str, params: Params, x: Array, output: Tensor, *constants: Array
) -> DeviceImage:
    graph = graph_of(kind, params, x, output, *constants)
    image = compile_image(graph)
    answer = engine.run_graph(graph, image.data, [x])
    assert answer.status == 0
    expected = execute.run(graph, [x])[graph.outputs[0]]
    actual = np.frombuffer(answer.outputs, expected.dtype).reshape(expected.shape)
    np.testing.assert_array_equal(actual, expected)
    return image


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quotients_next_to_a_half_are_quantized_alike(engine: Engine, dtype: str) -> None:
    """Rounding the quotient to a float32 first turns some neighbours of a half into halves."""
    rng = np.random.default_rng(3)
    info = np.iinfo(dtype)
    for scale in rng.uniform(0.001, 4, 40).astype(np.float32):
        halves = rng.integers(-info.max, info.max, 200).astype(np.float32) + np.float32(0.5)
        middle = halves * scale
        near = [middle, *(np.nextafter(middle, np.float32(way)) for way in (-np.inf, np.inf))]
        x = np.concatenate(near)[None]
        zero_point = 0 if dtype == "int16" else int(rng.integers(info.min, info.max + 1))
        output = Tensor(1, "", x.shape, np.dtype(dtype))
        equal(engine, "QUANTIZE", FloatEdge(float(scale), zero_point), x, output)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("depth", [255, 256, 257, 700, 2000])
@pytest.mark.parametrize("rule", RULES)
def test_int16_products_add_up_beyond_32_bits(engine: Engine, rule: str, depth: int, sign: int) -> None:
    x = np.full((2, depth), WIDE[0], np.int16)
    weights = np.full((3, depth), -128 if sign > 0 else 127, np.int8)
    bias = np.asarray([0, 1 << 30, -(1 << 30)], BIAS[rule])
    params = FullyConnected(0, 0, 0, RULES[rule], *WIDE)
    equal(engine, "FULLY_CONNECTED", params, x, Tensor(3, "", (2, 3), np.dtype("int16")), weights, bias)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_int16_windows_add_up_beyond_32_bits(engine: Engine, rule: str, dilation: int, sign: int) -> None:
    x = np.full((1, 20, 20, 8), WIDE[0], np.int16)
    weights = np.full((2, 10, 10, 8), -128 if sign > 0 else 127, np.int8)
    params = Convolution(Window(10, 10, 1, 1, dilation, dilation, 0, 0), 0, 0, RULES[rule], *WIDE)
    size = 20 - 9 * dilation
    output = Tensor(3, "", (1, size, size, 2), np.dtype("int16"))
    equal(engine, "CONV_2D", params, x, output, weights, np.asarray([5, -5], BIAS[rule]))


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_mean_of_many_large_values_is_summed_in_32_bits(engine: Engine, sign: int, dtype: str) -> None:
    top = np.iinfo(dtype).max
    x = sign * np.random.default_rng(4).integers(top // 2, top, (1, 1024, 3), endpoint=True)
    params = Mean((1,), 0, 0, Requantize(np.asarray([1 << 30]), np.asarray([-9])))
    equal(engine, "MEAN", params, x.astype(dtype), Tensor(1, "", (1, 3), np.dtype(dtype)))


@pytest.mark.parametrize("zero_point", [5, -128, 127])
@pytest.mark.parametrize(("depth", "units"), [(4, 4), (23, 7), (520, 5)])
def test_dense_weights_with_a_zero_point_give_the_same_sums(
    engine: Engine, depth: int, units: int, zero_point: int
) -> None:
    rng = np.random.default_rng(depth)
    x, weights = (rng.integers(-128, 128, (n, depth)).astype(np.int8) for n in (3, units))
    bias = rng.integers(-5000, 5000, units).astype(np.int32)
    rule = Requantize(np.asarray([1518500250]), np.asarray([-10]))
    params = FullyConnected(-3, zero_point, 9, rule, -128, 127)
    equal(engine, "FULLY_CONNECTED", params, x, Tensor(3, "", (3, units), np.dtype("int8")), weights, bias)


@pytest.mark.parametrize("rounding", ["float", "float_odd"])
@pytest.mark.parametrize("shift", [4, 20])
def test_sums_times_a_float_factor_beyond_32_bits_saturate(engine: Engine, shift: int, rounding: str) -> None:
    bias = np.asarray([1 << 30, -(1 << 30), 1 << 28, -(1 << 28)], np.int32)
    x, weights = np.zeros((1, 4), np.int8), np.zeros((4, 4), np.int8)
    rule = Requantize(np.asarray([1 << 30]), np.asarray([shift]), rounding)
    params = FullyConnected(0, 0, 3, rule, -128, 127)
    equal(engine, "FULLY_CONNECTED", params, x, Tensor(3, "", (1, 4), np.dtype("int8")), weights, bias)


@pytest.mark.parametrize("limits", [(-128, -128), (127, 127), (-127, 127), (-128, 126)])
def test_a_concatenation_is_clamped_to_any_limits(engine: Engine, limits: tuple[int, int]) -> None:
    x = np.asarray([[-128, -127, 0, 126, 127]], np.int8)
    output = Tensor(1, "", (1, 5), np.dtype("int8"))
    equal(engine, "CONCATENATION", Concatenation(1, *limits), x, output)


def test_products_that_round_up_to_a_power_of_two_are_dequantized_alike(engine: Engine) -> None:
    """n times the float32 next to 1 / n is 1, some of them from just below."""
    x = np.arange(-128, 128, dtype=np.int8)
    for n in range(1, 256):
        scale = float(np.float32(1 / n))
        equal(engine, "DEQUANTIZE", FloatEdge(scale, -128), x, Tensor(1, "", x.shape, np.dtype("float32")))


def test_strides_beyond_16_bits_are_kept(engine: Engine) -> None:
    x = np.random.default_rng(1).integers(-128, 128, (1, 1, 256, 257), np.int8)
    padded = Pad(((0, 0), (1, 0), (0, 0), (0, 0)), 3)
    equal(engine, "PAD", padded, x, Tensor(1, "", (1, 2, 256, 257), x.dtype))
    transposed = Slice(0, (1, 257, 257, 1))
    y = x.reshape(1, 256, 1, 257)
    equal(engine, "TRANSPOSE", transposed, y, Tensor(1, "", (1, 256, 1, 257), x.dtype))
    twice = Concatenation(1, -128, 127)
    equal(engine, "CONCATENATION", twice, x, Tensor(2, "", (1, 3, 256, 257), x.dtype), np.repeat(x, 2, 1))


@pytest.mark.parametrize(("depth", "width"), [(1, 15), (1, 16), (2, 8), (5, 3)])
def test_pixels_of_any_depth_are_read_to_their_end_and_no_further(
    engine: Engine, depth: int, width: int
) -> None:
    """The engine is compiled with AddressSanitizer, and its arena ends with the input or a byte behind it."""
    x = np.arange(width * depth, dtype=np.int8).reshape(1, 1, width, depth)
    weights = np.full((256, 1, 1, depth), 127, np.int8)
    params = Convolution(Window(1, 1), 0, 0, SMALLER, -128, 127)
    output = Tensor(2, "", (1, 1, width, 256), np.dtype("int8"))
    image = equal(engine, "CONV_2D", params, x, output, weights)
    made = read_image(image.data)
    assert 0 <= image.arena_bytes - made.tensors[made.inputs[0]].offset - x.nbytes <= 1


@pytest.mark.parametrize(
    ("kind", "window", "shape", "rows"),
    [
        ("CONV_2D", Window(1, 1, 1, 1, 65535, 1), (1, 1, 32800, 1), 1),
        ("CONV_2D", Window(1, 1, 1, 1, 1, 65535), (1, 1, 1, 32800), 1),
        ("DEPTHWISE_CONV_2D", Window(1, 1, 65535, 1, 1, 1), (1, 1, 200, 1), 200),
        ("DEPTHWISE_CONV_2D", Window(1, 1, 1, 1, 1, 1, 65535, 0), (1, 1, 32800, 1), 1),
        ("DEPTHWISE_CONV_2D", Window(1, 1, 65535, 1, 1, 1), (1, 1, 1, 64), 256),
    ],
)
def test_windows_far_beyond_the_input_read_padding(
    engine: Engine, kind: str, window: Window, shape: tuple[int, ...], rows: int
) -> None:
    """The engine is compiled with UndefinedBehaviorSanitizer: no position it computes leaves 32 bits."""
    rng = np.random.default_rng(2)
    x = rng.integers(-128, 128, shape, np.int8)
    weights = rng.integers(-128, 128, (1, 1, 1, shape[3]), np.int8)
    depthwise = kind == "DEPTHWISE_CONV_2D"
    channels = shape[3] if depthwise else 1
    expected = np.full((1, rows, shape[2] if rows > 1 else 1, channels), OUTPUT_ZERO, np.int8)
    params = Convolution(window, 3, OUTPUT_ZERO, SMALLER, -128, 127, int(depthwise))
    graph = graph_of(kind, params, x, Tensor(2, "", expected.shape, np.dtype("int8")), weights)
    if window.pad_top == 0:  # the first row lies inside; the interpreter would pad for all of them
        inside = replace(params, window=replace(window, stride_h=1, dilation_h=1, dilation_w=1))
        first = Tensor(2, "", (1, 1, *expected.shape[2:]), np.dtype("int8"))
        expected[:, :1] = execute.run(graph_of(kind, inside, x, first, weights), [x])[2]
    answer = engine.run_graph(graph, compile_image(graph).data, [x])
    assert answer.status == 0
    np.testing.assert_array_equal(np.frombuffer(answer.outputs, np.int8).reshape(expected.shape), expected)


def test_a_gate_sums_more_features_than_16_bits_count(engine: Engine) -> None:
    rng, features = np.random.default_rng(6), 33_000
    gates = Requantize(np.full(4, 1 << 30), np.full(4, -13), "reduced")
    product = Requantize(np.asarray([1 << 30]), np.asarray([-14]))
    params = Lstm(0, 0, gates, gates, product, product, product, SigmoidInt16(3, 0), None)
    weights = [rng.integers(-127, 128, (1, features)).astype(np.int8) for _ in range(4)]
    weights += [np.ones((1, 1), np.int8)] * 4
    biases = [np.zeros(1, np.int64)] * 4
    x = rng.integers(-32768, 32768, (1, 1, features)).astype(np.int16)
    output = Tensor(13, "", (1, 1, 1), np.dtype(np.int16))
    equal(engine, "UNIDIRECTIONAL_SEQUENCE_LSTM", params, x, output, *weights, *biases)
