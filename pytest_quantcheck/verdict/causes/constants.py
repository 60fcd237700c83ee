"""Wrong constants of an operator: biases cut or lost, weights in another layout, one flipped bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_quantcheck.formats.filter_blocks import BLOCK_BYTES, blocked, unblocked
from pytest_quantcheck.graph.model import Convolution, FullyConnected, Requantize
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis
from pytest_quantcheck.verdict.causes.sums import clamped, rescaled

_MOST_TERMS = 1 << 22  # products of one channel that are looked at in the search for one weight
_LONGEST_ROW = 2048  # weights of a channel
_SEARCHED = 3  # elements that must differ: a bit was searched for


def constant_hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """Of operators with constant weights; nothing for others."""
    if not isinstance(case.params, (Convolution, FullyConnected)) or case.constant(1) is None:
        return
    for position, code, text, data in (*_biases(case), *_weights(case)):
        yield Hypothesis(code, text, _computed(case, {position: data}))
    yield from _flipped_bits(case, first)


def _computed(case: Case, constants: dict[int, Array]) -> Any:
    return lambda witness: case.compute(witness, constants=constants)


Changed = Iterator[tuple[int, str, str, Array]]
"""``(position among the inputs, code, what is changed, other constant)``"""


def _biases(case: Case) -> Changed:
    bias = case.constant(2)
    if bias is None or not bias.any():
        return
    yield 2, "bias_missing", "no bias", np.zeros_like(bias)
    for bits in (8, 12, 16, 18, 20, 24):
        high = (1 << (bits - 1)) - 1
        cut = np.clip(bias, -high - 1, high)
        if (cut != bias).any():
            yield 2, "bias_saturated", f"biases cut to {bits} bits", cut.astype(bias.dtype)
            wrapped = ((bias.astype(np.int64) + high + 1) & ((1 << bits) - 1)) - high - 1
            yield 2, "bias_saturated", f"biases wrapped to {bits} bits", wrapped.astype(bias.dtype)
    yield 2, "bias_order", "the bytes of the biases in reverse order", bias.byteswap()
    yield 2, "bias_order", "each channel with the next one's bias", np.roll(bias, -1)
    yield 2, "bias_order", "each channel with the bias of the one before", np.roll(bias, 1)
    yield 2, "bias_order", "the biases in reverse order", bias[::-1].copy()
    limits = np.iinfo(bias.dtype.name)
    if 2 * np.abs(bias.astype(np.int64)).max() <= limits.max:
        yield 2, "bias_wrong", "biases added twice", bias * 2
    yield 2, "bias_wrong", "biases subtracted", -bias


def _weights(case: Case) -> Changed:
    weights = case.constant(1)
    assert weights is not None, "asked for before"
    for text, other in _layouts(case, weights):
        if other.shape == weights.shape and not np.array_equal(other, weights):
            yield 1, "weights_layout", text, np.ascontiguousarray(other)
    if weights.dtype == np.int8:
        yield 1, "weights_int8_uint8", "weights read as uint8", weights.view(np.uint8).astype(np.int16)
        shifted = weights.view(np.uint8).astype(np.int16) - 128
        yield 1, "weights_int8_uint8", "weights taken as uint8 with zero point 128", shifted
    flat = weights.reshape(-1)
    for step, words in ((1, "late"), (-1, "early")):
        other = np.roll(flat, -step).reshape(weights.shape)
        yield 1, "weights_layout", f"weights read one element {words}", other


def _layouts(case: Case, weights: Array) -> Iterator[tuple[str, Array]]:
    """The same bytes read in another order of axes."""
    if case.divides:
        yield from _block_orders(case, weights)
    if weights.ndim == 2:
        rows, columns = weights.shape
        yield "weights read as (depth, outputs)", weights.reshape(columns, rows).T
        return
    o, h, w, i = weights.shape
    if o == 1 and getattr(case.params, "depth_multiplier", 0):
        yield "weights read as (channels, rows, columns)", weights.reshape(i, h, w).transpose(1, 2, 0)[None]
        multiplier = case.params.depth_multiplier
        if multiplier > 1:
            order = np.arange(i).reshape(multiplier, -1).T.reshape(-1)
            yield "channels in the order filter by filter", weights[..., order]
    else:
        yield "weights read as OIHW", weights.reshape(o, i, h, w).transpose(0, 2, 3, 1)
        yield "weights read as HWIO", weights.reshape(h, w, i, o).transpose(3, 0, 1, 2)
        yield "weights read as IHWO", weights.reshape(i, h, w, o).transpose(3, 1, 2, 0)
    if h == w:
        yield "kernel rows and columns exchanged", weights.transpose(0, 2, 1, 3)
    yield "kernels turned by 180 degrees (true convolution)", weights[:, ::-1, ::-1]


def _block_orders(case: Case, weights: Array) -> Iterator[tuple[str, Array]]:
    """Blocks of channels, which ESP-DL has on some chips, and the plain order taken for each other."""
    depthwise = bool(getattr(case.params, "depth_multiplier", 0))
    cells = weights.transpose(3, 1, 2, 0) if depthwise else weights.reshape(len(weights), 1, 1, -1)
    block = BLOCK_BYTES // weights.itemsize
    for text, flat in (
        (f"weights in blocks of {block} channels read in plain order", blocked(cells, block, depthwise)),
        (
            f"weights in plain order read in blocks of {block} channels",
            unblocked(cells.reshape(-1), cells.shape, block, depthwise).reshape(-1),
        ),
    ):
        other = flat.reshape(cells.shape)
        yield text, other.transpose(3, 1, 2, 0) if depthwise else other.reshape(weights.shape)


def _flipped_bits(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """One bit of one weight, bias or multiplier, where only one channel differs."""
    sums = case.sums(first)
    if sums is None:
        return
    differing = (first.seen != case.right(first)).reshape(-1, first.seen.shape[-1]).any(axis=0)
    channels = np.flatnonzero(differing)
    if len(channels) != 1:
        return
    channel = int(channels[0])
    yield from _flipped_biases(case, channel)
    yield from _flipped_multipliers(case, channel)
    yield from _flipped_weights(case, first, channel, sums)


def _flipped_biases(case: Case, channel: int) -> Iterator[Hypothesis]:
    bias = case.constant(2)
    for bit in range(32 if bias is not None else 0):
        assert bias is not None, "it has bits"
        other = bias.copy()
        other[channel] ^= np.int32(-(1 << 31) if bit == 31 else 1 << bit)
        text = f"bit {bit} of the bias of channel {channel} flipped"
        yield Hypothesis("flash_bit", text, _computed(case, {2: other}), _SEARCHED)


def _flipped_multipliers(case: Case, channel: int) -> Iterator[Hypothesis]:
    params = case.params
    rule: Requantize = params.requantize
    if len(rule.multiplier) < 2 or rule.rounding not in ("single", "double"):
        return
    for bit in range(31):
        multiplier = rule.multiplier.copy()
        multiplier[channel] ^= 1 << bit
        changed = replace(params, requantize=replace(rule, multiplier=multiplier))

        def compute(witness: Witness, changed: object = changed) -> Array:
            return case.compute(witness, params=changed)

        text = f"bit {bit} of the multiplier of channel {channel} flipped"
        yield Hypothesis("flash_bit", text, compute, _SEARCHED)


def _flipped_weights(case: Case, first: Witness, channel: int, sums: IntArray) -> Iterator[Hypothesis]:
    weights = case.constant(1)
    assert weights is not None, "asked for before"
    terms = _terms(case, first, channel)
    if terms is None or weights.dtype != np.int8:
        return
    depthwise = bool(getattr(case.params, "depth_multiplier", 0))
    row = (weights[0, :, :, channel] if depthwise else weights[channel]).reshape(-1)
    mine = sums.reshape(-1, sums.shape[-1])[:, channel]
    seen = first.seen.reshape(-1, first.seen.shape[-1])[:, channel]
    few = _few(terms.shape[1], len(mine), seen != case.right(first).reshape(-1, sums.shape[-1])[:, channel])
    for bit in range(8):
        flipped = (row.view(np.uint8) ^ np.uint8(1 << bit)).view(np.int8)
        delta = flipped.astype(np.int64) - row
        result = _one_channel(case, mine[few, None] + terms[few] * delta[None, :], channel)
        for k in np.flatnonzero((result == seen[few, None]).all(axis=0)):
            other = weights.copy()
            shape = weights.shape[1:3] if depthwise else weights.shape[1:]
            within = [int(i) for i in np.unravel_index(int(k), shape)]
            place = (0, *within, channel) if depthwise else (channel, *within)
            other[place] = flipped[k]
            text = f"bit {bit} of the weight at {list(place)} flipped"
            yield Hypothesis("flash_bit", text, _computed(case, {1: other}), _SEARCHED)


def _few(row: int, count: int, differing: Array) -> Array:
    """Positions to look at first: all, or those that differ and some others."""
    most = max(16, _MOST_TERMS // max(row, 1))
    return np.argsort(~differing, kind="stable")[: min(most, count)]


def _one_channel(case: Case, sums: IntArray, channel: int) -> Array:
    rule: Requantize = case.params.requantize
    if len(rule.multiplier) > 1:
        rule = replace(rule, multiplier=rule.multiplier[channel], shift=rule.shift[channel])
    return clamped(case, rescaled(case, sums, rule))


def _terms(case: Case, witness: Witness, channel: int) -> IntArray | None:
    """What each weight of a channel is multiplied by, (positions, weights); None where that is too much."""
    weights = case.constant(1)
    assert weights is not None, "asked for before"
    params, shape = case.params, case.output.shape
    if getattr(params, "depth_multiplier", 0):
        columns = []
        for i in range(weights.shape[1]):
            for j in range(weights.shape[2]):
                one = np.zeros_like(weights)
                one[0, i, j] = 1
                part = _without_bias(case, witness, one)
                columns.append(part.reshape(-1, shape[-1])[:, channel])
        return np.stack(columns, axis=1)
    size = weights[0].size
    source = case.graph.tensors[case.operator.inputs[0]].shape
    grouped = weights.ndim == 4 and weights.shape[3] != source[3]
    if size > _LONGEST_ROW or grouped:
        return None
    outputs = len(weights)
    parts = []
    for start in range(0, size, outputs):
        some = np.zeros((outputs, size), weights.dtype)
        count = min(outputs, size - start)
        some[np.arange(count), start + np.arange(count)] = 1
        part = _without_bias(case, witness, some.reshape(weights.shape))
        parts.append(part.reshape(-1, outputs)[:, :count])
    return np.concatenate(parts, axis=1)


def _without_bias(case: Case, witness: Witness, weights: Array) -> IntArray:
    constants = {1: weights}
    bias = case.constant(2)
    if bias is not None:
        constants[2] = np.zeros_like(bias)
    sums = case.sums(witness, constants=constants)
    assert sums is not None, "the operator has sums"
    return sums
