"""The biases that esp-ppq's executor computes with, where it rounds halves up in float32."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.model import Convolution, FullyConnected, QuantGraph


def half_up_in_float32(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """``floor(v + 0.5)`` of integers in float32: the sum has no place for the half from 2^23 on."""
    return np.floor(values.astype(np.float32) + np.float32(0.5)).astype(np.int64)


def with_float32_biases(graph: QuantGraph) -> tuple[QuantGraph, int]:
    """The graph with such biases, and how many of them are other integers."""
    tensors, changed = list(graph.tensors), 0
    for op in graph.operators:
        if isinstance(op.params, (Convolution, FullyConnected)) and len(op.inputs) > 2 and op.inputs[2] >= 0:
            tensor = tensors[op.inputs[2]]
            assert tensor.data is not None
            rounded = half_up_in_float32(tensor.data).astype(tensor.dtype)
            changed += int((rounded != tensor.data).sum())
            tensors[op.inputs[2]] = replace(tensor, data=rounded)
    return replace(graph, tensors=tuple(tensors)), changed
