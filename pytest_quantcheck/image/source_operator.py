"""What an operator is made from, and what it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.graph.model import Operator, QuantGraph, Requantize, Tensor, Window
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.constants import Constants
from pytest_quantcheck.numerics import limits
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.power_of_two import DIVIDING


@dataclass(frozen=True)
class KernelCall:
    """What becomes of a source operator, all but its places in the arena: they are planned at the end."""

    opcode: str
    params: bytes
    inputs: tuple[int, ...]
    scratch: int = 0
    roomy: KernelCall | None = None  # what is faster with more scratch, where the arena has room anyway
    # of the inputs and the output, where the kernel sees others than their own
    shapes: tuple[tuple[int, ...], ...] = ()
    output_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class SourceOperator:
    """An operator of the graph while it is emitted, with what that takes."""

    graph: QuantGraph
    op: Operator
    constants: Constants

    def fail(self, reason: str) -> NoReturn:
        raise UnsupportedOperatorError(f"operator {self.op.source} ({self.op.kind}): {reason}")

    @property
    def input(self) -> Tensor:
        return self.graph.tensors[self.op.inputs[0]]

    @property
    def activations(self) -> tuple[int, ...]:
        """Its inputs, without those that are left out."""
        return tuple(t for t in self.op.inputs if t >= 0)

    @property
    def output(self) -> Tensor:
        return self.graph.output_of(self.op)

    def constant(self, position: int) -> Array:
        data = self.graph.tensors[self.op.inputs[position]].data
        if data is None:
            self.fail(f"input {position} must be a constant")
        return data

    def require_dtypes(self, *allowed: str, tensors: Sequence[Tensor] = ()) -> None:
        for tensor in tensors or (self.input, self.output):
            if tensor.dtype.name not in allowed:
                self.fail(
                    f"tensor {tensor.index} is {tensor.dtype.name}; the engine has {', '.join(allowed)}"
                )

    def one(self, requantize: Requantize) -> tuple[int, int]:
        """Multiplier and shift of a rule with one entry."""
        multiplier, shift = self.rules(requantize, 1)
        return int(multiplier[0]), int(shift[0])

    def rules(self, requantize: Requantize, channels: int) -> tuple[IntArray, IntArray]:
        """Multipliers and shifts, one per channel; a multiplier of 0 gets the shift -1."""
        if requantize.rounding not in layout.RULE_SHIFTS:
            allowed = ", ".join(layout.RULE_SHIFTS)
            self.fail(f"rounding {requantize.rounding!r} is not supported here; allowed: {allowed}")
        multiplier = np.broadcast_to(requantize.multiplier, channels)
        shift = np.where(multiplier == 0, -1, np.broadcast_to(requantize.shift, channels))
        dividing = requantize.rounding in DIVIDING
        least = np.where(dividing & (multiplier == 1), limits.MIN_RATIO_SHIFT, limits.MIN_SHIFT)
        if (
            multiplier.min() < dividing
            or multiplier.max() >= 1 << 31
            or np.any(shift < least)
            or shift.max() > limits.MAX_SHIFT
        ):
            self.fail(f"multipliers {multiplier} with shifts {shift} do not fit the engine")
        return multiplier, shift + layout.RULE_SHIFTS[requantize.rounding]

    def activation_type(self) -> str:
        """The one type, int8 or int16, of all its activations."""
        tensors = [self.graph.tensors[t] for t in (*self.activations, *self.op.outputs)]
        self.require_dtypes("int8", "int16", tensors=tensors)
        self.require_dtypes(self.output.dtype.name, tensors=tensors)
        return self.output.dtype.name

    def window(self, w: Window) -> tuple[int, ...]:
        """The fields of a window."""
        fields = (
            w.kernel_h,
            w.kernel_w,
            w.stride_h,
            w.stride_w,
            w.dilation_h,
            w.dilation_w,
            w.pad_top,
            w.pad_left,
        )
        if max(fields) > limits.MAX_WINDOW:
            self.fail(f"{w} has a field above {limits.MAX_WINDOW}")
        return fields
