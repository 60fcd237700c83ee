"""The C kernels compute the interpreter's integers, in both variants, for graphs of one operator with
parameters beyond what converters choose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Add,
    ArgExtremum,
    BatchMatMul,
    Concatenation,
    Convolution,
    Extremum,
    FloatEdge,
    FullyConnected,
    L2Normalization,
    Lstm,
    Mean,
    Mul,
    Operator,
    Pad,
    Params,
    Pool,
    Prelu,
    QuantGraph,
    ReduceMax,
    Requantize,
    Rescale,
    Reshape,
    Resize,
    SigmoidInt16,
    Slice,
    Softmax,
    SoftmaxInt16,
    Table,
    Tensor,
    TransposedConvolution,
    Window,
)
from pytest_quantcheck.image.compile import compile_image

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
SHA256 = "0f" * 32
ZERO_POINTS = st.integers(-128, 127)
DTYPES = st.sampled_from(["int8", "int16"])
LIMITS = {"int8": (-128, 127), "int16": (-(1 << 15), (1 << 15) - 1)}


def zero_points(dtype: str) -> st.SearchStrategy[int]:
    """Any int8; int16 is symmetric."""
    return ZERO_POINTS if dtype == "int8" else st.just(0)


def graph_of(
    kind: str,
    params: Params,
    inputs: list[tuple[tuple[int, ...], str]],
    output: tuple[tuple[int, ...], str],
    constants: list[Array | None] | None = None,
) -> QuantGraph:
    """A graph of one operator: activations first, then constants (None: absent), then the output."""
    tensors = [Tensor(i, "", shape, np.dtype(dtype)) for i, (shape, dtype) in enumerate(inputs)]
    positions = list(range(len(tensors)))
    for data in constants or []:
        if data is None:
            positions.append(-1)
            continue
        positions.append(len(tensors))
        tensors.append(Tensor(len(tensors), "", data.shape, data.dtype, data=data))
    tensors.append(Tensor(len(tensors), "", output[0], np.dtype(output[1])))
    op = Operator(0, kind, tuple(positions), (len(tensors) - 1,), params)
    return QuantGraph(tuple(tensors), (op,), tuple(range(len(inputs))), (len(tensors) - 1,), SHA256)


def values(graph: QuantGraph, seed: int) -> list[Array]:
    """Random inputs over the whole range of their types; floats include the awkward ones."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype.kind == "f":
            x = rng.normal(scale=50, size=tensor.shape).astype(np.float32)
            x.reshape(-1)[::3] = np.round(x.reshape(-1)[::3]) + np.float32(0.5)
            arrays.append(x)
        else:
            info = np.iinfo(tensor.dtype.name)
            extreme = rng.choice([info.min, info.max], tensor.shape)
            spread = rng.integers(info.min, info.max + 1, tensor.shape)
            arrays.append(np.where(rng.random(tensor.shape) < 0.2, extreme, spread).astype(tensor.dtype))
    return arrays


@st.composite
def rules(draw: st.DrawFn, channels: int = 1, low: int = -12, high: int = 2) -> Requantize:
    """A requantization rule; mostly below one half, where the fast kernels work."""
    values = st.integers((1 << 30) - (1 << 26), (1 << 31) - 1).map(lambda m: m if m >= 1 << 30 else 0)
    multiplier = draw(st.lists(values, min_size=channels, max_size=channels))
    top = draw(st.sampled_from([-1, high]))
    shift = draw(st.lists(st.integers(low, top), min_size=channels, max_size=channels))
    return Requantize(np.asarray(multiplier, np.int64), np.asarray(shift, np.int64))


@st.composite
def clamps(draw: st.DrawFn, dtype: str = "int8") -> tuple[int, int]:
    if draw(st.booleans()):
        return LIMITS[dtype]
    values = st.integers(*LIMITS[dtype])
    low, high = sorted((draw(values), draw(values)))
    return low, high


