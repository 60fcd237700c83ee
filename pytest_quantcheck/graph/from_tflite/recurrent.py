"""UNIDIRECTIONAL_SEQUENCE_LSTM, as TFLM computes it: one sequence, no peepholes, no projection.

Sources: TFLM ``lstm_eval.h``, ``lstm_eval_common.cc``.
"""

from __future__ import annotations

import math

import numpy as np
import tflite

from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator, describe
from pytest_quantcheck.graph.model import Lstm, SigmoidInt16, Tensor
from pytest_quantcheck.numerics.limits import MAX_WIDE_BIAS

KINDS = ("UNIDIRECTIONAL_SEQUENCE_LSTM",)
"""Operators with variable tensors of their own, which hold their states."""

_INPUT_WEIGHTS, _HIDDEN_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)
_PEEPHOLES, _PROJECTION, _NORM = range(9, 12), range(16, 18), range(20, 24)
STATES = range(18, 20)
"""Which of their inputs those are."""
_HIDDEN, _CELL = STATES
_GATE, _UNIT = 2.0**-12, 2.0**-15  # scales of what goes into a gate, and of what comes out


def lstm(op: TfliteOperator) -> list[Step]:
    """Its states begin at zero in every inference."""
    _check_form(op)
    source, hidden, cell = (op.input(i) for i in (0, _HIDDEN, _CELL))
    input_scale, input_zero_point = op.activation_tensor(source)
    hidden_scale, hidden_zero_point = op.activation_tensor(hidden)
    if op.activation_tensor(op.output) != (hidden_scale, hidden_zero_point):
        op.fail("its output has another scale or zero point than its hidden state")
    op.require_dtype(cell, "int16")
    cell_scale = float(op.integer_tensor(cell)[0])
    power = round(math.log2(cell_scale))
    if 2.0**power != cell_scale or not -27 <= power <= 1:
        op.fail(f"its cell state has scale {cell_scale:g}; powers of two from 2**-27 to 2 are allowed")
    units = _check_shapes(op, source, hidden, cell)
    rounding = "double" if op.dtype == "int8" else "reduced"
    of_input = [
        float(input_scale) * _weights(op, i, (units, source.shape[-1])) / _GATE for i in _INPUT_WEIGHTS
    ]
    of_hidden = [float(hidden_scale) * _weights(op, i, (units, units)) / _GATE for i in _HIDDEN_WEIGHTS]
    for i in _BIASES:
        _check_bias(op, i, units)
    params = Lstm(
        input_zero_point,
        hidden_zero_point,
        op.requantize(of_input, rounding),
        op.requantize(of_hidden, rounding),
        op.requantize(_UNIT * cell_scale / cell_scale),
        op.requantize(_UNIT * _UNIT / cell_scale),
        op.requantize(_UNIT * _UNIT / float(hidden_scale)),
        SigmoidInt16(3 << max(power + 12, 0), max(-(power + 12), 0)),
        _clip(op, cell_scale),
    )
    inputs = [op.inputs[i] for i in (0, *_INPUT_WEIGHTS, *_HIDDEN_WEIGHTS, *_BIASES)]
    return [Step(op.summary.kind, params, tuple(inputs), op.output)]


def _check_form(op: TfliteOperator) -> None:
    if len(op.inputs) != 24 or len(op.outputs) != 1:
        op.fail(f"has {len(op.inputs)} inputs and {len(op.outputs)} outputs; 24 and 1 are allowed")
    for what, places in (("peepholes", _PEEPHOLES), ("a projection", _PROJECTION), ("layer norms", _NORM)):
        if any(op.inputs[i] is not None for i in places):
            op.fail(f"has {what}, which TFLM does not have")
    if op.option("FusedActivationFunction") != tflite.ActivationFunctionType.TANH:
        op.fail("its activation is not TANH")
    if op.option("ProjClip"):
        op.fail("limits a projection that it does not have")


def _check_shapes(op: TfliteOperator, source: Tensor, hidden: Tensor, cell: Tensor) -> int:
    """How many units it has; one sequence lies the same with the time in front or behind."""
    op.require_rank(source, 3)
    if 1 not in source.shape[:2] or source.shape[1 if op.option("TimeMajor") else 0] != 1:
        op.fail(f"takes {source.shape}; one sequence at a time is allowed")
    units = math.prod(hidden.shape)
    if math.prod(cell.shape) != units:
        op.fail(f"has {units} hidden and {math.prod(cell.shape)} cell states")
    op.require_shape(op.output, (*source.shape[:2], units))
    for state in (hidden, cell):
        if state.data is not None:
            op.fail(f"{describe(state)} is a constant; it must be variable")
    return units


def _weights(op: TfliteOperator, place: int, shape: tuple[int, int]) -> float:
    """The scale of weights of this shape."""
    op.constant(place, "int8")
    op.require_shape(op.input(place), shape)
    scale, zero_point = op.per_tensor(op.input(place))
    if zero_point:
        op.fail(f"{describe(op.input(place))} has zero point {zero_point}; 0 is allowed")
    return float(scale)


def _check_bias(op: TfliteOperator, place: int, units: int) -> None:
    values = op.constant(place, "int32" if op.dtype == "int8" else "int64")
    op.require_shape(op.input(place), (units,))
    if np.abs(values).max(initial=0) > MAX_WIDE_BIAS:
        op.fail(f"{describe(op.input(place))} goes beyond 2**46")


def _clip(op: TfliteOperator, cell_scale: float) -> int | None:
    """The largest cell state; None: no limit. Source: TFLM ``CreateLstmCellStateInfo``, which truncates."""
    limit = float(op.option("CellClip"))
    if not limit >= 0:
        op.fail(f"its cell state is limited to {limit:g}; 0 or more is allowed")
    return int(min(limit / cell_scale, 32767.0)) if limit else None
