"""One operator of a ``.tflite`` file with its tensors, and what any operator's rule checks of them.

A failed check raises ``UnsupportedOperatorError`` with the operator's index, kind and the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import tflite

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.formats.summary import OperatorSummary
from pytest_quantcheck.graph.model import Params, Quantization, Requantize, Tensor
from pytest_quantcheck.numerics.affine import round_half_away
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.limits import MAX_REDUCED_SHIFT, MAX_SHIFT

_ACTIVATION_RANGES: dict[int, tuple[float | None, float | None]] = {
    tflite.ActivationFunctionType.NONE: (None, None),
    tflite.ActivationFunctionType.RELU: (0.0, None),
    tflite.ActivationFunctionType.RELU6: (0.0, 6.0),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Step:
    """An operator of the graph on the way to an output of a source operator.

    ``inputs`` and ``output`` are tensors of the source operator, or such as stand nowhere in the file, whose
    index is -1 (``TfliteOperator.between``): constants and outputs of earlier steps.
    """

    kind: str
    params: Params
    inputs: tuple[Tensor | None, ...]
    output: Tensor


@dataclass(frozen=True, eq=False)
class TfliteOperator:
    """One operator with its tensors; ``inputs`` holds None for absent ones."""

    summary: OperatorSummary
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    def fail(self, reason: str) -> NoReturn:
        raise UnsupportedOperatorError(f"operator {self.summary.index} ({self.summary.kind}): {reason}")

    def option(self, name: str) -> Any:
        if self.summary.options is None:
            self.fail("the file has no option table for it")
        return self.summary.options[name]

    def arity(self, fewest: int, most: int | None = None, outputs: int = 1) -> None:
        most = fewest if most is None else most
        if not fewest <= len(self.inputs) <= most or any(t is None for t in self.inputs[:fewest]):
            allowed = str(fewest) if most == fewest else f"{fewest} to {most}"
            self.fail(f"has {sum(t is not None for t in self.inputs)} inputs, {allowed} are allowed")
        if len(self.outputs) != outputs:
            self.fail(f"has {len(self.outputs)} outputs, {outputs} are allowed")

    def input(self, position: int) -> Tensor:
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            self.fail(f"input {position} is absent")
        return tensor

    @property
    def output(self) -> Tensor:
        return self.outputs[0] if self.outputs else self.fail("has no output; convert the model again")

    def require_dtype(self, tensor: Tensor, *allowed: str) -> None:
        if tensor.dtype.name not in allowed:
            self.fail(f"{describe(tensor)} is {tensor.dtype.name}; allowed here: {', '.join(allowed)}")

    def require_rank(self, tensor: Tensor, *allowed: int) -> None:
        if len(tensor.shape) not in allowed:
            ranks = " or ".join(str(rank) for rank in allowed)
            self.fail(f"{describe(tensor)} has {len(tensor.shape)} dimensions; {ranks} are allowed here")

    def require_shape(self, tensor: Tensor, shape: Sequence[int]) -> None:
        if tensor.shape != tuple(shape):
            self.fail(f"{describe(tensor)} has shape {tensor.shape}, but its inputs give {tuple(shape)}")

    def constant(self, position: int, *dtypes: str) -> Array:
        tensor = self.input(position)
        if tensor.data is None:
            self.fail(f"{describe(tensor)} must be a constant")
        self.require_dtype(tensor, *dtypes)
        return tensor.data

    def per_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of a tensor quantized with one pair."""
        quantization = self.quantization(tensor)
        if quantization.per_channel:
            self.fail(f"{describe(tensor)} is quantized per channel; one scale is allowed here")
        return quantization.scale[0], int(quantization.zero_point[0])

    def quantization(self, tensor: Tensor) -> Quantization:
        if tensor.quantization is None:
            self.fail(f"{describe(tensor)} has no scale")
        return tensor.quantization

    @property
    def dtype(self) -> str:
        """The type of the operator's activations: that of its first input, int8 or int16."""
        self.require_dtype(self.input(0), "int8", "int16")
        return self.input(0).dtype.name

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value of the output's type."""
        info = np.iinfo(self.output.dtype.name)
        return int(info.min), int(info.max)

    def activation_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of an activation of the operator's type."""
        self.require_dtype(tensor, self.dtype)
        return self.integer_tensor(tensor)

    def integer_tensor(self, tensor: Tensor) -> tuple[np.float32, int]:
        """Scale and zero point of an activation of any integer type; int16 is symmetric."""
        scale, zero_point = self.per_tensor(tensor)
        if tensor.dtype.name == "int16" and zero_point != 0:
            self.fail(f"{describe(tensor)} is int16 with zero point {zero_point}; 0 is allowed")
        return scale, zero_point

    def requantize(self, real: Any, rounding: str = "double") -> Requantize:
        """Multipliers and shifts for real factors (float64, one or one per channel)."""
        values = np.atleast_1d(np.asarray(real, np.float64))
        if not np.all(np.isfinite(values)):
            self.fail("the ratio of its scales is not finite")
        multiplier, shift = quantize_multiplier(values)
        if shift.max() > (MAX_REDUCED_SHIFT if rounding == "reduced" else MAX_SHIFT):
            self.fail(f"the ratio of its scales, {values.max():g}, does not fit its arithmetic")
        return Requantize(multiplier, shift, rounding)

    def clamp(self) -> tuple[int, int]:
        """The output's range after the fused activation. Source: ``CalculateActivationRangeQuantized``."""
        code = self.option("FusedActivationFunction")
        if code not in _ACTIVATION_RANGES:
            self.fail(f"fused activation {code} is not supported; allowed: NONE, RELU, RELU6, RELU_N1_TO_1")
        scale, zero_point = self.per_tensor(self.output)
        low, high = _ACTIVATION_RANGES[code]
        smallest, largest = self.limits
        return (
            smallest if low is None else max(smallest, zero_point + self.steps(low, scale)),
            largest if high is None else min(largest, zero_point + self.steps(high, scale)),
        )

    def steps(self, real: float, scale: np.float32) -> int:
        """``real`` in steps of ``scale``: divided in float32, rounded half away from zero."""
        with np.errstate(over="ignore"):
            value = float(round_half_away(np.asarray(np.float32(real) / scale)))
        if not abs(value) < 2**31:
            self.fail(f"its activation bound {real:g} is more than 2**31 steps of the output scale {scale:g}")
        return int(value)

    def between(self, shape: Sequence[int], scale: float | np.float32, zero_point: int) -> Tensor:
        """A tensor that stands nowhere in the file, of the operator's type."""
        quantization = Quantization(np.asarray([scale], np.float32), np.asarray([zero_point], np.int64))
        return Tensor(-1, f"{self.output.name}*", tuple(shape), np.dtype(self.dtype), quantization)

    def require_one_scale(self, sources: Sequence[Tensor]) -> None:
        """Values are compared or moved as they are."""
        pair = self.activation_tensor(self.output)
        for source in sources:
            if self.activation_tensor(source) != pair:
                self.fail(f"{describe(source)} has another scale or zero point than the output")

    def require_broadcast(self) -> None:
        """The output's shape must be that of the two inputs together."""
        try:
            shape = np.broadcast_shapes(self.input(0).shape, self.input(1).shape)
        except ValueError:
            self.fail(f"shapes {self.input(0).shape} and {self.input(1).shape} do not broadcast")
        self.require_shape(self.output, shape)

    def require_unit_scale(self) -> None:
        """An int16 output of a function that stays below 1."""
        scale, _ = self.activation_tensor(self.output)
        if abs(float(scale) * 2**15 - 1) > 0.0005:
            self.fail("the output must have scale 1/32768")


def describe(tensor: Tensor) -> str:
    """How error messages name a tensor."""
    return f"tensor {tensor.index} ({tensor.name})" if tensor.name else f"tensor {tensor.index}"