@st.composite
def windows(draw: st.DrawFn, size: tuple[int, int], *, pool: bool = False) -> tuple[Window, tuple[int, int]]:
    """A window over an input of that height and width, and the output's height and width."""
    kernel, stride, dilation, pad, out = [], [], [], [], []
    plain = draw(st.booleans())
    for length in size:
        kernel.append(draw(st.integers(1, 4)) if not plain else min(3, length))
        stride.append(draw(st.integers(1, 3)))
        dilation.append(1 if pool or plain else draw(st.integers(1, 2)))
        reach = (kernel[-1] - 1) * dilation[-1] + 1
        if draw(st.booleans()) or reach > length:
            out.append(-(-length // stride[-1]))
            pad.append(max((out[-1] - 1) * stride[-1] + reach - length, 0) // 2)
        else:
            out.append((length - reach) // stride[-1] + 1)
            pad.append(0)
    return Window(*kernel, *stride, *dilation, *pad), (out[0], out[1])


@st.composite
def sums(
    draw: st.DrawFn, dtype: str, rng: np.random.Generator, outputs: int
) -> tuple[Array | None, Requantize]:
    """Biases and the rule for their sums; int16 has sums of 64 and of 32 bits."""
    entries = draw(st.sampled_from([1, outputs]))
    wide = dtype == "int16" and draw(st.booleans())
    limit = draw(st.sampled_from([1 << 16, 1 << 46 if wide else 1 << 30]))
    bias = rng.integers(-limit, limit, outputs, endpoint=True).astype(np.int64 if wide else np.int32)
    rule = draw(rules(entries, low=-31, high=7) if wide else rules(entries))
    if wide:
        rule = Requantize(rule.multiplier, rule.shift, "reduced")
    return bias if draw(st.booleans()) else None, rule


@st.composite
def convolutions(draw: st.DrawFn, depthwise: bool) -> QuantGraph:
    batch, height, width = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = draw(st.integers(1, 9))
    window, (out_h, out_w) = draw(windows((height, width)))
    multiplier = draw(st.integers(1, 3)) if depthwise else 0
    outputs = channels * multiplier if depthwise else draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    shape = (window.kernel_h, window.kernel_w)
    group = 1 if depthwise or outputs % 2 or channels % 2 else draw(st.integers(1, 2))
    weights = rng.integers(
        -128, 128, (1, *shape, outputs) if depthwise else (outputs, *shape, channels // group)
    )
    dtype = draw(DTYPES)
    bias, rule = draw(sums(dtype, rng, outputs))
    zeros = (draw(zero_points(dtype)), draw(zero_points(dtype)))
    params = Convolution(window, *zeros, rule, *draw(clamps(dtype)), depth_multiplier=multiplier)
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    return graph_of(
        kind,
        params,
        [((batch, height, width, channels), dtype)],
        ((batch, out_h, out_w, outputs), dtype),
        [weights.astype(np.int8), bias],
    )


@st.composite
def fully_connected(draw: st.DrawFn) -> QuantGraph:
    batch, depth, units = draw(st.integers(1, 5)), draw(st.integers(1, 37)), draw(st.integers(1, 13))
    if draw(st.booleans()):
        depth += 500  # more products than a 32-bit sum of int16 products holds
    dtype = draw(DTYPES)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    weights = rng.integers(-128, 128, (units, depth)).astype(np.int8)
    bias, rule = draw(sums(dtype, rng, units))
    params = FullyConnected(
        draw(zero_points(dtype)),
        draw(st.sampled_from([0, 0, 0, 5, -128, 127])) if dtype == "int8" else 0,
        draw(zero_points(dtype)),
        rule,
        *draw(clamps(dtype)),
    )
    shapes = ((batch, depth), dtype), ((batch, units), dtype)
    return graph_of("FULLY_CONNECTED", params, [shapes[0]], shapes[1], [weights, bias])


@st.composite
def broadcasts(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The shape of an output and those of its two inputs."""
    short = st.lists(st.integers(1, 6), min_size=1, max_size=5)
    tabled = st.tuples(st.integers(4, 9), st.integers(64, 80))  # of so many elements ADD makes tables
    out = tuple(draw(short | tabled))
    shapes = [out, out]
    if draw(st.booleans()):
        which = draw(st.integers(0, 1))
        reduced = tuple(draw(st.sampled_from([1, n])) for n in out)
        shapes[which] = reduced[draw(st.integers(0, len(out) - 1)) :]
    return out, shapes


@st.composite
def adds(draw: st.DrawFn) -> QuantGraph:
    dtype, out, shapes = draw(DTYPES), *draw(broadcasts())
    left = draw(st.sampled_from([20, 20, 7] if dtype == "int8" else [15, 15, 7]))
    zeros = [draw(zero_points(dtype)) for _ in range(3)]
    first, second, last = (draw(rules(low=-8, high=0)) for _ in range(3))
    gain = draw(st.integers(-4, 2)) - left - max(int(first.shift[0]), int(second.shift[0]))
    last = Requantize(last.multiplier, np.asarray([min(gain, 0)]))  # to where few sums saturate
    params = Add(left, *zeros, first, second, last, *draw(clamps(dtype)))
    kind = draw(st.sampled_from(["ADD", "SUB", "SQUARED_DIFFERENCE"]))
    return graph_of(kind, params, [(shapes[0], dtype), (shapes[1], dtype)], (out, dtype))


@st.composite
def muls(draw: st.DrawFn) -> QuantGraph:
    dtype, out, shapes = draw(DTYPES), *draw(broadcasts())
    zeros = [draw(zero_points(dtype)) for _ in range(3)]
    params = Mul(*zeros, draw(rules(low=-31, high=30)), *draw(clamps(dtype)))
    return graph_of("MUL", params, [(shapes[0], dtype), (shapes[1], dtype)], (out, dtype))


@st.composite
def extrema(draw: st.DrawFn) -> QuantGraph:
    dtype, out, shapes = draw(DTYPES), *draw(broadcasts())
    kind = draw(st.sampled_from(["MINIMUM", "MAXIMUM"]))
    return graph_of(kind, Extremum(), [(shapes[0], dtype), (shapes[1], dtype)], (out, dtype))


@st.composite
def prelus(draw: st.DrawFn) -> QuantGraph:
    dtype, out, shapes = draw(DTYPES), *draw(broadcasts())
    zeros = [draw(zero_points(dtype)) for _ in range(3)]
    params = Prelu(*zeros, draw(rules(high=30)), draw(rules(low=-31)))
    return graph_of("PRELU", params, [(shapes[0], dtype), (shapes[1], dtype)], (out, dtype))


@st.composite
def pools(draw: st.DrawFn) -> QuantGraph:
    batch, height, width = draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    channels = draw(st.integers(1, 18))
    window, (out_h, out_w) = draw(windows((height, width), pool=True))
    kind = draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    dtype = draw(DTYPES)
    return graph_of(
        kind,
        Pool(window, *draw(clamps(dtype))),
        [((batch, height, width, channels), dtype)],
        ((batch, out_h, out_w, channels), dtype),
    )


@st.composite
def means(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axes = tuple(i for i in range(len(shape)) if draw(st.booleans()))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    dtype = draw(DTYPES)
    params = Mean(axes, draw(zero_points(dtype)), draw(zero_points(dtype)), draw(rules(low=-8, high=1)))
    return graph_of("MEAN", params, [(shape, dtype)], (out, dtype))


@st.composite
def reductions(draw: st.DrawFn) -> QuantGraph:
    """REDUCE_MAX over neighbouring axes; between them may stand axes of one position."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    first = draw(st.integers(0, len(shape)))
    behind = draw(st.integers(first, len(shape)))
    axes = tuple(i for i in range(first, behind) if shape[i] > 1 or draw(st.booleans()))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    return graph_of("REDUCE_MAX", ReduceMax(axes), [(shape, "int8")], (out, "int8"))


@st.composite
def places(draw: st.DrawFn) -> QuantGraph:
    """ARG_MAX and ARG_MIN along any axis."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axis, kind = draw(st.integers(0, len(shape) - 1)), draw(st.sampled_from(["ARG_MAX", "ARG_MIN"]))
    out = (*shape[:axis], *shape[axis + 1 :])
    return graph_of(kind, ArgExtremum(axis), [(shape, "int8")], (out, "int32"))


@st.composite
def norms(draw: st.DrawFn) -> QuantGraph:
    shape = (*draw(st.lists(st.integers(1, 4), max_size=3)), draw(st.integers(1, 40) | st.just(8256)))
    params = L2Normalization(draw(ZERO_POINTS))
    return graph_of("L2_NORMALIZATION", params, [(shape, "int8")], (shape, "int8"))


@st.composite
def pads(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in shape)
    out = tuple(n + a + b for n, (a, b) in zip(shape, pairs, strict=True))
    dtype = draw(DTYPES)
    return graph_of("PAD", Pad(pairs, draw(st.integers(*LIMITS[dtype]))), [(shape, dtype)], (out, dtype))


@st.composite
def slices(draw: st.DrawFn) -> QuantGraph:
    """Any view that stays inside its input, elements twice and backwards too."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    rank = draw(st.integers(0, 5))
    out, strides = [], []
    low = high = 0
    for _ in range(rank):
        out.append(draw(st.integers(1, 5)))
        stride = draw(st.integers(-9, 9))
        reach = (out[-1] - 1) * stride
        if high - low + abs(reach) >= math.prod(shape):
            stride = reach = 0
        strides.append(stride)
        low, high = low + min(reach, 0), high + max(reach, 0)
    offset = draw(st.integers(-low, math.prod(shape) - 1 - high))
    dtype = draw(DTYPES)
    return graph_of("TRANSPOSE", Slice(offset, tuple(strides)), [(shape, dtype)], (tuple(out), dtype))


@st.composite
def concatenations(draw: st.DrawFn) -> QuantGraph:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    dtype = draw(DTYPES)
    parts = [(tuple(length if i == axis else n for i, n in enumerate(shape)), dtype) for length in lengths]
    out = tuple(sum(lengths) if i == axis else n for i, n in enumerate(shape))
    limits = draw(clamps(dtype))
    return graph_of("CONCATENATION", Concatenation(axis, *limits), parts, (out, dtype))


@st.composite
def resizes(draw: st.DrawFn) -> QuantGraph:
    dtype, bilinear = draw(DTYPES), draw(st.booleans())
    batch, height, width, channels = (draw(st.integers(1, 5)) for _ in range(4))
    tables = []
    for size in (height, width):
        places = []
        for _ in range(draw(st.integers(1, 6))):
            lower = draw(st.integers(0, size - 1))
            inside = bilinear and dtype == "int8" and lower + 1 < size
            places.append((lower, draw(st.sampled_from([0, 1, 512, 700, 1023])) if inside else 0))
        tables.append(np.asarray(places))
    out = (batch, len(tables[0]), len(tables[1]), channels)
    return graph_of(
        "RESIZE_BILINEAR", Resize(*tables), [((batch, height, width, channels), dtype)], (out, dtype)
    )


@st.composite
def matmuls(draw: st.DrawFn) -> QuantGraph:
    rows, depth, columns = (draw(st.integers(1, 6)) for _ in range(3))
    batch = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    adj_x, adj_y = draw(st.booleans()), draw(st.booleans())
    shapes = []
    for pair in ((depth, rows) if adj_x else (rows, depth), (columns, depth) if adj_y else (depth, columns)):
        shapes.append((*(batch if draw(st.booleans()) else batch[1:]), *pair))
    out = (*np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2]), rows, columns)
    dtype = draw(st.sampled_from(["int8", "int16"]))
    if dtype == "int8":
        zeros, rule = [draw(ZERO_POINTS) for _ in range(3)], draw(rules())
    else:
        zeros, rule = [0, 0, 0], draw(rules(low=-31, high=7))
        rule = Requantize(rule.multiplier, rule.shift, "reduced")
    params = BatchMatMul(zeros[0], zeros[1], zeros[2], rule, adj_x, adj_y)
    return graph_of("BATCH_MATMUL", params, [(shape, dtype) for shape in shapes], (out, dtype))


@st.composite
def transposed_convolutions(draw: st.DrawFn) -> QuantGraph:
    """Any window on any output, gaps and cells that nothing reaches included."""
    batch, height, width, depth = draw(st.integers(1, 2)), *(draw(st.integers(1, 5)) for _ in range(3))
    kernel, stride = [draw(st.integers(1, 4)) for _ in range(2)], [draw(st.integers(1, 4)) for _ in range(2)]
    window = Window(*kernel, *stride, 1, 1, draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    out_h, out_w, outputs = (draw(st.integers(1, 9)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    weights = rng.integers(-128, 128, (outputs, *kernel, depth)).astype(np.int8)
    bias, rule = draw(sums("int8", rng, outputs))
    zeros = draw(ZERO_POINTS), draw(ZERO_POINTS)
    return graph_of(
        "TRANSPOSE_CONV",
        TransposedConvolution(window, *zeros, rule, *draw(clamps())),
        [((batch, height, width, depth), "int8")],
        ((batch, out_h, out_w, outputs), "int8"),
        [weights, bias],
    )


@st.composite
def softmaxes(draw: st.DrawFn) -> QuantGraph:
    shape = (*draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(1, 40)))
    shift = draw(st.integers(1, 27))
    radius = math.floor(31 * 2**26 / 2**shift)
    params = Softmax(draw(st.integers(1 << 30, (1 << 31) - 1)), shift, -radius)
    return graph_of("SOFTMAX", params, [(shape, "int8")], (shape, draw(st.sampled_from(["int8", "int16"]))))


@st.composite
def wide_softmaxes(draw: st.DrawFn) -> QuantGraph:
    shape = (*draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(1, 40)))
    params = SoftmaxInt16(draw(rules(low=-12, high=30)))
    return graph_of("SOFTMAX", params, [(shape, "int16")], (shape, "int16"))


@st.composite
def tables(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)))
    values = np.random.default_rng(draw(st.integers(0, 1 << 16))).integers(-128, 128, 256)
    return graph_of("LOGISTIC", Table(values), [(shape, "int8")], (shape, "int8"))


@st.composite
def wide_sigmoids(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 20), min_size=1, max_size=3)))
    params = SigmoidInt16(draw(st.integers(0, 32767)), draw(st.integers(0, 31)))
    kind = draw(st.sampled_from(["LOGISTIC", "TANH"]))
    return graph_of(kind, params, [(shape, "int16")], (shape, "int16"))


EDGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": LIMITS["int16"]}


@st.composite
def rescales(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)))
    source, target = draw(st.sampled_from(list(EDGES))), draw(st.sampled_from(list(EDGES)))
    zeros = [0 if dtype == "int16" else draw(st.integers(*EDGES[dtype])) for dtype in (source, target)]
    low, high = sorted(draw(st.tuples(st.integers(*EDGES[target]), st.integers(*EDGES[target]))))
    limits = (low, high) if draw(st.booleans()) else EDGES[target]
    params = Rescale(*zeros, draw(st.none() | rules(low=-16, high=9)), *limits)
    return graph_of("QUANTIZE", params, [(shape, source)], (shape, target))


@st.composite
def float_edges(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(list(EDGES)))
    scale = float(np.float32(draw(st.floats(2.0**-20, 2.0**4))))
    zero_point = 0 if dtype == "int16" else draw(st.integers(*EDGES[dtype]))
    edges = [(shape, "float32"), (shape, dtype)]
    kind = draw(st.sampled_from(["QUANTIZE", "DEQUANTIZE"]))
    if kind == "DEQUANTIZE":
        edges.reverse()
    return graph_of(kind, FloatEdge(scale, zero_point), [edges[0]], edges[1])


@st.composite
def lstms(draw: st.DrawFn) -> QuantGraph:
    dtype, units, features = draw(DTYPES), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    wide, steps = dtype == "int16", draw(st.integers(1, 5))
    bias = np.int64 if wide else np.int32
    gates = [draw(rules(4, -12, 2)) for _ in range(2)]
    if wide:
        gates = [Requantize(each.multiplier, each.shift - 8, "reduced") for each in gates]
    products = [draw(rules(low=low, high=low + 4)) for low in (-18, -18, -24 if not wide else -16)]
    tanh = SigmoidInt16(draw(st.sampled_from([3, 24576, 0])), draw(st.integers(0, 12)))
    zeros = [draw(zero_points(dtype)) for _ in range(2)]
    params = Lstm(*zeros, *gates, *products, tanh, draw(st.sampled_from([None, 0, 1, 9000, 32767])))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    constants = [rng.integers(-128, 128, (units, features)).astype(np.int8) for _ in range(4)]
    constants += [rng.integers(-128, 128, (units, units)).astype(np.int8) for _ in range(4)]
    constants += [rng.integers(-(1 << 18), 1 << 18, units).astype(bias) for _ in range(4)]
    first, second = draw(st.permutations([1, steps]))
    shapes = [((first, second, size), dtype) for size in (features, units)]
    return graph_of("UNIDIRECTIONAL_SEQUENCE_LSTM", params, [shapes[0]], shapes[1], constants)


