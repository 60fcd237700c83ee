"""Read a ``.tflite`` file into the integer graph: tensors, order, constant folding, parameters.

Nothing in the file is trusted. What cannot run is ``UnsupportedOperatorError`` (the operator and the
reason), what is broken is ``ModelError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.tflite import OperatorSummary, Summary, TensorSummary, read_summary
from pytest_quantcheck.graph.from_tflite.lowering import SUPPORTED, Site, activation_first, lower, note
from pytest_quantcheck.graph.model import Operator, QuantGraph, Quantization, Tensor, operator_index

__all__ = ["SUPPORTED", "Summary", "read_summary", "read_tflite"]

MAX_RANK = 4
MAX_TENSOR_BYTES = 1 << 26
_DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32")

Folded = dict[int, npt.NDArray[Any]]
_Fold = Callable[[Sequence[npt.NDArray[Any]], Mapping[str, Any]], Union[npt.NDArray[Any], None]]


def foldable_kinds() -> tuple[str, ...]:
    """The operators that may fold into constants, on shapes, whether or not they are supported otherwise."""
    return ("SHAPE", *_FOLDS)


def read_tflite(data: bytes) -> QuantGraph:
    """The integer graph of a quantized ``.tflite`` file (int8 or int16 inside; int8, uint8, int16, float32 at
    its edges).

    Operators that only compute shapes from constants (SHAPE, STRIDED_SLICE, PACK before RESHAPE, as
    Keras exports models of unknown batch size) are folded away; all others keep their index in the
    file. ``notes`` name what was folded and what is surprising. Raises ``ModelError`` or
    ``UnsupportedOperatorError``.
    """
    summary = read_summary(data)
    if summary.subgraphs != 1:
        raise ModelError(f"the model has {summary.subgraphs} subgraphs (control flow); one is supported")
    folded, notes = _fold(summary)
    sources = [op for op in summary.operators if not set(op.outputs) <= folded.keys()]
    for op in sources:
        if op.kind not in SUPPORTED:
            raise UnsupportedOperatorError(
                f"{_name(op)}: this operator is not supported; supported: {', '.join(SUPPORTED)}"
            )
    _check_order(summary, sources, folded)
    tensors = [_unused(tensor) for tensor in summary.tensors]
    for owner, indices in _uses(summary, sources):
        for index in indices:
            if index >= 0:
                tensors[index] = _tensor(owner, summary.tensors[index], folded.get(index))
    sites = [_site(op, tensors) for op in sources]
    return QuantGraph(
        tuple(tensors),
        tuple(
            Operator(
                operator_index(op.index, number),
                op.kind,
                activation_first(op.kind, op.inputs),
                (output,),
                params,
            )
            for op, site in zip(sources, sites, strict=True)
            for number, (output, params) in enumerate(zip(op.outputs, lower(site), strict=True))
        ),
        summary.inputs,
        summary.outputs,
        hashlib.sha256(data).hexdigest(),
        summary.description,
        (*notes, *filter(None, map(note, sites))),
    )


def folded_operators(summary: Summary) -> frozenset[int]:
    """Indices of the operators that :func:`read_tflite` folds into constants."""
    folded, _ = _fold(summary)
    return frozenset(op.index for op in summary.operators if set(op.outputs) <= folded.keys())


def _name(op: OperatorSummary) -> str:
    return f"operator {op.index} ({op.kind})"


def _uses(summary: Summary, sources: Sequence[OperatorSummary]) -> list[tuple[str, tuple[int, ...]]]:
    """Who uses which tensors, the operators first, so that errors name them."""
    uses = [(_name(op), (*op.inputs, *op.outputs)) for op in sources]
    return [*uses, ("the graph's inputs", summary.inputs), ("the graph's outputs", summary.outputs)]


def _check_order(summary: Summary, sources: Sequence[OperatorSummary], folded: Folded) -> None:
    """Every input must be known before its operator runs, every activation written once."""
    constant = {t.index for t in summary.tensors if t.data is not None} | folded.keys()
    known = constant | set(summary.inputs)
    if len(known) != len(constant) + len(summary.inputs):
        raise ModelError("an input of the graph is listed twice or is a constant")
    for op in sources:
        for index in op.inputs:
            if index >= 0 and index not in known:
                raise ModelError(f"{_name(op)}: tensor {index} is used before it is computed")
        for index in op.outputs:
            if index in known:
                raise ModelError(f"{_name(op)}: tensor {index} is written twice or is a constant")
            known.add(index)
    for index in summary.outputs:
        if index not in known or index in constant:
            raise ModelError(f"output tensor {index} is not computed by the graph")
    if not summary.inputs or not summary.outputs or not sources:
        raise ModelError("the graph has no inputs, no outputs or no operators")


def _unused(summary: TensorSummary) -> Tensor:
    """A place holder that keeps ``tensors[i].index == i``; no operator refers to it."""
    return Tensor(summary.index, summary.name, (0,), np.dtype(np.int8))


def _tensor(owner: str, summary: TensorSummary, folded: npt.NDArray[Any] | None) -> Tensor:
    """One tensor that ``owner`` uses; sizes are limited so that a hostile file cannot ask for much."""
    what = f"{owner}: tensor {summary.index} ({summary.name})"
    if summary.variable:
        raise UnsupportedOperatorError(f"{what} is variable; models with state are not supported")
    if summary.sparse:
        raise UnsupportedOperatorError(f"{what} is sparse; only dense tensors are supported")
    if summary.dtype not in _DTYPES:
        raise UnsupportedOperatorError(f"{what} is {summary.dtype}; supported: {', '.join(_DTYPES)}")
    if len(summary.shape) > MAX_RANK:
        raise UnsupportedOperatorError(
            f"{what} has {len(summary.shape)} dimensions; {MAX_RANK} are supported"
        )
    if min(summary.shape, default=1) < 1:
        raise UnsupportedOperatorError(f"{what} has shape {summary.shape}; sizes must be known and positive")
    dtype = np.dtype(summary.dtype)
    if summary.elements * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ModelError(f"{what} has shape {summary.shape}, more than {MAX_TENSOR_BYTES} bytes")
    data = folded
    if data is None and summary.data is not None:
        data = summary.values
    return Tensor(summary.index, summary.name, summary.shape, dtype, _quantization(what, summary), data)


def _quantization(what: str, summary: TensorSummary) -> Quantization | None:
    scales, zero_points = summary.scales, summary.zero_points
    if len(scales) == 0:
        return None
    if len(zero_points) == 0:
        zero_points = np.zeros(len(scales), np.int64)
    if len(zero_points) != len(scales):
        raise ModelError(f"{what} has {len(scales)} scales, but {len(zero_points)} zero points")
    if not np.all(np.isfinite(scales)) or np.any(scales <= 0):
        raise ModelError(f"{what} has scales from {scales.min()} to {scales.max()}; they must be positive")
    if summary.dtype in ("int8", "uint8", "int16", "int32"):
        info = np.iinfo(summary.dtype)
        if zero_points.min() < info.min or zero_points.max() > info.max:
            raise ModelError(f"{what} has a zero point outside {summary.dtype}")
    return Quantization(scales, zero_points, summary.axis)


def _site(op: OperatorSummary, tensors: Sequence[Tensor]) -> Site:
    places = activation_first(op.kind, op.inputs)
    inputs = tuple(tensors[i] if i >= 0 else None for i in places)
    return Site(op, inputs, tuple(tensors[i] for i in op.outputs))


def _fold(summary: Summary) -> tuple[Folded, tuple[str, ...]]:
    """Values of tensors that follow from shapes and constants alone, and a note for each operator."""
    folded: Folded = {}
    notes = []
    for op in summary.operators:
        if op.kind not in foldable_kinds() or len(op.outputs) != 1:
            continue
        value = _fold_operator(op, summary, folded)
        if value is not None and value.size <= _MOST_FOLDED:
            folded[op.outputs[0]] = np.asarray(value).astype(np.int32)
            notes.append(f"{_name(op)} folded into a constant")
    return folded, tuple(notes)


def _fold_operator(op: OperatorSummary, summary: Summary, folded: Folded) -> npt.NDArray[Any] | None:
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


def _small_constant(tensor: TensorSummary, folded: Folded) -> npt.NDArray[Any] | None:
    if tensor.index in folded:
        return folded[tensor.index]
    if tensor.data is None or tensor.dtype != "int32" or len(tensor.data) > 4 * _MOST_FOLDED:
        return None
    return tensor.values


def _slice_of(constants: Sequence[npt.NDArray[Any]], options: Mapping[str, Any]) -> npt.NDArray[Any] | None:
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

    def fold(constants: Sequence[npt.NDArray[Any]], options: Mapping[str, Any]) -> npt.NDArray[Any] | None:
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
