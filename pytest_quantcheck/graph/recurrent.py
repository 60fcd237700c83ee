"""LSTM with integers, step after step, bit for bit as TensorFlow Lite Micro does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_quantcheck.graph.model import Lstm, Requantize
from pytest_quantcheck.numerics import tables
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.fixed_point import (
    multiply_by_quantized_multiplier,
    multiply_by_reduced_multiplier,
    saturate_int16,
    wrap_int32,
)

GATES = 4  # input, forget, cell, output
CELL_GATE = 2


def lstm(inputs: Sequence[Array], limits: tuple[int, int], p: Lstm) -> IntArray:
    """(N, T, units): the hidden state of each step. Source: TFLM ``lstm_eval.h``.

    ``inputs``: activations (N, 1, T, features) or (N, T, 1, features), then of each gate weights of the
    features, weights of the hidden state, and a bias, with a sample axis of length 1.
    """
    features = inputs[0].shape[-1]
    x = inputs[0].astype(np.int64).reshape(len(inputs[0]), -1, features) - p.input_zero_point
    parts = [array[0].astype(np.int64) for array in inputs[1:]]
    of_input, of_hidden, biases = (parts[i : i + GATES] for i in range(0, 3 * GATES, GATES))
    hidden = np.zeros((len(x), len(biases[0])), np.int64)  # without its zero point
    cell = np.zeros_like(hidden)
    steps = []
    for t in range(x.shape[1]):
        gates = []
        for gate in range(GATES):
            entering = _scaled(x[:, t] @ of_input[gate].T + biases[gate], p.of_input, gate)
            total = saturate_int16(entering + _scaled(hidden @ of_hidden[gate].T, p.of_hidden, gate))
            gates.append((tables.tanh if gate == CELL_GATE else tables.sigmoid)(3 * total))
        enters, stays, new, leaves = gates
        cell = saturate_int16(_product(stays, cell, p.forget) + _product(enters, new, p.update))
        if p.cell_clip is not None:
            cell = np.clip(cell, -p.cell_clip, p.cell_clip)
        half = 1 << (p.tanh.shift - 1) if p.tanh.shift else 0
        seen = tables.tanh((cell * p.tanh.multiplier + half) >> p.tanh.shift)
        raw = multiply_by_quantized_multiplier(seen * leaves, p.output.multiplier[0], p.output.shift[0])
        out = np.clip(raw + p.hidden_zero_point, *limits)
        steps.append(out)
        hidden = out - p.hidden_zero_point
    return np.stack(steps, axis=1)


def _scaled(sums: IntArray, rule: Requantize, gate: int) -> IntArray:
    """Sums in steps of 2**-12, int16."""
    multiplier, shift = rule.multiplier[gate], rule.shift[gate]
    if rule.rounding == "reduced":
        return saturate_int16(wrap_int32(multiply_by_reduced_multiplier(sums, multiplier, shift)))
    return saturate_int16(multiply_by_quantized_multiplier(wrap_int32(sums), multiplier, shift))


def _product(a: IntArray, b: IntArray, rule: Requantize) -> IntArray:
    return saturate_int16(multiply_by_quantized_multiplier(a * b, rule.multiplier[0], rule.shift[0]))
