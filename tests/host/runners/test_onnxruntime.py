"""onnxruntime against the exact integers, operator by operator: equal where it is equal, at most one step
away and counted where it is not. Zero points are even and odd, scales make many ties.

Equal: sums of products (Conv, Gemm, MatMul), GlobalAveragePool, most functions, moved data.
Not equal: Add, Sub, Mul, ReduceMean, AveragePool, ConvTranspose and some functions compute in float32,
whose noise decides some ties the other way; a linear Resize rounds halves away from zero; Softmax whose
output scale is not 1/256 is rounded twice here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from conformance_models import onnx_nets as nets
from conformance_models.onnx_nets import Q
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.demo.artefacts import CONFIGURATIONS, DATA
from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError, UsageError
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner
from pytest_quantcheck.runners.registry import host_runner

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Array = npt.NDArray[Any]
N = 40
FUNCTIONS_OF_ONE = (
    "Relu",
    "Sigmoid",
    "Tanh",
    "LeakyRelu",
    "HardSwish",
    "HardSigmoid",
    "Elu",
    "Softplus",
    "Abs",
    "Neg",
    "Identity",
    "Gelu",
    "Erf",
    "Reciprocal",
    "Mish",
    "Softsign",
    "Selu",
    "Celu",
    "ThresholdedRelu",
)
OPSETS = {"Gelu": 20, "Mish": 18}  # of newer operators
UP_TO_ONE = ("Sigmoid", "Tanh", "HardSigmoid", "Erf", "Softsign")
EDGES = [(dtype, odd) for dtype in ("int8", "uint8") for odd in (0, 1)]


def difference(content: bytes, *inputs: Array, least: int = 4) -> tuple[int, int, int]:
    """How many outputs differ, by how much at most, of how many."""
    model, vectors = QuantizedModel("one", content), Raw(inputs if len(inputs) > 1 else inputs[0])
    theirs = OnnxruntimeRunner().run(model, vectors).outputs[0].astype(int)
    ours = IntegerRunner().run(model, vectors).outputs[0].astype(int)
    assert len(np.unique(ours)) > least
    away = np.abs(theirs - ours)
    return int((away > 0).sum()), int(away.max()), away.size


class Draw:
    """Values and zero points of one type; ``odd`` is added to the output's zero point."""

    def __init__(self, dtype: str, odd: int, seed: int = 0) -> None:
        self.dtype, self.low = dtype, int(np.iinfo(dtype).min)
        self.rng = np.random.default_rng(seed)
        self.output_zero = self.low + 120 + odd

    def values(self, *shape: int) -> Array:
        return self.rng.integers(self.low, self.low + 256, shape).astype(self.dtype)

    def weights(self, *shape: int, limit: int = 3) -> Array:
        return self.rng.integers(-limit, limit + 1, shape).astype(np.int8)

    def q(self, scale: float, zero: int = 100) -> Q:
        return Q(scale, self.low + zero)


