"""The network of an integer graph in real numbers: quantized weights, activations rounded where asked.

What ``execute.py`` computes in integers, computed in float32 from the same tensors, so that what a scale
costs can be told from what the weights cost. It is no reference: sums are float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.execute import Values, computed, windows
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
    Pool,
    Prelu,
    QuantGraph,
    Quantization,
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
)
from pytest_quantcheck.graph.recurrent import GATES
from pytest_quantcheck.numerics.arrays import Array, Float32

SIX = 6.0  # RELU6 ends here: an upper limit within one step of it is meant to be it
_FAR = np.float32(3e38)


def run_float(
    graph: QuantGraph,
    inputs: Sequence[Array],
    *,
    rounded: Collection[int] = (),
    constants: Mapping[int, Array] | None = None,
    scales: Mapping[int, Quantization] | None = None,
) -> Values:
    """N inferences in real numbers: ``inputs`` are (N, *shape) each; returns (N, *shape) by tensor index.

    ``rounded`` are the tensors that are quantized with their own scale and limits as soon as they are known;
    ``constants`` are real values that take the place of quantized ones, by tensor index; ``scales`` are used
    in place of the tensors' own to round them.
    """
    if graph.states:
        raise UsageError("a network that keeps variables between inferences is not computed in real numbers")
    values: Values = [None] * len(graph.tensors)
    other = scales or {}

    def kept(index: int, x: Array) -> Array:
        tensor = graph.tensors[index]
        tensor = replace(tensor, quantization=other.get(index, tensor.quantization))
        return round_to(tensor, x) if index in rounded else x

    for index, x in zip(graph.inputs, inputs, strict=True):
        values[index] = kept(index, np.asarray(x, np.float32))
    for op in graph.operators:
        output = graph.output_of(op)
        given = tuple(_value(graph, i, values, constants or {}) for i in op.inputs)
        call = _Call(graph, op, given, output)
        with np.errstate(over="ignore", invalid="ignore"):
            result = _KERNELS[type(op.params)](call, op.params)
        whole = np.asarray(result, np.float32).reshape(-1, *output.shape)
        samples = max(len(x) for x in given if x is not None)
        whole = np.broadcast_to(whole, (samples, *output.shape))
        values[op.outputs[0]] = kept(op.outputs[0], whole)
    return values


def real_values(tensor: Tensor) -> Float32:
    """A constant in real numbers; what has no scale as it is."""
    assert tensor.data is not None, "a constant"
    q = tensor.quantization
    data = np.asarray(tensor.data, np.float64)
    if q is None:
        return data.astype(np.float32)
    shape = [1] * data.ndim
    if len(q.scale) > 1:
        shape[q.axis] = -1
    real = (data - q.zero_point.reshape(shape)) * q.scale.astype(np.float64).reshape(shape)
    return real.astype(np.float32)


def round_to(tensor: Tensor, x: Array) -> Float32:
    """Real values as the tensor's type and scale can express them; as they are where it has no scale."""
    q = tensor.quantization
    if q is None or tensor.dtype.kind not in "iu":
        return np.asarray(x, np.float32)
    limits = np.iinfo(tensor.dtype.name)
    scale, zero = np.float64(q.scale[0]), int(q.zero_point[0])
    steps = np.clip(np.rint(x / scale) + zero, limits.min, limits.max) - zero
    return np.asarray(steps * scale, np.float32)


def activations(graph: QuantGraph) -> tuple[int, ...]:
    """Tensors with one scale that are no constants, in the order in which they are known."""
    found = [*graph.inputs, *(op.outputs[0] for op in graph.operators)]
    return tuple(i for i in dict.fromkeys(found) if graph.tensors[i].quantization is not None)


def _value(graph: QuantGraph, index: int, values: Values, constants: Mapping[int, Array]) -> Array | None:
    if index < 0:
        return None
    tensor = graph.tensors[index]
    if index in constants:
        return np.asarray(constants[index], np.float32)[None]
    return real_values(tensor)[None] if tensor.is_constant else values[index]


