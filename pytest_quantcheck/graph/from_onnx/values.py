"""What a translation works with: activations, constants, targets, and what follows from them alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.numerics.affine import integer_range, quantize
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.numerics.rounding import Rounding

MAX_TENSOR_BYTES = 1 << 26

SHIFT = 128  # from uint8 to int8


@dataclass(frozen=True)
class Arithmetic:
    """How a model's integers are computed.

    onnxruntime's rule, a float32 factor with halves to even, in int8; or, with ``powers_of_two``, shifts
    that ``rounding`` rounds once, in int8 or int16: ESP-DL's.
    """

    dtype: str = "int8"
    rounding: Rounding = "half_even"
    powers_of_two: bool = False


@dataclass(frozen=True)
class Value:
    """An integer activation: a tensor of the graph with its scale and zero point.

    ``channels_last`` tells that the model's NCHW tensor lies as NHWC (NCW as NWC). ``name`` is the model's.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    channels_last: bool = False


@dataclass(frozen=True)
class Origin:
    """Where an operator's output stands in the model: the tensor's ``name``, and how it lies in the graph."""

    operator: int
    kind: str
    name: str
    shape: tuple[int, ...]
    channels_last: bool
    shifted: bool  # uint8 in the model, int8 in the graph

    def in_graph(self, value: Array) -> Array:
        """The model's own value as it must stand in the graph."""
        moved = value.transpose(nhwc_order(value.ndim)) if self.channels_last else value
        shaped = np.ascontiguousarray(moved).reshape(self.shape)
        return (shaped ^ 0x80).view(np.int8) if self.shifted else shaped


@dataclass(frozen=True, eq=False)
class Constant:
    """An integer constant with its scales (one, or one per slice along ``axis``)."""

    data: Array
    scale: Float32
    zero_point: IntArray
    axis: int


@dataclass(frozen=True, eq=False)
class Target:
    """What an operator must produce: the model's integer tensor, with the clamp fused into it."""

    name: str
    scale: np.float32
    zero_point: int
    act_min: int
    act_max: int
    dtype: str

    @property
    def whole(self) -> bool:
        return (self.act_min, self.act_max) == integer_range(self.dtype)


def check_size(name: str, shape: Sequence[int]) -> None:
    """Raises ``ModelError`` for a tensor without elements, or with more than can be meant."""
    if min(shape, default=1) < 1 or math.prod(int(n) for n in shape) > MAX_TENSOR_BYTES:
        raise ModelError(
            f"tensor '{name}' has the shape {tuple(shape)}; from 1 to {MAX_TENSOR_BYTES} elements are allowed"
        )


def nhwc_order(rank: int) -> tuple[int, ...]:
    """Where the model's axes stand when the second one has gone behind the others: NHWC of NCHW."""
    return (0, *range(2, rank), 1)


def moves_nothing(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether a transposition keeps the order of all axes longer than 1."""
    long = [axis for axis in order if shape[axis] > 1]
    return long == sorted(long)


def real_values(value: Value) -> Float32:
    """What DequantizeLinear makes of -128 to 127: one float32 product each."""
    steps = np.arange(-128, 128) - value.zero_point
    return (steps.astype(np.float32) * value.scale).astype(np.float32)


def quantized(x: Float32, target: Target, rounding: Rounding = "half_even") -> IntArray:
    """What QuantizeLinear makes of float32 values, signed whatever the model's type, within the clamp."""
    integers = quantize(x, target.scale, target.zero_point, target.dtype, rounding=rounding)
    return np.clip(integers.astype(np.int64), target.act_min, target.act_max)


def exponent_of(scale: npt.ArrayLike) -> IntArray:
    """The exponents of scales that are powers of two."""
    return np.frexp(np.asarray(scale, np.float64))[1].astype(np.int64) - 1


def are_powers_of_two(scale: npt.ArrayLike) -> bool:
    """Whether all scales are."""
    return bool(np.all(np.frexp(np.asarray(scale, np.float64))[0] == 0.5))
