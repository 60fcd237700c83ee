"""What a float network computes, as a hash, and which of its sizes are open: facts of every operator kind.

``formats.tflite`` reads the options of operators that the integer graph knows; a float model may hold any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import tflite

from pytest_quantcheck.formats.tflite import damaged, read_tflite_summary

_OPTION_TABLES = {number: name for name, number in vars(tflite.BuiltinOptions).items() if name[0] != "_"}
_NOT_FIELDS = ("GetRootAs", "Init")
_NOT_VALUES = ("AsNumpy", "Length", "IsNone", "BufferHasIdentifier")


@lru_cache(maxsize=8)  # a matrix asks for the same few models again and again
def semantic_sha256(content: bytes) -> str:
    """Equal for ``.tflite`` files that compute the same: operators, shapes, types, scales, constants.

    Names, metadata and layout of the file do not count: Keras numbers its layers by what else the
    process has built before. Raises ``ModelError``.
    """
    summary = read_tflite_summary(content)
    digest = hashlib.sha256(repr((summary.inputs, summary.outputs, summary.subgraphs)).encode())
    for operator, options in zip(summary.operators, _all_options(content), strict=True):
        digest.update(repr((operator.kind, operator.inputs, operator.outputs, options)).encode())
    for tensor in summary.tensors:
        quantization = (tensor.scales.tolist(), tensor.zero_points.tolist(), tensor.axis)
        digest.update(repr((tensor.shape, tensor.dtype, quantization)).encode())
        digest.update(b"-" if tensor.data is None else hashlib.sha256(tensor.data.tobytes()).digest())
    return digest.hexdigest()


def signatures(content: bytes) -> tuple[tuple[int, ...], ...]:
    """The inputs' shapes as the model was written, -1 where a size is open; empty where nothing is said."""
    try:
        graph = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
        tensors = [graph.Tensors(int(i)) for i in graph.InputsAsNumpy()]
        return tuple(_numbers(tensor.ShapeSignatureAsNumpy()) for tensor in tensors)
    except Exception as error:  # whatever following a damaged offset leads to
        raise damaged(content, error) from error


def _all_options(content: bytes) -> list[object]:
    try:
        graph = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
        return [_options(graph.Operators(i)) for i in range(graph.OperatorsLength())]
    except Exception as error:  # as above
        raise damaged(content, error) from error


def _options(operator: Any) -> object:
    """The operator's parameters as sorted ``(name, value)`` pairs, or the bytes of a custom operator."""
    table = operator.BuiltinOptions()
    name = _OPTION_TABLES.get(operator.BuiltinOptionsType(), "NONE")
    if table is None or name == "NONE":
        return _numbers(operator.CustomOptionsAsNumpy())
    options = getattr(tflite, name)()
    options.Init(table.Bytes, table.Pos)
    fields = [
        f
        for f in dir(options)
        if f[0].isupper() and not f.startswith(_NOT_FIELDS) and not f.endswith(_NOT_VALUES)
    ]
    return sorted((field, _value(options, field)) for field in fields)


def _value(options: Any, field: str) -> object:
    vector: Callable[[], Any] | None = getattr(options, f"{field}AsNumpy", None)
    return _numbers(vector()) if vector else getattr(options, field)()


def _numbers(array: Any) -> tuple[int, ...]:
    return () if isinstance(array, int) else tuple(array.tolist())  # 0 stands for an absent vector