@st.composite
def reshapes(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    dtype = draw(DTYPES)
    return graph_of("RESHAPE", Reshape(), [(shape, dtype)], ((math.prod(shape),), dtype))


OPERATORS = {
    "CONV_2D": convolutions(False),
    "DEPTHWISE_CONV_2D": convolutions(True),
    "FULLY_CONNECTED": fully_connected(),
    "ADD": adds(),
    "MUL": muls(),
    "EXTREMUM": extrema(),
    "PRELU": prelus(),
    "POOL": pools(),
    "MEAN": means(),
    "REDUCE_MAX": reductions(),
    "ARG_MAX": places(),
    "L2_NORMALIZATION": norms(),
    "PAD": pads(),
    "SLICE": slices(),
    "CONCATENATION": concatenations(),
    "RESIZE": resizes(),
    "BATCH_MATMUL": matmuls(),
    "TRANSPOSE_CONV": transposed_convolutions(),
    "SOFTMAX": softmaxes(),
    "SOFTMAX_INT16": wide_softmaxes(),
    "TABLE": tables(),
    "SIGMOID_INT16": wide_sigmoids(),
    "LSTM": lstms(),
    "RESCALE": rescales(),
    "FLOAT_EDGE": float_edges(),
    "RESHAPE": reshapes(),
}


@pytest.mark.parametrize("operator", list(OPERATORS))
def test_engine_equals_interpreter(engine: Engine, operator: str) -> None:
    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(graph=OPERATORS[operator], seed=st.integers(0, 1 << 16))
    def holds(graph, seed):
        inputs = values(graph, seed)
        expected = execute.run(graph, inputs)[graph.outputs[0]]
        answer = engine.run_graph(graph, compile_image(graph).data, inputs)
        assert answer.status == 0
        actual = np.frombuffer(answer.outputs, expected.dtype).reshape(expected.shape)
        np.testing.assert_array_equal(actual, expected)

    holds()


@pytest.mark.parametrize("limits", [(-128, 127), (-100, 90)])
@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_every_pair_of_int8_is_added_and_subtracted_alike(
    engine: Engine, kind: str, limits: tuple[int, int]
) -> None:
    rules = [Requantize(np.asarray([1518500250]), np.asarray([shift])) for shift in (0, -1, -18)]
    graph = graph_of(
        kind, Add(20, 3, -7, 5, *rules, *limits), [((256, 256), "int8")] * 2, ((256, 256), "int8")
    )
    pairs = [np.ascontiguousarray(x) for x in np.mgrid[-128:128, -128:128].astype(np.int8)]
    answer = engine.run_graph(graph, compile_image(graph).data, pairs)
    assert answer.status == 0
    expected = execute.run(graph, pairs)[graph.outputs[0]]
    assert len(np.unique(expected)) == limits[1] - limits[0] + 1
    np.testing.assert_array_equal(np.frombuffer(answer.outputs, np.int8).reshape(256, 256), expected)
