"""Models of one operator, hard cases included: a function for each kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from pytest_quantcheck.formats.tflite_writer import Value
from pytest_quantcheck.strategies.case import ModelCase
from pytest_quantcheck.strategies.network import DTYPES, Network, known_dtype

_INT8_ONLY = (
    *("PRELU", "HARD_SWISH", "ELU", "RSQRT", "GATHER"),
    *("ARG_MAX", "ARG_MIN", "L2_NORMALIZATION"),
    *("REDUCE_MIN", "MIRROR_PAD", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "GATHER_ND"),
    *("GELU", "SQRT", "EXP", "LOG", "RELU_N1_TO_1", "RELU_0_TO_1"),
    *("RESIZE_BILINEAR", "TRANSPOSE_CONV", "REDUCE_MAX", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
)


def layers(kind: str | None = None, dtype: str | None = None) -> st.SearchStrategy[ModelCase]:
    """Models of one operator, of one ``kind`` or of any; ``LAYER_KINDS`` lists them.

    ``dtype`` is the type of their activations, ``"int8"`` or ``"int16"``; without it both occur, where the
    kind has both (``layer_dtypes``).
    """
    if kind is None:
        kinds = [each for each in LAYER_KINDS if dtype is None or dtype in layer_dtypes(each)]
        return st.sampled_from(kinds).flatmap(lambda drawn: layers(drawn, dtype))
    if kind not in _LAYERS:
        raise ValueError(f"kind={kind!r} is not known; allowed: {', '.join(LAYER_KINDS)}")
    allowed = layer_dtypes(kind)
    if known_dtype(dtype) not in (None, *allowed):
        raise ValueError(f"{kind} has no dtype={dtype!r}; allowed: {', '.join(allowed)}")
    return _one_layer(kind, dtype or (allowed[0] if len(allowed) == 1 else None))


@st.composite
def _one_layer(draw: st.DrawFn, kind: str, dtype: str | None) -> ModelCase:
    net = Network(draw, dtype)
    inputs, output = _LAYERS[kind](net)
    return net.case((kind,), inputs, output if isinstance(output, list) else [output])


_Built = TypeVar("_Built", Value, list[Value])


def _unary(build: Callable[[Network, Value], _Built]) -> Callable[[Network], tuple[list[Value], _Built]]:
    def make(net: Network) -> tuple[list[Value], _Built]:
        x = net.source(net.shape4())
        return [x], build(net, x)

    return make


def _binary(
    combine: Callable[[Network, Value, Value], Value],
) -> Callable[[Network], tuple[list[Value], Value]]:
    """Two inputs, or one and a constant that broadcasts."""

    def make(net: Network) -> tuple[list[Value], Value]:
        a = net.source(net.shape4())
        if net.draw(st.booleans()):
            b = net.source(a.shape)
            return [a, b], combine(net, a, b)
        b = net.small_constant(a, net.scale(), net.zero_point())
        return [a], combine(net, a, b) if net.draw(st.booleans()) else combine(net, b, a)

    return make


def _extremum_layer(kind: str) -> Callable[[Network], tuple[list[Value], Value]]:
    """Two inputs with one scale, or one and a constant that broadcasts."""

    def make(net: Network) -> tuple[list[Value], Value]:
        a = net.source(net.shape4())
        if net.draw(st.booleans()):
            b = net.writer.tensor(a.shape, net.dtype, scale=a.scale, zero_point=a.zero_point)
            return [a, b], net.writer.extremum(kind, a, b)
        b = net.small_constant(a, a.scale, a.zero_point)
        return [a], net.writer.extremum(kind, *((a, b) if net.draw(st.booleans()) else (b, a)))

    return make


def _blocks_layer(kind: str) -> Callable[[Network], tuple[list[Value], Value]]:
    def make(net: Network) -> tuple[list[Value], Value]:
        n, height, width, channels = net.shape4()
        block = net.integer(1, 3)
        if kind == "DEPTH_TO_SPACE":
            x = net.source((n, height, width, channels * block * block))
        else:
            x = net.source((n, height * block, width * block, channels))
        return [x], net.writer.blocks(kind, x, block)

    return make


def _arg_layer(kind: str) -> Callable[[Network], tuple[list[Value], Value]]:
    """Along any axis; values that are equal are frequent where few are distinct."""

    def make(net: Network) -> tuple[list[Value], Value]:
        x = net.source(net.shape4())
        y = net.writer.relu6(x) if net.draw(st.booleans()) else x
        return [x], net.writer.arg_extreme(kind, y, net.integer(-4, 3))

    return make


def _space_to_batch_layer(net: Network) -> tuple[list[Value], Value]:
    """Images, and sequences of one batch or two, padded to a multiple of the blocks or beyond."""
    spatial = [net.integer(1, 7) for _ in range(net.integer(1, 2))]
    batch, channels = net.integer(1, 3 - len(spatial)), net.integer(1, 4)
    blocks = [net.integer(1, 3) for _ in spatial]
    pads, sizes = [], []
    for n, block in zip(spatial, blocks, strict=True):
        before = net.integer(0, 3)
        pads.append([before, -(n + before) % block + block * net.integer(0, 1)])
        sizes.append((n + sum(pads[-1])) // block)
    x = net.source((batch, *spatial, channels))
    shape = (batch * math.prod(blocks), *sizes, channels)
    return [x], net.writer.moved("SPACE_TO_BATCH_ND", x, shape, blocks, pads)


def _batch_to_space_layer(net: Network) -> tuple[list[Value], Value]:
    """Images, and sequences of one batch or two, of which the ends are cut off or not."""
    spatial = [net.integer(1, 5) for _ in range(net.integer(1, 2))]
    batch, channels = net.integer(1, 3 - len(spatial)), net.integer(1, 4)
    blocks = [net.integer(1, 3) for _ in spatial]
    cuts, sizes = [], []
    for n, block in zip(spatial, blocks, strict=True):
        before = net.integer(0, min(3, n * block - 1))
        cuts.append([before, net.integer(0, min(3, n * block - 1 - before))])
        sizes.append(n * block - sum(cuts[-1]))
    x = net.source((batch * math.prod(blocks), *spatial, channels))
    return [x], net.writer.moved("BATCH_TO_SPACE_ND", x, (batch, *sizes, channels), blocks, cuts)


def _prelu_layer(net: Network) -> tuple[list[Value], Value]:
    x = net.source(net.shape4())
    return [x], net.prelu(x, net.small_constant(x, net.scale(), net.zero_point()))


def _matmul_layer(net: Network) -> tuple[list[Value], Value]:
    """Two inputs, or one and constant weights; batches of one side may be absent or 1."""
    rows, depth, columns = (net.integer(1, 7) for _ in range(3))
    adj_x, adj_y = net.draw(st.booleans()), net.draw(st.booleans())
    batch = (1, *(net.integer(1, 3) for _ in range(net.integer(0, 1))))
    shapes = [
        (*batch, *((depth, rows) if adj_x else (rows, depth))),
        (
            *(net.choice((1, n)) for n in batch[net.integer(0, len(batch)) :]),
            *((columns, depth) if adj_y else (depth, columns)),
        ),
    ]
    a = net.source(shapes[0])
    given = [a]
    if len(shapes[1]) > 2 and net.draw(st.booleans()):
        b = net.source(shapes[1])
        given.append(b)
    else:
        info = np.iinfo(net.dtype)
        data = net.rng.integers(info.min, info.max, shapes[1], endpoint=True)
        b = net.writer.tensor(shapes[1], net.dtype, scale=net.scale(), zero_point=net.zero_point(), data=data)
    spread = 0.334 * math.sqrt(depth) * 2.0 ** (net.bits + net.integer(-6, 6))
    how: dict[str, Any] = {"scale": a.scale * b.scale * spread, "zero_point": net.zero_point()}
    return given, net.writer.batch_matmul(a, b, adj_x=adj_x, adj_y=adj_y, **how)


def _concatenation_layer(net: Network) -> tuple[list[Value], Value]:
    first = net.source(net.shape4())
    axis = net.integer(0, 3)
    values = [first]
    for _ in range(net.integer(0, 2)):
        shape = [net.integer(1, 5) if i == axis else n for i, n in enumerate(first.shape)]
        values.append(net.writer.tensor(shape, net.dtype, scale=first.scale, zero_point=first.zero_point))
    return values, net.writer.concatenation(values, axis - 4 if net.draw(st.booleans()) else axis)


def _pack_layer(net: Network) -> tuple[list[Value], Value]:
    first = net.source(net.shape4()[net.integer(1, 3) :])
    values = [first]
    for _ in range(net.integer(0, 3)):
        values.append(
            net.writer.tensor(first.shape, net.dtype, scale=first.scale, zero_point=first.zero_point)
        )
    rank = len(first.shape) + 1
    return values, net.writer.pack(values, net.integer(-rank, rank - 1))


def _softmax_layer(net: Network) -> tuple[list[Value], Value]:
    shape = (*net.shape4()[: net.integer(0, 3)], net.integer(1, 40))
    x = net.source(shape if len(shape) > 1 else (1, *shape))
    beta, dtype = net.choice((1.0, 0.3, 2.5)), net.choice((net.dtype, "int16"))
    return [x], net.writer.softmax(x, beta, dtype)


def _broadcast_layer(net: Network) -> tuple[list[Value], Value]:
    """Some axes of one position are repeated; axes in front may be new."""
    shape = tuple(net.choice((1, n)) for n in net.shape4()[net.integer(0, 3) :])
    x = net.source(shape)
    wanted = [net.integer(1, 4) if n == 1 else n for n in (*(1,) * net.integer(0, 4 - len(shape)), *shape)]
    return [x], net.writer.broadcast_to(x, wanted)


def _lstm_layer(net: Network) -> tuple[list[Value], Value]:
    """Gates from nearly constant to saturated, cell states on fine and coarse scales, limited or not."""
    steps, features, units = net.integer(1, 5), net.integer(1, 6), net.integer(1, 5)
    time_major = net.draw(st.booleans())
    x = net.source((steps, 1, features) if time_major else (1, steps, features))
    range_ = 2.0**net.bits * x.scale  # of the input in real numbers
    dtype = np.int32 if net.dtype == "int8" else np.int64
    scales = [2.0 ** net.integer(-6, 1) / 64 / range_ * net.choice((1.0, 1.2345678)) for _ in range(8)]
    limits = [int(min(2.0 / (each * x.scale), 2**30)) for each in scales[:4]]
    return [x], net.writer.lstm(
        x,
        [net.weights((units, features)) for _ in range(4)],
        [net.weights((units, units)) for _ in range(4)],
        [net.rng.integers(-limit, limit, units, endpoint=True).astype(dtype) for limit in limits],
        weight_scales=scales[:4],
        recurrent_scales=[2.0 ** net.integer(-12, -4) * 1.1 for _ in range(4)],
        scale=2.0 ** -(net.bits - 1) * net.choice((1.0, 1.1, 0.7)),
        zero_point=net.zero_point() // 4,
        cell_scale=2.0 ** net.integer(-15, -9),
        cell_clip=net.choice((0.0, 1.5)),
        time_major=time_major,
    )


def _variable_layer(net: Network) -> tuple[list[Value], Value]:
    """The input of the inference before, and in the first one something else."""
    x = net.source(net.shape4())
    info = np.iinfo(net.dtype)
    first = net.rng.integers(info.min, info.max, x.shape, endpoint=True)
    scale, zero_point = x.scale, x.zero_point
    variable = net.writer.variable("last", first, net.dtype, scale=scale, zero_point=zero_point)
    y = net.writer.read_variable(variable, x.shape, net.dtype, scale=scale, zero_point=zero_point)
    net.writer.assign_variable(variable, x)
    return [x], y


def _root_layer(kind: str, power: float) -> Callable[[Network], tuple[list[Value], Value]]:
    """Of what is not below 0, onto finer and onto coarser scales."""

    def make(net: Network) -> tuple[list[Value], Value]:
        x = net.writer.tensor(net.shape4(), net.dtype, scale=net.scale(), zero_point=-128, name="input")
        scale = 2.0 ** net.integer(-12, 4) * x.scale**power * net.choice((1.0, 0.77))
        return [x], net.writer.function(kind, x, scale=scale, zero_point=net.zero_point())

    return make


def _quantize_layer(net: Network) -> tuple[list[Value], Value]:
    source, x = net.edge_input(net.shape4())
    if x is source:
        x = net.requantize(x) if net.draw(st.booleans()) else net.other_type(x)
    return [source], x


def _sigmoid_layer(kind: str) -> Callable[[Network], tuple[list[Value], Value]]:
    """Input scales from fine to coarse; for int16 exact powers of two take a path of their own."""

    def make(net: Network) -> tuple[list[Value], Value]:
        exponent = net.integer(-8, 2) if net.dtype == "int8" else net.integer(-15, 0)
        scale = math.ldexp(net.choice((1.0, 1.2345678, 1.9999999)), exponent)
        shape, zero_point = net.shape4(), net.zero_point()
        x = net.writer.tensor(shape, net.dtype, scale=scale, zero_point=zero_point, name="input")
        return [x], getattr(net.writer, kind.lower())(x)

    return make


def _dequantize_layer(net: Network) -> tuple[list[Value], Value]:
    x = net.source(net.shape4())
    return [x], net.writer.dequantize(x)


_LAYERS: dict[str, Callable[[Network], tuple[list[Value], Value | list[Value]]]] = {
    "CONV_2D": _unary(lambda net, x: net.conv_2d(x)),
    "DEPTHWISE_CONV_2D": _unary(lambda net, x: net.conv_2d(x, depthwise=True)),
    "TRANSPOSE_CONV": _unary(Network.transpose_conv),
    "FULLY_CONNECTED": _unary(lambda net, x: net.fully_connected(x)),
    "BATCH_MATMUL": _matmul_layer,
    "ADD": _binary(Network.add),
    "SUB": _binary(Network.sub),
    "MUL": _binary(Network.mul),
    "SQUARED_DIFFERENCE": _binary(Network.squared_difference),
    "MINIMUM": _extremum_layer("MINIMUM"),
    "MAXIMUM": _extremum_layer("MAXIMUM"),
    "PRELU": _prelu_layer,
    "AVERAGE_POOL_2D": _unary(lambda net, x: net.pool("AVERAGE_POOL_2D", x)),
    "MAX_POOL_2D": _unary(lambda net, x: net.pool("MAX_POOL_2D", x)),
    "MEAN": _unary(lambda net, x: net.mean(x, keep=net.draw(st.booleans()))),
    "SUM": _unary(Network.sum),
    "REDUCE_MAX": _unary(lambda net, x: net.reduce_extreme("REDUCE_MAX", x)),
    "REDUCE_MIN": _unary(lambda net, x: net.reduce_extreme("REDUCE_MIN", x)),
    "ARG_MAX": _arg_layer("ARG_MAX"),
    "ARG_MIN": _arg_layer("ARG_MIN"),
    "L2_NORMALIZATION": _unary(lambda net, x: net.writer.l2_normalization(x)),
    "PAD": _unary(lambda net, x: net.pad(x, None)),
    "PADV2": _unary(lambda net, x: net.pad(x, net.integer(-(2 ** (net.bits - 1)), 2 ** (net.bits - 1) - 1))),
    "MIRROR_PAD": _unary(Network.mirror_pad),
    "RESHAPE": _unary(lambda net, x: net.reshape(x)),
    "SQUEEZE": _unary(Network.squeeze),
    "EXPAND_DIMS": _unary(Network.expand_dims),
    "READ_VARIABLE": _variable_layer,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm_layer,
    "TRANSPOSE": _unary(Network.transpose),
    "STRIDED_SLICE": _unary(Network.strided_slice),
    "SPLIT": _unary(Network.split),
    "SPLIT_V": _unary(Network.split_v),
    "SLICE": _unary(Network.slice),
    "DEPTH_TO_SPACE": _blocks_layer("DEPTH_TO_SPACE"),
    "SPACE_TO_DEPTH": _blocks_layer("SPACE_TO_DEPTH"),
    "UNPACK": _unary(Network.unpack),
    "SPACE_TO_BATCH_ND": _space_to_batch_layer,
    "BATCH_TO_SPACE_ND": _batch_to_space_layer,
    "GATHER": _unary(Network.gather),
    "GATHER_ND": _unary(Network.gather_nd),
    "BROADCAST_TO": _broadcast_layer,
    "TILE": _unary(Network.tile),
    "REVERSE_V2": _unary(Network.reverse),
    "PACK": _pack_layer,
    "CONCATENATION": _concatenation_layer,
    "RESIZE_NEAREST_NEIGHBOR": _unary(lambda net, x: net.resize("RESIZE_NEAREST_NEIGHBOR", x)),
    "RESIZE_BILINEAR": _unary(lambda net, x: net.resize("RESIZE_BILINEAR", x)),
    "SOFTMAX": _softmax_layer,
    "LOGISTIC": _sigmoid_layer("LOGISTIC"),
    "TANH": _sigmoid_layer("TANH"),
    "ABS": _unary(Network.abs),
    "HARD_SWISH": _unary(Network.hard_swish),
    "LEAKY_RELU": _unary(Network.leaky_relu),
    "ELU": _unary(lambda net, x: net.function("ELU", x)),
    "GELU": _unary(Network.gelu),
    "RSQRT": _root_layer("RSQRT", -0.5),
    "SQRT": _root_layer("SQRT", 0.5),
    "EXP": _unary(Network.exponential),
    "LOG": _unary(Network.logarithm),
    "RELU_N1_TO_1": _unary(lambda net, x: net.function("RELU_N1_TO_1", x)),
    "RELU_0_TO_1": _unary(lambda net, x: net.function("RELU_0_TO_1", x)),
    "RELU": _unary(lambda net, x: net.relu(x)),
    "RELU6": _unary(lambda net, x: net.writer.relu6(x)),
    "QUANTIZE": _quantize_layer,
    "DEQUANTIZE": _dequantize_layer,
}

LAYER_KINDS = tuple(_LAYERS)


def layer_dtypes(kind: str) -> tuple[str, ...]:
    """The types of activations that TFLM has a ``kind`` for and this project, too."""
    return DTYPES[:1] if kind in _INT8_ONLY else DTYPES
