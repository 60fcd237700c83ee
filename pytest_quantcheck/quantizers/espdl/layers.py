"""Weights and biases of a layer in integers, by the rules of a chip and a generation of ESP-DL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import attributes, kind_of, load_onnx
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.power_of_two import (
    CHIP_RULES,
    ChipRule,
    Cover,
    choose_exponent,
    dequantize,
    quantize,
)
from pytest_quantcheck.numerics.rounding import Rounding, round_real
from pytest_quantcheck.quantizers.espdl.exponents import COMPUTING, Plan
from pytest_quantcheck.quantizers.espdl.options import EspdlOptions


@dataclass(frozen=True)
class Rules:
    """How a chip and a generation of ESP-DL quantize."""

    dtype: str
    per_channel: bool
    generation: int
    chip: ChipRule

    @classmethod
    def of(cls, dtype: str, per_channel: bool, options: EspdlOptions) -> Rules:
        """For a type of activations and weights."""
        return cls(dtype, per_channel, options.generation, CHIP_RULES[options.target])

    @property
    def sums(self) -> Rounding:
        """How sums are rounded."""
        return "floor" if self.generation == 1 else self.chip.rounding

    @property
    def weights(self) -> Rounding:
        """How weights and biases are."""
        return "half_even" if self.generation == 1 else self.chip.rounding

    @property
    def cover(self) -> Cover:
        """Which exponent covers a range."""
        return "steps" if self.generation == 1 else "esp_ppq"

    def exponent(self, values: Array) -> int:
        """Of an operand that is a constant."""
        return int(choose_exponent(np.max(np.abs(values), initial=0), self.dtype, cover=self.cover))


@dataclass(frozen=True, eq=False)
class Layer:
    """``weights`` lie as in the model; exponents are one, or one for each channel along ``axis``.

    The bias is int64 with an exponent for each channel, and fits ``bias_bits``.
    """

    weights: Array
    exponents: IntArray
    axis: int
    bias: IntArray | None
    bias_exponents: IntArray
    bias_bits: int


def quantize_layer(
    node: Any, plan: Plan, exponents: Mapping[str, int], rules: Rules, fixed: Mapping[str, IntArray]
) -> Layer:
    """A Conv, Gemm or MatMul; ``exponents`` are those of activations, ``fixed`` those of weights and biases.

    What ``fixed`` does not hold is chosen by ``rules``. Raises ``QuantizationError`` where ESP-DL has no such
    layer.
    """
    source = node.input[0]
    if source not in exponents:
        raise QuantizationError(f"{where(node)} has a constant as its input; ESP-DL has no such layer")
    integers, chosen = _quantize_weights(node, plan, rules, fixed)
    axis = channel_axis(node)
    channels = integers.shape[axis]
    sums = np.broadcast_to(exponents[source] + chosen, (channels,))
    if len(node.input) < 3 or not node.input[2]:
        return Layer(integers, chosen, axis, None, sums, 0)
    bias = plan.constants.get(node.input[2])
    if bias is None:
        told = "a bias that is no constant; ESP-DL has no such layer"
        raise QuantizationError(f"{where(node)} has {told}")
    held, bits = _bias_format(node, plan, exponents, rules, sums)
    held = np.broadcast_to(fixed.get(node.input[2], held), (channels,))
    real = np.broadcast_to(bias.reshape(-1), (channels,)).astype(np.float64)
    most = 2.0 ** (bits - 1)
    steps = round_real(np.ldexp(real, -held), rules.weights)
    values = np.clip(steps, -most, np.nextafter(most, 0) if bits > 53 else most - 1).astype(np.int64)
    return Layer(integers, chosen, axis, values, held, bits)


def _quantize_weights(
    node: Any, plan: Plan, rules: Rules, fixed: Mapping[str, IntArray]
) -> tuple[Array, IntArray]:
    """Integers and exponents of a layer's weights."""
    weights = plan.constants.get(node.input[1])
    if weights is None:
        told = "weights that are no constants; ESP-DL has no such layer"
        raise QuantizationError(f"{where(node)} has {told}")
    axis = channel_axis(node)
    per_channel = rules.per_channel and kind_of(node) != "ConvTranspose"
    rest = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.max(np.abs(weights), axis=rest if per_channel else None, initial=0)
    chosen = fixed.get(node.input[1], choose_exponent(largest, rules.dtype, cover=rules.cover))
    how: dict[str, Any] = {"rounding": rules.weights, "narrow": rules.generation == 1}
    if chosen.ndim and chosen.shape != (weights.shape[axis],):
        channels = weights.shape[axis]
        raise QuantizationError(f"{where(node)} has {channels} channels, but {len(chosen)} exponents")
    return quantize(weights, chosen, rules.dtype, axis if chosen.ndim else None, **how), chosen


def with_quantized_weights(model: Any, plan: Plan, rules: Rules) -> Any:
    """A copy of a ``ModelProto`` whose weights are rounded, as esp-ppq has them while it calibrates."""
    onnx = load_onnx()
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    rounded = {}
    for node in copy.graph.node:
        if kind_of(node) in COMPUTING:
            integers, exponents = _quantize_weights(node, plan, rules, {})
            axis = channel_axis(node) if exponents.ndim else None
            rounded[node.input[1]] = dequantize(integers, exponents, axis)
    for each in copy.graph.initializer:
        if each.name in rounded:
            each.CopyFrom(onnx.numpy_helper.from_array(rounded[each.name], each.name))
    return copy


def _bias_format(
    node: Any, plan: Plan, exponents: Mapping[str, int], rules: Rules, sums: IntArray
) -> tuple[IntArray, int]:
    """Exponents and bits: those of the sums or, in generation 1, of the output, unless sums are coarser."""
    if rules.generation == 2:
        return sums, rules.chip.bias_bits[rules.dtype]
    if rules.per_channel and kind_of(node) in ("Gemm", "MatMul"):
        return sums + 4, 16
    output = exponents[plan.quantized_output(node)]
    return np.maximum(sums, output), 8 if rules.dtype == "int8" else 16


def channel_axis(node: Any) -> int:
    """Along which axis of its weights the output channels of an operator lie."""
    if kind_of(node) == "Conv":
        return 0
    return 0 if kind_of(node) == "Gemm" and attributes(node).get("transB", 0) else 1


def where(node: Any) -> str:
    """How messages name an operator."""
    return f"operator {kind_of(node)}{f' {node.name!r}' if node.name else ''}"