@dataclass(frozen=True, eq=False)
class _Call:
    """One operator at work; values carry the sample axis, constants have it with length 1."""

    graph: QuantGraph
    op: Operator
    inputs: tuple[Array | None, ...]
    output: Tensor

    def input(self, position: int) -> Array:
        return computed(self.inputs[position])

    @property
    def bias(self) -> Array | float:
        """Biases in real numbers, by the scale that the kernel takes them to have."""
        if len(self.op.inputs) < 3 or self.op.inputs[2] < 0:
            return 0.0
        source, weights = (self.graph.tensors[i].quantization for i in self.op.inputs[:2])
        tensor = self.graph.tensors[self.op.inputs[2]]
        given = self.input(2).reshape(-1)
        if tensor.data is None or source is None or weights is None or tensor.data.dtype.kind == "f":
            return given
        scale = source.scale.astype(np.float64) * weights.scale.astype(np.float64)
        return np.asarray(np.asarray(tensor.data, np.float64).reshape(-1) * scale, np.float32)

    def scaled(self, x: Array, rule: Requantize) -> Array:
        """Sums of products as the operator's own factor makes them: that of an average that was lowered to
        ones (ONNX) holds the count, too.
        """
        source, weights = (self.graph.tensors[i].quantization for i in self.op.inputs[:2])
        target = self.output.quantization
        if rule.rounding != "float" or source is None or weights is None or target is None:
            return x
        real = rule.multiplier / 2.0**31 * 2.0**rule.shift
        usual = source.scale.astype(np.float64) * weights.scale.astype(np.float64) / target.scale[0]
        return np.asarray(x * (real / usual), np.float32)

    def clamped(self, x: Array, p: Any) -> Array:
        """The fused activation. A limit at the end of the type may be one of the type only."""
        q = self.output.quantization
        if q is None or self.output.dtype.kind not in "iu":
            return x
        limits = np.iinfo(self.output.dtype.name)
        scale, zero = float(q.scale[0]), int(q.zero_point[0])
        low = (p.act_min - zero) * scale if p.act_min > limits.min or p.act_min == zero else -_FAR
        high = (p.act_max - zero) * scale
        if abs(high - SIX) <= scale:
            high = SIX
        elif p.act_max == limits.max:
            high = float(_FAR)
        return np.asarray(np.clip(x, low, high))


