"""Constant folding: operators that compute shapes from shapes and constants alone.

Keras exports models of unknown batch size with SHAPE, STRIDED_SLICE and PACK before RESHAPE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np

from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.numerics.arrays import Array

Folded = dict[int, Array]  # by tensor index
_Fold = Callable[[Sequence[Array], Mapping[str, Any]], Union[Array, None]]


def foldable_kinds() -> tuple[str, ...]:
    """The operators that may fold into constants, on shapes, whether or not they are supported otherwise."""
    return ("SHAPE", *_FOLDS)


def folded_operators(summary: Summary) -> frozenset[int]:
    """Indices of the operators that ``read_tflite`` folds into constants."""
    folded, _ = fold(summary)
    return frozenset(op.index for op in summary.operators if is_folded(op, folded))


def is_folded(op: OperatorSummary, folded: Folded) -> bool:
    """Whether nothing is left of an operator to run; one without outputs is damaged, not folded."""
    return bool(op.outputs) and set(op.outputs) <= folded.keys()


def fold(summary: Summary) -> tuple[Folded, tuple[str, ...]]:
    """Values of tensors that follow from shapes and constants alone, and a note for each operator."""
    folded: Folded = {}
    notes = []
    for op in summary.operators:
        if op.kind not in foldable_kinds() or len(op.outputs) != 1:
            continue
        value = _fold_operator(op, summary, folded)
        if value is not None and value.size <= _MOST_FOLDED:
            folded[op.outputs[0]] = np.asarray(value).astype(np.int32)
            notes.append(f"operator {op.index} ({op.kind}) folded into a constant")
    return folded, tuple(notes)


def _fold_operator(op: OperatorSummary, summary: Summary, folded: Folded) -> Array | None:
    """The operator's value, or None where it is not a small integer constant."""
    if op.kind == "SHAPE" and len(op.inputs) == 1 and op.inputs[0] >= 0:
        return np.asarray(summary.tensors[op.inputs[0]].shape, np.int32)
    if summary.tensors[op.outputs[0]].dtype != "int32" or op.kind not in _FOLDS:
        return None
    inputs = [_small_constant(summary.tensors[i], folded) if i >= 0 else None for i in op.inputs]
    constants = [value for value in inputs if value is not None]
    if len(constants) != len(inputs) or not constants:
        return None
    try:
        return _FOLDS[op.kind](constants, op.options or {})
    except (ValueError, IndexError, KeyError, TypeError):  # NumPy's refusals: what is not folded is not run
        return None


def _small_constant(tensor: TensorSummary, folded: Folded) -> Array | None:
    if tensor.index in folded:
        return folded[tensor.index]
    if tensor.data is None or tensor.dtype != "int32" or len(tensor.data) > 4 * _MOST_FOLDED:
        return None
    return tensor.values


def _slice_of(constants: Sequence[Array], options: Mapping[str, Any]) -> Array | None:
    """One element or a range of a vector; other forms of STRIDED_SLICE are not folded."""
    vector, begin, end, stride = constants
    if options["EllipsisMask"] or options["NewAxisMask"] or options["Offset"]:
        return None
    if vector.ndim != 1 or any(c.shape != (1,) for c in constants[1:]) or not stride[0]:
        return None
    first = None if options["BeginMask"] & 1 else int(begin[0])
    last = None if options["EndMask"] & 1 else int(end[0])
    if options["ShrinkAxisMask"] & 1:
        return vector[first] if first is not None and -len(vector) <= first < len(vector) else None
    return vector[first : last : int(stride[0])]


def _combined(combine: np.ufunc) -> _Fold:
    """Two constants, wrapped to 32 bits when they are stored; no activation."""

    def fold(constants: Sequence[Array], options: Mapping[str, Any]) -> Array | None:
        a, b = (value.astype(np.int64) for value in constants)
        return None if options["FusedActivationFunction"] else np.asarray(combine(a, b))

    return fold


_MOST_FOLDED = 64  # elements: shapes, not data
_FOLDS: dict[str, _Fold] = {
    "STRIDED_SLICE": _slice_of,
    "PACK": lambda c, options: np.stack(c, options["Axis"]),
    "CONCATENATION": lambda c, options: np.concatenate(c, options["Axis"]),
    "ADD": _combined(np.add),
    "SUB": _combined(np.subtract),
    "MUL": _combined(np.multiply),
    "GATHER": lambda c, options: np.take(c[0], c[1], options["Axis"]) if not options["BatchDims"] else None,
    "REDUCE_PROD": lambda c, options: np.prod(c[0], tuple(c[1].reshape(-1)), keepdims=options["KeepDims"]),
    "EXPAND_DIMS": lambda c, _: np.expand_dims(c[0], int(c[1].reshape(-1)[0])),
    "SQUEEZE": lambda c, _: np.squeeze(c[0]),
}
