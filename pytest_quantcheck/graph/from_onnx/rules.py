"""Which function translates which operator between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_quantcheck.formats.onnx import Attributes, attributes, kind_of
from pytest_quantcheck.graph.from_onnx import (
    convolution,
    elementwise,
    functions,
    matrix,
    movement,
    pooling,
    resize,
    softmax,
)
from pytest_quantcheck.graph.from_onnx.translation import Translation

_RULES: dict[str, Callable[[Translation, Any, Attributes], None]] = {
    "Conv": convolution.conv,
    "Gemm": matrix.gemm,
    "MatMul": matrix.matmul,
    "ConvTranspose": convolution.conv_transpose,
    "Add": elementwise.add,
    "Sub": elementwise.add,
    "Mul": elementwise.mul,
    "Max": elementwise.extremum,
    "Min": elementwise.extremum,
    "MaxPool": pooling.max_pool,
    "AveragePool": pooling.average_pool,
    "GlobalAveragePool": pooling.global_average_pool,
    "ReduceMean": pooling.reduce_mean,
    "ReduceMax": pooling.reduce_max,
    "Concat": movement.concat,
    "Reshape": movement.reshape,
    "Flatten": movement.reshape,
    "Squeeze": movement.reshape,
    "Unsqueeze": movement.reshape,
    "Transpose": movement.transpose,
    "Slice": movement.strided_slice,
    "Split": movement.split,
    "Resize": resize.resize,
    "Pad": movement.pad,
    "Softmax": softmax.softmax,
    **dict.fromkeys(functions.FUNCTIONS, functions.function),
}

SUPPORTED = (*_RULES, "QuantizeLinear", "DequantizeLinear")


def translate(t: Translation, node: Any) -> None:
    """Translate one operator. Raises ``UnsupportedOperatorError`` that names it and the reason."""
    rule = _RULES.get(kind_of(node))
    if rule is None:
        t.fail(node, f"this operator is not supported; supported: {', '.join(SUPPORTED)}")
    rule(t, node, attributes(node))