def _convolution(call: _Call, p: Convolution) -> Array:
    cells = windows(call.input(0), p.window, call.output, 0)
    weights = call.input(1)[0]
    if p.depth_multiplier:
        return call.clamped(call.scaled(_depthwise(cells, weights) + call.bias, p.requantize), p)
    outputs, _, _, depth = weights.shape
    groups = cells.shape[4] // depth
    parts = []
    for group in range(groups):
        mine = np.ascontiguousarray(cells[:, :, :, :, group * depth : (group + 1) * depth])
        kernels = weights[group * outputs // groups : (group + 1) * outputs // groups]
        rows = mine.reshape(*mine.shape[:4], -1)
        parts.append(rows @ kernels.transpose(3, 1, 2, 0).reshape(-1, len(kernels)))
    return call.clamped(call.scaled(np.concatenate(parts, axis=-1) + call.bias, p.requantize), p)


def _depthwise(cells: Array, weights: Array) -> Array:
    _, kernel_h, kernel_w, channels = weights.shape
    multiplier = channels // cells.shape[4]
    total = np.zeros((*cells.shape[:4], channels), np.float32)
    for i in range(kernel_h):
        for j in range(kernel_w):
            total += np.repeat(cells[..., i, j], multiplier, axis=4) * weights[0, i, j]
    return total


def _transposed(call: _Call, p: TransposedConvolution) -> Array:
    x, weights, w = call.input(0), call.input(1)[0], p.window
    height, width = x.shape[2:4]
    rows = max((height - 1) * w.stride_h + w.kernel_h, w.pad_top + call.output.shape[1])
    columns = max((width - 1) * w.stride_w + w.kernel_w, w.pad_left + call.output.shape[2])
    sums = np.zeros((*x.shape[:2], rows, columns, len(weights)), np.float32)
    for i in range(w.kernel_h):
        for j in range(w.kernel_w):
            row = slice(i, i + height * w.stride_h, w.stride_h)
            column = slice(j, j + width * w.stride_w, w.stride_w)
            sums[:, :, row, column] += x @ weights[:, i, j].T
    _, out_h, out_w, _ = call.output.shape
    seen = sums[:, :, w.pad_top : w.pad_top + out_h, w.pad_left : w.pad_left + out_w]
    return call.clamped(seen + call.bias, p)


def _fully_connected(call: _Call, p: FullyConnected) -> Array:
    weights = call.input(1)[0]
    return call.clamped(call.input(0).reshape(-1, weights.shape[1]) @ weights.T + call.bias, p)


def _batch_matmul(call: _Call, p: BatchMatMul) -> Array:
    a, b = _aligned(call, 0), _aligned(call, 1)
    a, b = (np.swapaxes(x, -1, -2) if swap else x for x, swap in ((a, p.adj_x), (b, p.adj_y)))
    return np.asarray(np.matmul(a, b))


def _aligned(call: _Call, position: int) -> Array:
    x = call.input(position)
    ones = (1,) * (1 + len(call.output.shape) - x.ndim)
    return x.reshape(len(x), *ones, *x.shape[1:])


def _add(call: _Call, p: Add) -> Array:
    a, b = _aligned(call, 0), _aligned(call, 1)
    result = a + b if call.op.kind == "ADD" else a - b
    return call.clamped(result * result if call.op.kind == "SQUARED_DIFFERENCE" else result, p)


def _mul(call: _Call, p: Mul) -> Array:
    return call.clamped(_aligned(call, 0) * _aligned(call, 1), p)


def _extremum(call: _Call, _: Extremum) -> Array:
    choose = np.minimum if call.op.kind == "MINIMUM" else np.maximum
    return np.asarray(choose(_aligned(call, 0), _aligned(call, 1)))


def _prelu(call: _Call, _: Prelu) -> Array:
    x = _aligned(call, 0)
    return np.where(x >= 0, x, x * _aligned(call, 1))


def _pool(call: _Call, p: Pool) -> Array:
    x = call.input(0)
    if call.op.kind == "MAX_POOL_2D":
        return call.clamped(windows(x, p.window, call.output, int(-_FAR)).max(axis=(5, 6)), p)
    total = windows(x, p.window, call.output, 0).sum(axis=(5, 6))
    count = windows(np.ones_like(x[:1, :1, :, :, :1]), p.window, call.output, 0).sum(axis=(5, 6))
    return call.clamped(total / count, p)


def _mean(call: _Call, p: Mean) -> Array:
    axes = tuple(axis + 1 for axis in p.axes)
    x = call.input(0)
    return np.asarray(x.sum(axis=axes) if call.op.kind == "SUM" else x.mean(axis=axes))


def _reduce_max(call: _Call, p: ReduceMax) -> Array:
    return np.asarray(call.input(0).max(axis=tuple(axis + 1 for axis in p.axes)))


def _arg_extremum(call: _Call, p: ArgExtremum) -> Array:
    choose = np.argmin if call.op.kind == "ARG_MIN" else np.argmax
    return np.asarray(choose(call.input(0), axis=p.axis + 1))


def _l2_normalization(call: _Call, _: L2Normalization) -> Array:
    x = call.input(0)
    return np.asarray(x / np.sqrt(np.maximum((x * x).sum(axis=-1, keepdims=True), np.float32(1e-6))))


def _pad(call: _Call, p: Pad) -> Array:
    q = call.output.quantization
    value = 0.0 if q is None else (p.value - int(q.zero_point[0])) * float(q.scale[0])
    return np.pad(call.input(0), ((0, 0), *p.paddings), constant_values=value)


def _same(call: _Call, _: object) -> Array:
    return call.input(0)


def _slice(call: _Call, p: Slice) -> Array:
    x = np.ascontiguousarray(call.input(0)).reshape(len(call.input(0)), -1)
    shape = p.shape or call.output.shape
    places = np.full(shape, p.offset)
    for axis, stride in enumerate(p.strides):
        places = places + stride * np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - axis - 1))
    return np.asarray(x[:, places])


