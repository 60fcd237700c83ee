"""LSTM: its gates' weights one behind the other, zero points folded into biases."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.graph.model import Lstm, Requantize
from pytest_quantcheck.graph.recurrent import GATES
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator
from pytest_quantcheck.numerics import limits
from pytest_quantcheck.numerics.fixed_point import reduced_multiplier, wrap_int32
from pytest_quantcheck.numerics.tables import sigmoid_table


def lstm(source: SourceOperator, p: Lstm) -> KernelCall:
    """UNIDIRECTIONAL_SEQUENCE_LSTM; scratch is the cell state."""
    source.require_dtypes("int8", "int16")
    source.require_dtypes(source.output.dtype.name)
    wide = source.output.dtype.name == "int16"
    parts = [source.constant(1 + i) for i in range(3 * GATES)]
    weights, biases = [], []
    for gate in range(GATES):
        of_input, of_hidden, bias = (part.astype(np.int64) for part in parts[gate::GATES])
        weights += [of_input.astype(np.int8).tobytes(), of_hidden.astype(np.int8).tobytes()]
        biases += [bias - p.input_zero_point * of_input.sum(axis=1)]
        biases += [-p.hidden_zero_point * of_hidden.sum(axis=1)]
    blob, table = b"".join(weights), np.concatenate(biases)
    units = len(biases[0])
    if max(parts[0].shape[1], units) >= limits.PRODUCTS_LIMIT:
        source.fail(f"one sum has {limits.PRODUCTS_LIMIT} products or more")
    values = table.astype("<i8") if wide else wrap_int32(table).astype("<i4")
    params = layout.LSTM.pack(
        p.hidden_zero_point,
        *_gates(source, p.of_input, wide),
        *_gates(source, p.of_hidden, wide),
        *source.one(p.forget),
        *source.one(p.update),
        *source.one(p.output),
        p.tanh.multiplier,
        p.tanh.shift,
        *((-(1 << 15), (1 << 15) - 1) if p.cell_clip is None else (-p.cell_clip, p.cell_clip)),
        source.constants.share(blob),
        len(blob),
        source.constants.add(values.tobytes()),
        source.constants.share(sigmoid_table().astype("<u2").tobytes()),
    )
    return KernelCall("LSTM", params, source.op.inputs[:1], scratch=2 * units)


def _gates(source: SourceOperator, rule: Requantize, wide: bool) -> tuple[int, ...]:
    """The multipliers of all gates, then their shifts."""
    if wide:
        multiplier, shift = reduced_multiplier(rule.multiplier), 15 - rule.shift
    else:
        multiplier, shift = source.rules(rule, GATES)
    return (*map(int, multiplier), *map(int, shift))
