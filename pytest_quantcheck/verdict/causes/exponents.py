"""Mistakes where scales are powers of two: exponents, shifts without a meaning, int8 in place of int16."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from pytest_quantcheck.graph.model import Convolution, FullyConnected, Requantize, Tensor
from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

NARROWER = 8  # bits between int16 and int8, and between their exponents
_INT_BITS = 32
_MOST_TIES = 6  # weights of one channel whose int8 is one of two
_SEARCHED = 3  # elements that must differ


def exponents_of(tensor: Tensor) -> IntArray | None:
    """Those of its quantization, where it has one."""
    return tensor.quantization.exponents if tensor.quantization is not None else None


def other_factors(tensor: Tensor) -> Iterator[tuple[str, str, float]]:
    """What an input may be multiplied by instead of ``2**-exponent``: ``(code, in words, factor)``."""
    exponents = exponents_of(tensor)
    if exponents is None:
        return
    exponent = int(exponents[0])
    yield "exponent_sign", f"the input times 2^{exponent} instead of 2^{-exponent}", 2.0**exponent
    if 0 <= -exponent < _INT_BITS - 1:
        return
    taken = -exponent % _INT_BITS
    text = f"the input times 1 << {-exponent}, which has no meaning in C,"
    yield "exponent_shift", f"{text} taken as 1 << {taken}", float(np.int32(np.uint32(1 << taken)))
    yield "exponent_shift", f"{text} taken as 0", 0.0


def other_widths(tensor: Tensor) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    """A buffer of int8 values where int16 ones are wanted, or the reverse: ``(in words, floats to raw)``."""
    exponents = exponents_of(tensor)
    if exponents is None or tensor.dtype.name not in ("int8", "int16"):
        return
    exponent, kind = int(exponents[0]), tensor.dtype

    def quantized(x: Array, dtype: str, exponent: int) -> Array:
        low, high = integer_range(dtype)
        values: Array = np.clip(np.rint(np.ldexp(x.astype(np.float64), -exponent)), low, high).astype(dtype)
        return values

    def as_bytes(x: Array, dtype: str, exponent: int) -> Array:
        """In the memory of the tensor; what it does not fill is zero, what it does not hold is lost."""
        size = x.size * kind.itemsize
        held = quantized(x, dtype, exponent).tobytes()[:size].ljust(size, b"\0")
        return np.frombuffer(held, kind).reshape(x.shape)

    if kind == np.int16:
        coarse = exponent + NARROWER
        yield "int8 values in an int16 input", lambda x: quantized(x, "int8", coarse).astype(kind)
        yield "the bytes of an int8 input read as int16", lambda x: as_bytes(x, "int8", coarse)
    else:
        fine = exponent - NARROWER
        yield "the bytes of an int16 input read as int8", lambda x: as_bytes(x, "int16", fine)


def other_exponents(case: Case, rule: Requantize) -> Iterator[tuple[str, str, Requantize]]:
    """A shift is ``input + weights - output``: one of them with the other sign, or left out."""
    for label, index, sign in _parts(case):
        exponents = exponents_of(case.graph.tensors[index])
        if exponents is None or not exponents.any():
            continue
        shift = rule.shift - 2 * sign * exponents
        yield "exponent_sign", f"the {label}'s exponent with the other sign", replace(rule, shift=shift)
        shift = rule.shift - sign * exponents
        yield "scale_power_of_two", f"the {label}'s exponent left out", replace(rule, shift=shift)
    left = rule.shift > 0
    if left.any():
        shift = np.where(left, rule.shift - _INT_BITS, rule.shift)
        text = "right shifts by less than 0, which have no meaning in C, taken modulo 32"
        yield "exponent_shift", text, replace(rule, shift=shift)


def _parts(case: Case) -> Iterator[tuple[str, int, int]]:
    yield "input", case.operator.inputs[0], 1
    if isinstance(case.params, (Convolution, FullyConnected)):
        yield "filter", case.operator.inputs[1], 1
    yield "output", case.operator.outputs[0], -1


def width_hypotheses(case: Case) -> Iterator[Hypothesis]:
    """int8 weights, and biases made for them, in a layer of int16."""
    weights, bias = case.constant(1), case.constant(2)
    layer = isinstance(case.params, (Convolution, FullyConnected))
    if not layer or not case.divides or weights is None or weights.dtype != np.int16:
        return
    for words, back in (("as they are", 0), ("with their own exponent", NARROWER)):
        for with_bias in (False, True) if bias is not None else (False,):
            more: dict[int, Array] = {}
            if with_bias and bias is not None:
                more[2] = _narrowed(bias.astype(np.int64), 2 * NARROWER) << (2 * back)

            def compute(witness: Witness, back: int = back, more: Mapping[int, Array] = more) -> Array:
                """Which of two integers a weight is need not be seen alike in every inference."""
                found = _settled(case, witness, weights, back, more)
                return case.compute(witness, constants={1: found, **more})

            text = f"int8 weights {words}{' and the biases of int8' if with_bias else ''}"
            yield Hypothesis("int8_int16", text, compute, _SEARCHED)


def _narrowed(values: IntArray, bits: int) -> IntArray:
    result: IntArray = (values + (1 << (bits - 1))) >> bits
    return result


def _settled(case: Case, witness: Witness, weights: Array, back: int, more: Mapping[int, Array]) -> Array:
    """int8 weights, shifted ``back`` to the left, with as many channels as can be as they were seen.

    They were rounded from floats: where an int16 lies in the middle of two, they are either. Channels are
    independent, so all are tried at once.
    """
    axis = 3 if getattr(case.params, "depth_multiplier", 0) else 0
    rows = np.moveaxis(weights.astype(np.int64), axis, 0)
    upper = _narrowed(rows, NARROWER)
    ties = (rows & ((1 << NARROWER) - 1)) == 1 << (NARROWER - 1)
    many = np.cumsum(ties.reshape(len(rows), -1), axis=1)
    rank, most = np.maximum(many - 1, 0).reshape(rows.shape), int(many.max(initial=0))
    seen = witness.seen.reshape(-1, len(rows))
    chosen, missing = upper, np.ones(len(rows), np.bool_)
    for lowered in range(1 << min(most, _MOST_TIES)):
        other = np.clip(upper - (ties & (lowered >> rank & 1 == 1)), *integer_range("int8")) << back
        data = np.ascontiguousarray(np.moveaxis(other, 0, axis).astype(weights.dtype))
        result = case.compute(witness, constants={1: data, **more}).reshape(-1, len(rows))
        right = (result == seen).all(axis=0)
        chosen = np.where((missing & right).reshape(-1, *[1] * (rows.ndim - 1)), other, chosen)
        missing &= ~right
        if not missing.any() or (missing & (many[:, -1] == 0)).any():
            break
    return np.ascontiguousarray(np.moveaxis(chosen, 0, axis).astype(weights.dtype))