def _concatenation(call: _Call, p: Concatenation) -> Array:
    parts = [x for x in call.inputs if x is not None]
    samples = max(len(x) for x in parts)
    before, behind = call.output.shape[: p.axis], call.output.shape[p.axis + 1 :]
    shaped = [x.reshape(len(x), *before, -1, *behind) for x in parts]
    whole = [np.broadcast_to(x, (samples, *x.shape[1:])) for x in shaped]
    return call.clamped(np.concatenate(whole, axis=p.axis + 1), p)


def _resize(call: _Call, p: Resize) -> Array:
    x = call.input(0)
    x = x.reshape(len(x), *(p.shape or x.shape[1:]))
    for axis, places in ((2, p.rows), (3, p.columns)):
        lower, weight = places[:, 0], places[:, 1]
        upper = np.take(x, lower + (weight > 0), axis)
        share = (weight / 1024).reshape(-1, *(1,) * (4 - axis)).astype(np.float32)
        x = np.take(x, lower, axis) * (1 - share) + upper * share
    return x


def _softmax(call: _Call, p: Softmax | SoftmaxInt16) -> Array:
    beta = 1.0
    source = call.graph.tensors[call.op.inputs[0]].quantization
    if isinstance(p, Softmax) and source is not None:
        factor = math.ldexp(p.input_multiplier / 2.0**31, p.input_left_shift - 26)
        beta = factor / float(source.scale[0])
    x = call.input(0) * np.float32(beta)
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _table(call: _Call, p: Table) -> Array:
    """The known functions; of another the table itself, a straight line between its entries."""
    x = call.input(0)
    if call.op.kind in _FUNCTIONS:
        return _FUNCTIONS[call.op.kind](x)
    source = call.graph.tensors[call.op.inputs[0]].quantization
    target = call.output.quantization
    assert source is not None, "tables are of integers"
    assert target is not None, "tables are of integers"
    points = (np.arange(-128, 128) - int(source.zero_point[0])) * float(source.scale[0])
    results = (p.values - int(target.zero_point[0])) * float(target.scale[0])
    return np.asarray(np.interp(x, points, results))


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "ELU": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "EXP": np.exp,
}


def _sigmoid(call: _Call, _: SigmoidInt16) -> Array:
    return _FUNCTIONS[call.op.kind](call.input(0))


def _lstm(call: _Call, _: Lstm) -> Array:
    """Cell states are not limited."""
    x = call.input(0).reshape(len(call.input(0)), -1, call.input(0).shape[-1])
    parts = [call.input(1 + i)[0] for i in range(3 * GATES)]
    of_input, of_hidden, biases = (parts[i : i + GATES] for i in range(0, 3 * GATES, GATES))
    hidden = cell = np.zeros((len(x), len(biases[0])), np.float32)
    logistic, steps = _FUNCTIONS["LOGISTIC"], []
    for t in range(x.shape[1]):
        gates = zip(of_input, of_hidden, biases, strict=True)
        enters, stays, new, leaves = (x[:, t] @ w.T + hidden @ r.T + bias for w, r, bias in gates)
        cell = logistic(stays) * cell + logistic(enters) * np.tanh(new)
        hidden = logistic(leaves) * np.tanh(cell)
        steps.append(hidden)
    return np.stack(steps, axis=1)


def _rescale(call: _Call, p: Rescale) -> Array:
    return call.clamped(call.input(0), p)


_KERNELS: dict[type, Callable[[_Call, Any], Array]] = {
    Convolution: _convolution,
    TransposedConvolution: _transposed,
    FullyConnected: _fully_connected,
    BatchMatMul: _batch_matmul,
    Add: _add,
    Mul: _mul,
    Extremum: _extremum,
    Prelu: _prelu,
    Pool: _pool,
    Mean: _mean,
    ReduceMax: _reduce_max,
    ArgExtremum: _arg_extremum,
    L2Normalization: _l2_normalization,
    Pad: _pad,
    Reshape: _same,
    Slice: _slice,
    Concatenation: _concatenation,
    Resize: _resize,
    Softmax: _softmax,
    SoftmaxInt16: _softmax,
    Table: _table,
    SigmoidInt16: _sigmoid,
    Lstm: _lstm,
    Rescale: _rescale,
    FloatEdge: _same,
}
