"""Gemm and MatMul with constant weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.factors import add_bias, check_symmetric, product_factor
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.model import FullyConnected


def gemm(t: Translation, node: Any, given: Attributes) -> None:
    """Gemm without transA, alpha and beta: FULLY_CONNECTED."""
    if given.get("transA", 0) or given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        t.fail(node, "transA, alpha and beta other than 0, 1 and 1 are not supported; export without them")
    _dense(t, node, by_rows=bool(given.get("transB", 0)))


def matmul(t: Translation, node: Any, _: Attributes) -> None:
    """MatMul with constant weights: FULLY_CONNECTED."""
    _dense(t, node, by_rows=False)


def _dense(t: Translation, node: Any, *, by_rows: bool) -> None:
    source, weights = t.model_layout(t.activation(node, 0)), t.weights(node, 1)
    dtype = t.arithmetic.dtype
    if weights.data.ndim != 2 or weights.data.dtype.name != dtype:
        given = f"{weights.data.shape} ({weights.data.dtype.name})"
        t.fail(node, f"weights {given}; an {dtype} matrix is supported")
    data = np.ascontiguousarray(weights.data if by_rows else weights.data.T)
    units, depth = data.shape
    if source.shape[-1] != depth:
        t.fail(node, f"weights {weights.data.shape} do not fit an input of {source.shape}")
    if len(weights.scale) > 1:
        check_symmetric(t, node, weights, units, 0 if by_rows else 1)
    target = t.target(node)
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, dtype, weights.scale, weights.zero_point, data),
        *add_bias(t, node, 2, source.scale, weights, units),
    ]
    params = FullyConnected(
        source.zero_point,
        int(weights.zero_point[0]),
        target.zero_point,
        product_factor(t, node, source.scale, weights.scale, target.scale),
        target.act_min,
        target.act_max,
    )
    t.emit(node, "FULLY_CONNECTED", inputs, (*source.shape[:-1], units), target, params)
