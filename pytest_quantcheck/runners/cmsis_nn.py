"""``cmsis_nn``: what TFLM gives with CMSIS-NN's kernels, built to round once. By name, and never exact.

With ``CMSIS_NN_USE_SINGLE_ROUNDING`` CMSIS-NN requantizes as ``x * multiplier / 2**(31 - shift)``, halves up
(``arm_nn_requantize`` in ``Include/arm_nnsupportfunctions.h``); without it, it rounds as TFLM's own kernels
do: ``tflm`` is its reference then. Only the operators that CMSIS-NN computes for TFLM are concerned.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from pytest_quantcheck.graph.model import Operator, QuantGraph, Requantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner

OPERATORS = frozenset(
    {"ADD", "BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "TRANSPOSE_CONV"}
)
"""What requantizes by ``arm_nn_requantize`` in TFLM's folder ``kernels/cmsis_nn``."""


class CmsisNnRunner(IntegerRunner):
    """Our interpreter with the other rounding."""

    name = "cmsis_nn"
    exact = False

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"{super().runtime}, rounding as CMSIS-NN with single rounding"

    def graph(self, model: QuantizedModel) -> QuantGraph:
        """The model's graph, in which these operators round once."""
        graph = super().graph(model)
        return replace(graph, operators=tuple(map(_rounding_once, graph.operators)))


def _rounding_once(operator: Operator) -> Operator:
    if operator.kind not in OPERATORS:
        return operator
    params: Any = operator.params
    rules = {each.name: getattr(params, each.name) for each in fields(params)}
    changed = {
        name: replace(rule, rounding="single")
        for name, rule in rules.items()
        if isinstance(rule, Requantize) and rule.rounding == "double"
    }
    return replace(operator, params=replace(params, **changed))
