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
from pytest_quantcheck.graph.image import compile_image
from pytest_quantcheck.graph.model import (
    Add,
    Concatenation,
    Convolution,
    FloatEdge,
    FullyConnected,
    Mean,
    Operator,
    Pad,
    Params,
    Pool,
    QuantGraph,
    Requantize,
    Rescale,
    Reshape,
    Softmax,
    Tensor,
    Window,
)

if TYPE_CHECKING:
    from conftest import Engine

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
SHA256 = "0f" * 32
ZERO_POINTS = st.integers(-128, 127)


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
    multiplier = draw(
        st.lists(st.integers(1 << 30, (1 << 31) - 1) | st.just(0), min_size=channels, max_size=channels)
    )
    top = draw(st.sampled_from([-1, high]))
    shift = draw(st.lists(st.integers(low, top), min_size=channels, max_size=channels))
    return Requantize(np.asarray(multiplier, np.int64), np.asarray(shift, np.int64))


@st.composite
def clamps(draw: st.DrawFn) -> tuple[int, int]:
    if draw(st.booleans()):
        return -128, 127
    low, high = sorted((draw(ZERO_POINTS), draw(ZERO_POINTS)))
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
    bias = rng.integers(-(1 << 16), 1 << 16, outputs) if draw(st.booleans()) else None
    params = Convolution(
        window,
        draw(ZERO_POINTS),
        draw(ZERO_POINTS),
        draw(rules(draw(st.sampled_from([1, outputs])))),
        *draw(clamps()),
        depth_multiplier=multiplier,
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    return graph_of(
        kind,
        params,
        [((batch, height, width, channels), "int8")],
        ((batch, out_h, out_w, outputs), "int8"),
        [weights.astype(np.int8), None if bias is None else bias.astype(np.int32)],
    )


@st.composite
def fully_connected(draw: st.DrawFn) -> QuantGraph:
    batch, depth, units = draw(st.integers(1, 5)), draw(st.integers(1, 37)), draw(st.integers(1, 13))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    params = FullyConnected(
        draw(ZERO_POINTS),
        draw(st.sampled_from([0, 0, 0, 5, -128, 127])),
        draw(ZERO_POINTS),
        draw(rules(draw(st.sampled_from([1, units])))),
        *draw(clamps()),
    )
    return graph_of(
        "FULLY_CONNECTED",
        params,
        [((batch, depth), "int8")],
        ((batch, units), "int8"),
        [
            rng.integers(-128, 128, (units, depth)).astype(np.int8),
            rng.integers(-(1 << 16), 1 << 16, units).astype(np.int32) if draw(st.booleans()) else None,
        ],
    )


@st.composite
def adds(draw: st.DrawFn) -> QuantGraph:
    out = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    shapes = [out, out]
    if draw(st.booleans()):
        which = draw(st.integers(0, 1))
        reduced = tuple(draw(st.sampled_from([1, n])) for n in out)
        shapes[which] = reduced[draw(st.integers(0, len(out) - 1)) :]
    params = Add(
        draw(st.sampled_from([20, 20, 7])),
        draw(ZERO_POINTS),
        draw(ZERO_POINTS),
        draw(ZERO_POINTS),
        draw(rules(low=-8, high=0)),
        draw(rules(low=-8, high=0)),
        draw(rules(low=-20, high=0)),
        *draw(clamps()),
    )
    return graph_of("ADD", params, [(shapes[0], "int8"), (shapes[1], "int8")], (out, "int8"))


@st.composite
def pools(draw: st.DrawFn) -> QuantGraph:
    batch, height, width = draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    channels = draw(st.integers(1, 18))
    window, (out_h, out_w) = draw(windows((height, width), pool=True))
    kind = draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    return graph_of(
        kind,
        Pool(window, *draw(clamps())),
        [((batch, height, width, channels), "int8")],
        ((batch, out_h, out_w, channels), "int8"),
    )


@st.composite
def means(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axes = tuple(i for i in range(len(shape)) if draw(st.booleans()))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    params = Mean(axes, draw(ZERO_POINTS), draw(ZERO_POINTS), draw(rules(low=-8, high=1)))
    return graph_of("MEAN", params, [(shape, "int8")], (out, "int8"))


@st.composite
def pads(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in shape)
    out = tuple(n + a + b for n, (a, b) in zip(shape, pairs, strict=True))
    return graph_of("PAD", Pad(pairs, draw(ZERO_POINTS)), [(shape, "int8")], (out, "int8"))


@st.composite
def concatenations(draw: st.DrawFn) -> QuantGraph:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    parts = [(tuple(length if i == axis else n for i, n in enumerate(shape)), "int8") for length in lengths]
    out = tuple(sum(lengths) if i == axis else n for i, n in enumerate(shape))
    return graph_of("CONCATENATION", Concatenation(axis, *draw(clamps())), parts, (out, "int8"))


@st.composite
def softmaxes(draw: st.DrawFn) -> QuantGraph:
    shape = (*draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(1, 40)))
    shift = draw(st.integers(1, 27))
    radius = math.floor(31 * 2**26 / 2**shift)
    params = Softmax(draw(st.integers(1 << 30, (1 << 31) - 1)), shift, -radius)
    return graph_of("SOFTMAX", params, [(shape, "int8")], (shape, "int8"))


@st.composite
def rescales(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)))
    source, target = draw(st.sampled_from([("int8", "int8"), ("int8", "uint8"), ("uint8", "int8")]))
    offset = {"int8": 0, "uint8": 128}
    low, high = draw(clamps())
    params = Rescale(
        draw(ZERO_POINTS) + offset[source],
        draw(ZERO_POINTS) + offset[target],
        draw(st.none() | rules(low=-8, high=9)),
        low + offset[target],
        high + offset[target],
    )
    return graph_of("QUANTIZE", params, [(shape, source)], (shape, target))


