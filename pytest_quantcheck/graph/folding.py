"""Channels that cannot change an output are taken out of an integer graph; no output changes by a bit.

Training leaves channels of which a constant comes out: their weights are zero, or too small to move the
result, or it always saturates. Layers behind add it to their biases, and channels that nobody reads any more
go as well, those of the layers before them included. Boards run what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Convolution,
    FullyConnected,
    Mean,
    Operator,
    Pool,
    QuantGraph,
    Quantization,
    Requantize,
    Rescale,
    Reshape,
    Table,
    Tensor,
)
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.fixed_point import wrap_int32

Mask = npt.NDArray[np.bool_]
"""One entry per channel, the last axis of a tensor."""

_GROUP = 4  # kernels take channels four at a time: less than a group saves nothing
_UNARY = (Convolution, Pool, Mean, Reshape, Rescale, Table)


def without_dead_channels(graph: QuantGraph) -> QuantGraph:
    """The graph without channels that cannot change an output, for any input; the same one if there are none.

    Inputs and outputs keep their shapes and values, operators their indices. A tensor that lost channels says
    in ``kept`` which ones it still has: a multiple of four of them, so that some dead ones may stay. Channels
    are only taken from int8 tensors between layers without another reader, and a constant goes into a bias
    only where it acts alike on all cells: no padding beside it, or padding of the same value. A network with
    states keeps all.
    """
    if graph.states:
        return graph
    chain = _Chain(graph)
    if not any(chain.folds(op) and chain.still(op).any() for op in graph.operators):
        return graph
    kept = {tensor: np.flatnonzero(mask) for tensor, mask in chain.needed().items() if not mask.all()}
    return _Rebuilt(chain, kept).graph()


@dataclass(frozen=True, eq=False)
class _Chain:
    """What is known about the channels of a graph. *Mixing* layers sum over channels, *channelwise* operators
    make each channel from the same one of their input."""

    graph: QuantGraph

    def mixes(self, op: Operator) -> bool:
        p, weights = op.params, self.weights(op)
        depth = self.graph.tensors[op.inputs[0]].shape[-1:]
        if not self._int8(op) or weights is None:
            return False
        if isinstance(p, FullyConnected):
            return weights.shape[-1:] == depth
        return isinstance(p, Convolution) and not p.depth_multiplier and weights.shape[-1:] == depth

    def is_channelwise(self, op: Operator) -> bool:
        p, source = op.params, self.graph.tensors[op.inputs[0]]
        if not self._int8(op) or not isinstance(p, _UNARY):
            return False
        if isinstance(p, Convolution) and (p.depth_multiplier != 1 or self.weights(op) is None):
            return False
        if isinstance(p, Mean) and len(source.shape) - 1 in p.axes:
            return False
        return bool(source.shape) and source.shape[-1:] == self.graph.output_of(op).shape[-1:]

    def weights(self, op: Operator) -> IntArray | None:
        """Of a weighted layer: (outputs, ..., inputs), or (1, height, width, channels) of a depthwise one;
        without their zero point."""
        if not isinstance(op.params, (Convolution, FullyConnected)):
            return None
        data = self.graph.tensors[op.inputs[1]].data
        zero = op.params.weight_zero_point if isinstance(op.params, FullyConnected) else 0
        return None if data is None else data.astype(np.int64) - zero

    def folds(self, op: Operator) -> bool:
        """Whether a layer has weights, and outputs that may be known to be constant."""
        return self.weights(op) is not None and (self.mixes(op) or self.is_channelwise(op))

    def still(self, op: Operator, inputs: tuple[IntArray, IntArray] | None = None) -> Mask:
        """Output channels of a layer whose sums all come to the same value: requantizing is monotonic where
        nothing wraps, so that it is enough to look at the least and the largest sum.

        ``inputs``: the least and the largest value of each input channel, by default those of int8. Cells in
        the padding add 0.
        """
        weights, p = self.weights(op), op.params
        assert weights is not None
        assert isinstance(p, (Convolution, FullyConnected))
        low, high = inputs or (np.int64(-128), np.int64(127))
        low, high = np.minimum(low - p.input_zero_point, 0), np.maximum(high - p.input_zero_point, 0)
        axis = _output_axis(p, weights)
        others = tuple(each for each in range(weights.ndim) if each != axis)
        ends = np.stack([weights * low, weights * high])
        bias = self.bias(op)
        sums = np.stack([ends.min(axis=0).sum(axis=others) + bias, ends.max(axis=0).sum(axis=others) + bias])
        shifted = sums << np.maximum(p.requantize.shift, 0) if p.requantize.rounding == "double" else sums
        results = execute.requantize(wrap_int32(sums), p.requantize) + p.output_zero_point
        wrapped = np.stack([each != wrap_int32(each) for each in (sums, shifted, results)]).any(axis=(0, 1))
        results = np.clip(results, p.act_min, p.act_max)
        return np.asarray((results[0] == results[1]) & ~wrapped)

    def bias(self, op: Operator) -> IntArray:
        """One per output, zeros where the layer has none."""
        data = self.graph.tensors[op.inputs[2]].data if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        outputs = self.graph.output_of(op).shape[-1]
        return np.zeros(outputs, np.int64) if data is None else data.reshape(-1).astype(np.int64)

    @cached_property
    def readers(self) -> dict[int, list[Operator]]:
        found: dict[int, list[Operator]] = {}
        for op in self.graph.operators:
            for tensor in op.inputs:
                found.setdefault(tensor, []).append(op)
        return found

    @cached_property
    def values(self) -> execute.Values:
        """Every tensor, for an input of zeros: the values of what no input changes."""
        inputs = [self.graph.tensors[each] for each in self.graph.inputs]
        return execute.run(self.graph, [np.zeros(each.shape, each.dtype.name) for each in inputs])

    @cached_property
    def constants(self) -> dict[int, Mask]:
        """By activation, which channels have one value in all cells and for all inputs."""
        changing = {each: self._all(each) for each in self.graph.inputs}
        for op in self.graph.operators:
            output, before = op.outputs[0], changing.get(op.inputs[0])
            if before is None or not (self.mixes(op) or self.is_channelwise(op)):
                changing[output] = self._all(output)
            elif not self.folds(op):
                changing[output] = before
            else:
                cells = self._cells(op.inputs[0]).astype(np.int64)
                low = np.where(before, -128, cells.min(axis=0))
                high = np.where(before, 127, cells.max(axis=0))
                changing[output] = ~self.still(op, (low, high))
                if self.is_channelwise(op):
                    changing[output] &= before
        found = {}
        for tensor, mask in changing.items():
            cells = self._cells(tensor)
            found[tensor] = ~mask & (cells == cells[:1]).all(axis=0)
        return found

    def constant(self, tensor: int) -> Array:
        """The values of the first cell: those of constant channels."""
        return np.asarray(self._cells(tensor)[0])

    def needed(self) -> dict[int, Mask]:
        """By activation that may lose channels: which ones must stay, a multiple of four of them."""
        needed: dict[int, Mask] = {}
        for op in reversed(self.graph.operators):
            output = op.outputs[0]
            mask = self._rounded(output, needed.get(output)) if self._losing[output] else self._all(output)
            needed[output] = mask
            if self.mixes(op):
                needed[op.inputs[0]] = self._used(op, mask) & ~self._folds(op)
            elif self.is_channelwise(op):
                needed[op.inputs[0]] = mask
        return {each: mask for each, mask in needed.items() if each not in self.graph.inputs}

    @cached_property
    def _losing(self) -> dict[int, bool]:
        """By activation, whether channels may be taken out of it: its only reader does not need them all."""
        losing = dict.fromkeys(self.graph.inputs, False)
        for op in self.graph.operators:
            made = self.mixes(op) or (self.is_channelwise(op) and losing.get(op.inputs[0], False))
            losing[op.outputs[0]] = made and self._one_reader(op.outputs[0])
        return losing

    def _one_reader(self, tensor: int) -> bool:
        readers = self.readers.get(tensor, [])
        if tensor in self.graph.outputs or len(readers) != 1:
            return False
        return self.mixes(readers[0]) or self.is_channelwise(readers[0])

    def _used(self, op: Operator, outputs: Mask) -> Mask:
        """Input channels of a mixing layer that meet a weight of the given outputs."""
        weights = self.weights(op)
        assert weights is not None
        outputs = outputs & ~self.constants[op.outputs[0]]
        return np.asarray((weights[outputs] != 0).any(axis=tuple(range(weights.ndim - 1))))

    def _folds(self, op: Operator) -> Mask:
        """Input channels of a mixing layer that can go into its bias."""
        constant = self.constants.get(op.inputs[0], ~self._all(op.inputs[0]))
        assert isinstance(op.params, (Convolution, FullyConnected))
        if isinstance(op.params, Convolution) and _meets_padding(self.graph, op, op.params):
            return np.asarray(constant & (self.constant(op.inputs[0]) == op.params.input_zero_point))
        return constant

    def _rounded(self, tensor: int, mask: Mask | None) -> Mask:
        """With as many dead channels as make it a multiple of four, constant ones first."""
        full = self._all(tensor)
        mask = ~full if mask is None else mask.copy()
        wanted = min(max(-(-int(mask.sum()) // _GROUP), 1) * _GROUP, len(full))
        spare = np.flatnonzero(~mask)
        constants = self.constants[tensor][spare]
        order = np.concatenate([spare[constants], spare[~constants]])
        mask[order[: wanted - int(mask.sum())]] = True
        return mask

    def _all(self, tensor: int) -> Mask:
        return np.ones(self.graph.tensors[tensor].shape[-1:] or (1,), bool)

    def _cells(self, tensor: int) -> Array:
        """The values of an activation, (cells, channels)."""
        value = execute.computed(self.values[tensor])
        return value.reshape(-1, value.shape[-1] if value.ndim else 1)

    def _int8(self, op: Operator) -> bool:
        tensors = (self.graph.tensors[op.inputs[0]], self.graph.output_of(op))
        return all(each.dtype == np.int8 and not each.is_constant for each in tensors)


def _meets_padding(graph: QuantGraph, op: Operator, p: Convolution) -> bool:
    """Whether any window of a convolution leaves its input."""
    w, source, output = p.window, graph.tensors[op.inputs[0]].shape, graph.output_of(op).shape
    if w.pad_top or w.pad_left:
        return True
    last_y = (output[1] - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h
    last_x = (output[2] - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w
    return last_y >= source[1] or last_x >= source[2]


@dataclass(eq=False)
class _Rebuilt:
    """The graph with ``kept[t]`` of the channels of activation t. Constants that change are new tensors."""

    chain: _Chain
    kept: dict[int, IntArray]
    tensors: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = list(self.chain.graph.tensors)

    def graph(self) -> QuantGraph:
        old = self.chain.graph
        operators = tuple(map(self._operator, old.operators))
        for index, kept in self.kept.items():
            tensor = self.tensors[index]
            shape = (*tensor.shape[:-1], len(kept))
            self.tensors[index] = replace(tensor, shape=shape, kept=tuple(kept.tolist()))
        return replace(old, tensors=tuple(self.tensors), operators=operators)

    def _operator(self, op: Operator) -> Operator:
        chain, p = self.chain, op.params
        if not isinstance(p, (Convolution, FullyConnected)) or not chain.folds(op):
            return op
        inputs, outputs = self.kept.get(op.inputs[0]), self.kept.get(op.outputs[0])
        still = chain.constants[op.outputs[0]]
        if inputs is None and outputs is None and not still.any():
            return op
        old = chain.graph.tensors[op.inputs[1]]
        weights, bias, rule = self._constants(op, inputs, still)
        if outputs is not None:
            weights, bias = weights.take(outputs, axis=_output_axis(p, weights)), bias[outputs]
            rule = _narrowed(rule, outputs)
        numbers = [self._add(old, np.ascontiguousarray(weights), outputs)]
        given = chain.graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        template = given or Tensor(0, f"{old.name}/bias", (), np.dtype(np.int32))
        numbers.append(self._add(template, wrap_int32(bias).astype(np.int32), outputs))
        return replace(op, inputs=(op.inputs[0], *numbers), params=replace(p, requantize=rule))

    def _constants(
        self, op: Operator, inputs: IntArray | None, still: Mask
    ) -> tuple[Array, IntArray, Requantize]:
        """Weights, biases and the rule for all outputs, without what the constants do."""
        p, chain = op.params, self.chain
        assert isinstance(p, (Convolution, FullyConnected))
        weights, bias, rule = chain.graph.tensors[op.inputs[1]].data, chain.bias(op), p.requantize
        assert weights is not None
        if inputs is not None and chain.mixes(op):
            bias = bias + self._contributions(op, inputs)
            weights = weights.take(inputs, axis=-1)
        if rule.rounding == "double" and still.any():
            zero = p.weight_zero_point if isinstance(p, FullyConnected) else 0
            shape = [1] * weights.ndim
            shape[_output_axis(p, weights)] = len(still)
            weights = np.where(still.reshape(shape), weights.dtype.type(zero), weights)
            value = chain.constant(op.outputs[0]).astype(np.int64) - p.output_zero_point
            bias = np.where(still, 4 * value, bias)  # a quarter of it, exactly: fast, whatever the rule was
            rule = replace(
                rule,
                multiplier=np.where(still, 1 << 30, rule.multiplier),
                shift=np.where(still, -1, rule.shift),
            )
        return weights, bias, rule

    def _contributions(self, op: Operator, inputs: IntArray) -> IntArray:
        """What the constant channels that go add to every sum; what else goes meets no weight."""
        weights, p = self.chain.weights(op), op.params
        assert weights is not None
        assert isinstance(p, (Convolution, FullyConnected))
        value = self.chain.constant(op.inputs[0]).astype(np.int64) - p.input_zero_point
        value[inputs] = 0
        sums: IntArray = (weights * value).sum(axis=tuple(range(1, weights.ndim)))
        return sums

    def _add(self, old: Tensor, data: Array, outputs: IntArray | None) -> int:
        scales = old.quantization
        if scales is not None and scales.per_channel and outputs is not None:
            scales = Quantization(scales.scale[outputs], scales.zero_point[outputs], scales.axis)
        index = len(self.tensors)
        new = replace(old, index=index, shape=data.shape, dtype=data.dtype, quantization=scales, data=data)
        self.tensors.append(new)
        return index


def _output_axis(p: Convolution | FullyConnected, weights: Array) -> int:
    """Of a layer's weights."""
    return weights.ndim - 1 if isinstance(p, Convolution) and p.depth_multiplier else 0


def _narrowed(rule: Requantize, outputs: IntArray) -> Requantize:
    if rule.multiplier.size == 1:
        return rule
    shift = rule.shift if rule.shift.size == 1 else rule.shift[outputs]
    return replace(rule, multiplier=rule.multiplier[outputs], shift=shift)