def one(
    d: Draw, kind: str, shape: tuple[int, ...], out: tuple[int, ...], scale: float = 1.0, **how: Any
) -> tuple:
    """The difference for one operator with one input in steps of 1/4, hence with ties."""
    content = nets.between(
        kind, [(1, *shape)], [d.q(0.25)], Q(scale, d.output_zero), (1, *out), dtype=d.dtype, **how
    )
    return difference(content, d.values(N, *shape))


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize(
    ("name", "outputs", "depth", "attributes"),
    [
        ("plain", 6, 4, {}),
        ("padded", 6, 4, {"pads": [2, 1, 0, 1], "strides": [2, 1]}),
        ("dilated", 5, 4, {"dilations": [2, 1]}),
        ("same", 5, 4, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("grouped", 6, 2, {"group": 2}),
        ("depthwise", 8, 1, {"group": 4}),
    ],
)
def test_convolutions_are_equal(
    dtype: str, odd: int, name: str, outputs: int, depth: int, attributes: dict[str, Any]
) -> None:
    d = Draw(dtype, odd)
    weights = d.weights(outputs, depth, 3, 3)
    scales = np.where(np.arange(outputs) % 2, 0.25, 0.017).astype(np.float32)
    bias = d.rng.integers(-200, 200, outputs).astype(np.int32)
    constants = [(weights, scales, 0), (bias, np.float32(0.25) * scales, 0)]
    sizes = {"padded": (5, 9), "dilated": (5, 7), "same": (5, 5)}.get(name, (7, 7))
    found = one(d, "Conv", (4, 9, 9), (outputs, *sizes), weights=constants, attributes=attributes)
    assert found[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize(
    ("outputs", "depth", "length", "attributes"),
    [
        (6, 4, 7, {}),
        (6, 4, 6, {"pads": [3, 1], "strides": [2]}),
        (6, 2, 5, {"group": 2, "dilations": [2]}),
        (8, 1, 9, {"group": 4, "auto_pad": "SAME_LOWER"}),
    ],
)
def test_convolutions_over_one_axis_are_equal(
    dtype: str, odd: int, outputs: int, depth: int, length: int, attributes: dict[str, Any]
) -> None:
    d = Draw(dtype, odd)
    scales = np.where(np.arange(outputs) % 2, 0.25, 0.017).astype(np.float32)
    bias = d.rng.integers(-200, 200, outputs).astype(np.int32)
    constants = [(d.weights(outputs, depth, 3), scales, 0), (bias, np.float32(0.25) * scales, 0)]
    assert one(d, "Conv", (4, 9), (outputs, length), weights=constants, attributes=attributes)[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize(
    ("kernel", "out", "attributes"),
    [
        ((3, 3), (7, 6), {}),
        ((2, 2), (10, 8), {"strides": [2, 2]}),
        ((3, 4), (12, 4), {"strides": [3, 1], "pads": [2, 1, 1, 2], "output_padding": [0, 0]}),
        ((3, 3), (10, 8), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        ((1, 1), (9, 7), {"strides": [2, 2]}),
        ((4,), (10,), {"strides": [2], "pads": [1, 1]}),
    ],
)
def test_transposed_convolutions_are_equal_but_for_ties_that_float32_does_not_see(
    dtype: str, odd: int, kernel: tuple[int, ...], out: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    """onnxruntime has no integer kernel for them: real numbers are multiplied and added."""
    d = Draw(dtype, odd)
    size = (5, 4)[: len(kernel)]
    for scales, scale, allowed in (((0.25, 0.5, 0.125), 8.0, 0), ((0.17, 0.02, 0.3), 7.0, 0.01)):
        bias = d.rng.integers(-200, 200, 3).astype(np.int32)
        steps = np.asarray(scales, np.float32)
        constants = [(d.weights(4, 3, *kernel, limit=90), steps, 1), (bias, np.float32(0.25) * steps, 0)]
        count, most, total = one(
            d, "ConvTranspose", (4, *size), (3, *out), scale, weights=constants, attributes=attributes
        )
        assert most <= 1
        assert count <= allowed * total


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("scale", [0.25, 0.5])
@pytest.mark.parametrize(
    ("bounds", "out"),
    [
        ([[1], [3], [1], [1]], (2, 6, 7)),
        ([[-2, 1], [1 << 40, 6], [2, -1], [1, 2]], (3, 2, 3)),
        ([[9, 5], [-(1 << 40), 0], [1, 3], [-1, -2]], (3, 6, 3)),
        ([[0, 0, 2], [1, 2, 4]], (2, 2, 7)),
    ],
)
def test_slices_are_equal(
    dtype: str, odd: int, scale: float, bounds: list[list[int]], out: tuple[int, ...]
) -> None:
    d = Draw(dtype, odd)
    parameters = [np.asarray(each, np.int64) for each in bounds]
    assert one(d, "Slice", (3, 6, 7), out, scale, parameters=parameters)[0] == 0


COORDINATES = ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")


def resized(d: Draw, out: tuple[int, int], scale: float, by: str, **attributes: Any) -> tuple[int, int, int]:
    """The difference of a Resize of (3, 5, 7), by factors or to sizes."""
    sizes = np.asarray([1, 3, *out], np.int64)
    factors = (sizes / [1, 3, 5, 7]).astype(np.float32)
    parameters = [None, factors] if by == "factors" else [None, None, sizes]
    quantized = d.q(0.25, 120)
    content = nets.between(
        "Resize",
        [(1, 3, 5, 7)],
        [quantized],
        Q(scale, quantized.zero_point),
        (1, 3, *out),
        dtype=d.dtype,
        parameters=parameters,
        attributes=attributes,
    )
    return difference(content, d.values(N, 3, 5, 7))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_the_nearest_neighbours_are_equal(dtype: str, rounding: str, coordinates: str) -> None:
    d = Draw(dtype, 0)
    how = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    if (coordinates, rounding) == ("asymmetric", "round_prefer_ceil"):
        with pytest.raises(UnsupportedOperatorError, match="asymmetric coordinates with round_prefer_ceil"):
            resized(d, (10, 14), 0.25, "sizes", mode="nearest", **how)
        return
    for out, by, scale in (
        ((10, 14), "factors", 0.25),
        ((15, 10), "sizes", 0.5),
        ((2, 4), "sizes", 0.25),
        ((1, 17), "sizes", 0.25),
    ):
        assert resized(d, out, scale, by, mode="nearest", **how)[0] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_linear_resizes_are_at_most_one_step_away(dtype: str, coordinates: str) -> None:
    """TFLM's kernel halves away from zero and takes positions in steps of 1/1024."""
    d, how = Draw(dtype, 0), {"mode": "linear", "coordinate_transformation_mode": coordinates}
    for out, by in (((10, 14), "factors"), ((15, 10), "sizes"), ((2, 4), "sizes"), ((11, 9), "sizes")):
        count, most, total = resized(d, out, 0.25, by, **how)
        assert most <= 1
        assert count <= 0.16 * total


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_dense_layers_are_equal(dtype: str, odd: int, kind: str, per_channel: bool) -> None:
    d = Draw(dtype, odd)
    weights = d.weights(20, 7)
    scales: Any = np.full(7, 0.25) if per_channel else 0.25
    assert one(d, kind, (20,), (7,), weights=[(weights, scales, 1)])[0] == 0


def test_sums_beyond_24_bits_are_equal_on_the_integer_kernels() -> None:
    """Float accumulation would lose the last digits: 4096 products of up to 2**14 reach 2**26."""
    d = Draw("int8", 0)
    weights = np.full((4096, 3), 127, np.int8)
    weights[:, 1] = d.rng.integers(-128, 128, 4096)
    content = nets.between(
        "MatMul",
        [(1, 4096)],
        [Q(1, -128)],
        Q(2.0**19, 0),
        (1, 3),
        weights=[(weights, np.full(3, 1.0), 1)],
    )
    x = d.rng.integers(-128, 128, (200, 4096)).astype(np.int8)
    x[100:] = d.rng.integers(100, 128, (100, 1))
    assert difference(content, x)[0] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_large_weights_do_not_saturate_on_any_processor(dtype: str) -> None:
    """Pairs of products of uint8 and int8 exceed the 16 bits that AVX2 sums them in."""
    d = Draw(dtype, 0)
    weights = np.where(np.arange(64 * 9).reshape(64, 9) % 5, 127, -128).astype(np.int8)
    constants = [(weights, np.full(9, 0.003), 1)]
    content = nets.between(
        "MatMul", [(1, 64)], [d.q(0.1, 0)], d.q(7.0, 3), (1, 9), weights=constants, dtype=dtype
    )
    x = d.values(N, 64)
    x[:20] = d.low + 255
    assert difference(content, x)[0] == 0


@pytest.mark.parametrize(("depth", "equal"), [(16, True), (8192, False)])
def test_without_optimizations_sums_are_float_and_exact_up_to_24_bits_only(depth: int, equal: bool) -> None:
    """Then DequantizeLinear, MatMul and QuantizeLinear run one after the other: why the runner optimizes."""
    d = Draw("int8", 0)
    weights = d.rng.integers(100, 128, (depth, 4)).astype(np.int8)
    content = nets.between(
        "MatMul", [(1, depth)], [Q(1, -128)], Q(4.0, 0), (1, 4), weights=[(weights, np.full(4, 1.0), 1)]
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = onnx.load_from_string(content)
    model.graph.output.append(onnx.ValueInfoProto(name=model.graph.node[2].output[0]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    x = d.rng.integers(100, 128, (N, depth)).astype(np.int8)
    sums = np.concatenate([session.run(None, {"x0": row[None]})[1] for row in x])
    exact = (x.astype(np.int64) + 128) @ weights.astype(np.int64)
    assert bool((sums == exact).all()) is equal


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
def test_products_of_two_inputs_are_equal(dtype: str, odd: int) -> None:
    d = Draw(dtype, odd)
    shape = (1, 3, 5, 7)
    for scales in ((0.25, 0.0625, 1.0), (0.02, 0.013, 0.0171)):
        content = nets.between(
            "Mul",
            [shape, shape],
            [d.q(scales[0]), d.q(scales[1], 77)],
            Q(scales[2], d.output_zero),
            shape,
            dtype=dtype,
        )
        assert difference(content, d.values(N, 3, 5, 7), d.values(N, 3, 5, 7))[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("kind", ["Add", "Sub"])
def test_sums_are_equal_but_for_ties_that_float32_does_not_see(dtype: str, odd: int, kind: str) -> None:
    d = Draw(dtype, odd)
    shape = (1, 3, 5, 7)

    def away(*scales: float) -> tuple[int, int, int]:
        quantized = [d.q(scales[0]), d.q(scales[1], 77)]
        content = nets.between(
            kind, [shape, shape], quantized, Q(scales[2], d.output_zero), shape, dtype=dtype
        )
        return difference(content, d.values(N, 3, 5, 7), d.values(N, 3, 5, 7))

    assert away(0.5, 0.25, 1.0)[0] == 0  # ties that are exact in float32
    assert away(0.0213, 0.0117, 0.0291)[0] == 0  # no ties
    count, most, total = away(0.1, 0.3, 0.2)  # a quarter of all sums is nearly a tie
    assert most <= 1
    assert count <= total // 8


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("size", [4, 7])
def test_means_are_equal(dtype: str, odd: int, size: int) -> None:
    d = Draw(dtype, odd)
    assert one(d, "GlobalAveragePool", (5, size, size), (5, 1, 1), 0.125)[0] == 0
    axes = {"axes": [2, 3], "keepdims": 0}
    assert one(d, "ReduceMean", (5, size, size), (5,), 0.125, attributes=axes)[0] == 0
    axes = {"axes": [1], "keepdims": 0}
    assert one(d, "ReduceMean", (5, size, size), (size, size), 0.125, attributes=axes)[0] == 0


@pytest.mark.parametrize(
    ("axes", "noop", "out"),
    [((), 1, (1, 4, 3)), ((), 0, (1, 1, 1)), (None, 1, (1, 4, 3)), (None, 0, (1, 1, 1))],
)
def test_a_mean_without_axes_is_over_all_or_none(axes: Any, noop: int, out: tuple[int, ...]) -> None:
    net = nets.Net()
    parts = net.constant(0.25), net.constant(3, np.int8)
    x = net.op("DequantizeLinear", net.input("x0", 1, 4, 3, dtype="int8"), *parts)
    given = [] if axes is None else [net.constant(axes, np.int64)]
    y = net.op("ReduceMean", x, *given, noop_with_empty_axes=noop)
    y = net.op("QuantizeLinear", y, net.constant(0.03), net.constant(0, np.int8))
    content = net.model({y: out}, "int8", opset=18)
    count, most, total = difference(content, Draw("int8", 0).values(N, 4, 3))
    assert (most <= 1, total) == (True, N * int(np.prod(out)))
    assert count <= total // 50


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
def test_averages_are_equal_but_for_some_ties(dtype: str, odd: int) -> None:
    d = Draw(dtype, odd)
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    for scale, allowed in ((0.25, 0), (0.0371, 0.1)):  # of the averages of 4, a quarter are ties
        content = nets.between(
            "AveragePool",
            [(1, 5, 6, 6)],
            [d.q(scale, 120 + odd)],
            Q(scale, d.output_zero),
            (1, 5, 3, 3),
            dtype=dtype,
            attributes=window,
        )
        count, most, total = difference(content, d.values(N, 5, 6, 6))
        assert most <= 1
        assert count <= allowed * total


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
def test_padding_counts_where_the_model_says_so(dtype: str, odd: int) -> None:
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    count, most, total = one(Draw(dtype, odd), "AveragePool", (3, 6, 6), (3, 6, 6), 0.25, attributes=window)
    assert most <= 1
    assert count <= total // 50


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("kind", FUNCTIONS_OF_ONE)
def test_functions_are_equal(dtype: str, odd: int, kind: str) -> None:
    d = Draw(dtype, odd)
    every = (np.arange(256) + d.low).astype(dtype).reshape(1, 256)
    for scales in ((0.0391, 0.0171), (0.5, 1.0)):
        scale = 1 / 128 if kind in UP_TO_ONE else scales[1]
        content = nets.between(
            kind,
            [(1, 256)],
            [d.q(scales[0])],
            Q(scale, d.output_zero),
            (1, 256),
            dtype=dtype,
            opset=OPSETS.get(kind, 17),
        )
        assert difference(content, every)[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("kind", ["Sqrt", "Log"])
def test_functions_of_what_is_not_below_0_are_equal(dtype: str, odd: int, kind: str) -> None:
    d = Draw(dtype, odd)
    every = (np.arange(256) + d.low).astype(dtype).reshape(1, 256)
    for scale in (0.0391, 0.5):
        content = nets.between(
            kind, [(1, 256)], [d.q(scale, 0)], Q(0.0471, d.output_zero), (1, 256), dtype=dtype
        )
        assert difference(content, every)[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
@pytest.mark.parametrize("clamp", [("Relu",), ("Clip", "0", "6"), ("Clip", "-3.3", "7.7")])
def test_a_clamp_behind_an_operator_is_equal(dtype: str, odd: int, clamp: tuple[str, ...]) -> None:
    d = Draw(dtype, odd)
    found = one(d, "Gemm", (20,), (7,), 0.25, weights=[(d.weights(20, 7), 0.25, 1)], clamp=clamp)
    assert found[0] == 0


@pytest.mark.parametrize(("dtype", "odd"), EDGES)
def test_moved_data_are_equal(dtype: str, odd: int) -> None:
    d = Draw(dtype, odd)
    for scale in (0.25, 0.5):  # the same scale, and another one
        assert one(d, "Transpose", (2, 3, 4), (4, 2, 3), scale, attributes={"perm": [0, 3, 1, 2]})[0] == 0
        assert one(d, "Flatten", (2, 3, 4), (24,), scale)[0] == 0
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        assert one(d, "MaxPool", (3, 6, 6), (3, 3, 3), scale, attributes=pool)[0] == 0
        shapes = [(1, 3, 5, 5), (1, 2, 5, 5)]
        content = nets.between(
            "Concat",
            shapes,
            [d.q(0.25), d.q(0.5, 77)],
            Q(scale, d.output_zero),
            (1, 5, 5, 5),
            dtype=dtype,
            attributes={"axis": 1},
        )
        assert difference(content, d.values(N, 3, 5, 5), d.values(N, 2, 5, 5))[0] == 0


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "out"), [(2, 2, 0, 4), (3, 2, 0, 3), (3, 3, 1, 3), (1, 3, 0, 3), (2, 3, 1, 3)]
)
def test_a_last_window_that_is_cut_off_counts_where_the_model_says_so(
    kernel: int, stride: int, pad: int, out: int
) -> None:
    how = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": 1}
    assert one(Draw("int8", 0), "MaxPool", (3, 7, 7), (3, out, out), 0.25, attributes=how)[0] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_softmax_is_at_most_one_step_away(dtype: str) -> None:
    d = Draw(dtype, 0)
    for scale, allowed in ((1 / 256, 0.01), (1 / 255, 0.2)):
        content = nets.between("Softmax", [(1, 10)], [d.q(0.05)], Q(scale, d.low), (1, 10), dtype=dtype)
        count, most, total = difference(content, d.values(400, 10))
        assert most <= 1
        assert count <= allowed * total


@pytest.mark.parametrize("scale", [1 / 256, 1 / 200])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((4, 1), 1),
        ((4, 1, 1), 1),
        ((4, 3, 1), 1),
        ((4, 3, 1), 2),
        ((3, 1, 4), 1),
        ((3, 4), -2),
        ((2, 3, 4), 2),
    ],
)
def test_softmax_normalises_the_axis_that_is_asked_for(
    shape: tuple[int, ...], axis: int, scale: float
) -> None:
    d = Draw("int8", 0)
    content = nets.between(
        "Softmax", [(1, *shape)], [d.q(0.05)], Q(scale, -128), (1, *shape), attributes={"axis": axis}
    )
    count, most, total = difference(content, d.values(N, *shape))
    assert most <= 1
    assert count <= total // 5


FUNCTIONS = [*FUNCTIONS_OF_ONE, "Exp"]
POOLED = {"kernel_shape": [2, 2], "strides": [2, 2]}
# operator, shapes of its inputs, of its output, how the output's scale follows from theirs, attributes
DRAWN: list[tuple[str, list[tuple[int, ...]], tuple[int, ...], str, dict[str, Any]]] = [
    ("Mul", [(3, 5, 7)] * 2, (3, 5, 7), "product", {}),
    ("Add", [(3, 5, 7)] * 2, (3, 5, 7), "near", {}),
    ("Sub", [(3, 5, 7)] * 2, (3, 5, 7), "near", {}),
    ("Max", [(3, 5, 7)] * 2, (3, 5, 7), "near", {}),
    ("Min", [(3, 5, 7)] * 2, (3, 5, 7), "near", {}),
    ("MatMul", [(3, 5, 7), (3, 7, 4)], (3, 5, 4), "product", {}),
    ("ReduceMax", [(5, 7, 7)], (7, 7), "near", {"axes": [1], "keepdims": 0}),
    ("ReduceMax", [(5, 7, 7)], (1, 7, 1), "near", {"axes": [1, 3]}),
    ("GlobalAveragePool", [(5, 7, 7)], (5, 1, 1), "less", {}),
    ("ReduceMean", [(5, 7, 7)], (7, 7), "less", {"axes": [1], "keepdims": 0}),
    ("AveragePool", [(5, 6, 6)], (5, 3, 3), "near", POOLED),
    ("MaxPool", [(5, 6, 6)], (5, 3, 3), "near", POOLED),
    ("Flatten", [(5, 6, 6)], (180,), "near", {}),
    ("Concat", [(3, 5, 5), (2, 5, 5)], (5, 5, 5), "near", {"axis": 1}),
    *((kind, [(256,)], (256,), "one" if kind in UP_TO_ONE else "near", {}) for kind in FUNCTIONS),
]
# largest share of outputs that are one step away; all others are equal
NEAR = {"Mul": 0.002, "Add": 0.005, "Sub": 0.005, "ReduceMean": 0.01, "AveragePool": 0.01} | dict.fromkeys(
    ("Tanh", "HardSwish", "HardSigmoid"), 0.002
)


@pytest.mark.parametrize(("kind", "shapes", "out", "rule", "attributes"), DRAWN, ids=[d[0] for d in DRAWN])
def test_drawn_scales_and_zero_points_are_equal_or_one_step_away(
    kind: str, shapes: list[tuple[int, ...]], out: tuple[int, ...], rule: str, attributes: dict[str, Any]
) -> None:
    """Scales of two digits, as people write them, make many near ties."""
    count = largest = total = 0
    for seed in range(20):
        d = Draw("int8" if seed % 2 else "uint8", 0, seed)
        inputs = [drawn(d, float(d.rng.integers(1, 60)) / d.rng.choice([20, 100, 128])) for _ in shapes]
        scale = drawn_scale(d, rule, [q.scale for q in inputs])
        if kind == "Exp":
            scale = max(float(np.exp(min(inputs[0].scale, 0.1) * 90)) / 200, 0.001)
        content = nets.between(
            kind,
            [(1, *shape) for shape in shapes],
            inputs,
            drawn(d, scale),
            (1, *out),
            dtype=d.dtype,
            attributes=attributes,
            opset=OPSETS.get(kind, 17),
        )
        away = difference(content, *(d.values(10, *shape) for shape in shapes), least=0)
        count, largest, total = count + away[0], max(largest, away[1]), total + away[2]
    assert largest <= (kind in NEAR)
    assert count <= NEAR.get(kind, 0) * total


def drawn(d: Draw, scale: float) -> Q:
    return Q(scale, d.low + int(d.rng.integers(40, 216)))


def drawn_scale(d: Draw, rule: str, scales: list[float]) -> float:
    bounds = {"product": (1, 5), "near": (-1, 1), "less": (-2, 0), "one": (-6, -3)}[rule]
    base = {"product": float(np.prod(scales)), "one": 1.0}.get(rule, max(scales))
    scale = base * float(np.exp(d.rng.uniform(*bounds)))
    return round(scale, 2 if scale > 0.05 else 3) or 0.001


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> QuantizedModel:
    from pytest_quantcheck.cache import Cache

    x = np.random.default_rng(0).normal(size=(16, 3, 12, 10)).astype(np.float32)
    config = QuantConfig(quantizer="onnx", calibration=Calibration())
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return quantize(nets.residual(), config, Samples(x), name="residual", cache=cache)


def test_every_operator_is_recorded_in_the_graphs_layout(artefact: QuantizedModel) -> None:
    x = np.random.default_rng(1).normal(size=(6, 3, 12, 10)).astype(np.float32)
    theirs = OnnxruntimeRunner().run(artefact, Samples(x), operators=True)
    ours = IntegerRunner().run(artefact, Samples(x), operators=True)
    kinds = {record.kind for record in theirs.operators[0]}
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "CONCATENATION", "MEAN", "FULLY_CONNECTED"} <= kinds
    for row, other in zip(theirs.operators, ours.operators, strict=True):
        known = {record.index: record.crc32 for record in other}
        first = [record for record in row if record.kind in ("CONV_2D", "MAX_POOL_2D", "ADD")]
        assert [known[record.index] for record in first] == [record.crc32 for record in first]
    index = next(record.index for record in theirs.operators[0] if record.kind == "CONV_2D")
    one = [ours.inputs[0][:1]]
    np.testing.assert_array_equal(
        OnnxruntimeRunner().tensor(artefact, one, index), IntegerRunner().tensor(artefact, one, index)
    )


def test_an_operator_that_is_not_there_is_told(artefact: QuantizedModel) -> None:
    with pytest.raises(UsageError, match="has no operator 999"):
        OnnxruntimeRunner().tensor(artefact, [np.zeros((1, 3, 12, 10), np.int8)], 999)


def test_the_runner_goes_by_its_name_and_runs_no_tflite_file() -> None:
    runner = host_runner("onnxruntime")
    assert runner.name == "onnxruntime"
    content = (DATA / f"digits-{CONFIGURATIONS[0].id}.tflite").read_bytes()
    with pytest.raises(UsageError, match="is a TFLite file"):
        runner.run(QuantizedModel("digits", content), Raw(np.zeros((1, 8, 8, 1), np.int8)))


def test_a_model_that_onnxruntime_refuses_is_a_model_error() -> None:
    net = nets.Net()
    content = net.model({net.op("Gemm", net.input("x", 1, 4), net.normal(5, 3)): (1, 3)})
    with pytest.raises(ModelError, match="onnxruntime"):
        OnnxruntimeRunner().run(QuantizedModel("bad", content), Samples(np.zeros((1, 4), np.float32)))