@st.composite
def float_edges(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(["int8", "uint8"]))
    scale = float(np.float32(draw(st.floats(2.0**-20, 2.0**4))))
    zero_point = draw(ZERO_POINTS) + (128 if dtype == "uint8" else 0)
    edges = [(shape, "float32"), (shape, dtype)]
    kind = draw(st.sampled_from(["QUANTIZE", "DEQUANTIZE"]))
    if kind == "DEQUANTIZE":
        edges.reverse()
    return graph_of(kind, FloatEdge(scale, zero_point), [edges[0]], edges[1])


@st.composite
def reshapes(draw: st.DrawFn) -> QuantGraph:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    return graph_of("RESHAPE", Reshape(), [(shape, "int8")], ((math.prod(shape),), "int8"))


OPERATORS = {
    "CONV_2D": convolutions(False),
    "DEPTHWISE_CONV_2D": convolutions(True),
    "FULLY_CONNECTED": fully_connected(),
    "ADD": adds(),
    "POOL": pools(),
    "MEAN": means(),
    "PAD": pads(),
    "CONCATENATION": concatenations(),
    "SOFTMAX": softmaxes(),
    "RESCALE": rescales(),
    "FLOAT_EDGE": float_edges(),
    "RESHAPE": reshapes(),
}


@pytest.mark.parametrize("operator", list(OPERATORS))
def test_engine_equals_interpreter(engine: Engine, operator: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(graph=OPERATORS[operator], seed=st.integers(0, 1 << 16))
    def holds(graph, seed):
        inputs = values(graph, seed)
        expected = execute.run(graph, inputs)[graph.outputs[0]]
        answer = engine.run_graph(graph, compile_image(graph).data, inputs)
        assert answer.status == 0
        actual = np.frombuffer(answer.outputs, expected.dtype).reshape(expected.shape)
        np.testing.assert_array_equal(actual, expected)

    holds()
