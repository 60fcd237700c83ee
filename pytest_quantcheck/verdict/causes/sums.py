"""What can go wrong between an operator's sums and its output: bits, rounding, scales, saturation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.execute import requantize
from pytest_quantcheck.graph.model import Requantize
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.fixed_point import quantize_multiplier
from pytest_quantcheck.numerics.float_scale import float_multiplier
from pytest_quantcheck.numerics.power_of_two import divide_by_ratio
from pytest_quantcheck.numerics.rounding import Rounding
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

_SURE = 12  # elements: a factor was searched for
_CANDIDATES = 65

Scale = Callable[[IntArray], IntArray]


def sum_hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """For operators with integer sums and one ``requantize``; nothing for others."""
    sums = case.sums(first)
    if sums is None:
        return
    yield from _narrow_sums(case)
    yield from _other_division(case) if case.divides else _other_scaling(case)
    yield from _wrapping(case)
    yield from _factor(case, first, sums)


def factors(rule: Requantize) -> npt.NDArray[np.float64]:
    """The real multipliers of a requantization in fixed point, one or one per channel."""
    fixed: npt.NDArray[np.float64] = np.ldexp(rule.multiplier / 2.0**31, rule.shift)
    return fixed


def rescaled(case: Case, sums: IntArray, rule: Requantize) -> IntArray:
    """Sums times the multipliers by the graph's own rules, the zero point added; not clamped."""
    result: IntArray = requantize(sums, rule) + case.params.output_zero_point
    return result


def clamped(case: Case, values: Array) -> Array:
    """Clamped to the activation's range, in the output's type."""
    params = case.params
    result: Array = np.clip(values, params.act_min, params.act_max).astype(case.output.dtype)
    return result


def _finished(case: Case, scale: Scale) -> Callable[[Witness], Array]:
    """The output with another way from sums to steps."""
    zero_point = case.params.output_zero_point

    def compute(witness: Witness) -> Array:
        sums = case.sums(witness)
        assert sums is not None, "the first inference had sums"
        return clamped(case, scale(sums) + zero_point)

    return compute


def _narrow_sums(case: Case) -> Iterator[Hypothesis]:
    rule = case.params.requantize
    for bits in (16, 18, 20, 24):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        for word, narrow in (
            ("wrap", lambda s, low=low, bits=bits: ((s - low) & ((1 << bits) - 1)) + low),
            ("saturate", lambda s, low=low, high=high: np.clip(s, low, high)),
        ):

            def compute(witness: Witness, narrow: Scale = narrow) -> Array:
                sums = case.sums(witness)
                assert sums is not None, "the first inference had sums"
                return clamped(case, rescaled(case, narrow(sums), rule))

            yield Hypothesis("sums_overflow", f"sums of {bits} bits that {word}", compute)


def _other_scaling(case: Case) -> Iterator[Hypothesis]:
    rule: Requantize = case.params.requantize
    multiplier, total = rule.multiplier, 31 - rule.shift
    real = factors(rule)

    def floor(s: IntArray) -> IntArray:
        return np.asarray((s * multiplier) >> total)

    def towards_zero(s: IntArray) -> IntArray:
        product = s * multiplier
        return np.asarray(np.sign(product) * (np.abs(product) >> total))

    def high_half(s: IntArray) -> IntArray:
        left, right = np.maximum(rule.shift, 0), np.maximum(-rule.shift, 0)
        return np.asarray(((s << left) * multiplier >> 31) >> right)

    yield Hypothesis(
        "truncated_rounding", "products rounded down instead of to nearest", _finished(case, floor)
    )
    yield Hypothesis(
        "truncated_rounding", "products cut towards zero instead of rounded", _finished(case, towards_zero)
    )
    yield Hypothesis(
        "truncated_rounding", "the high half and the shift without rounding", _finished(case, high_half)
    )

    def half_even(s: IntArray) -> IntArray:
        return np.rint(s.astype(np.float64) * real).astype(np.int64)

    for words, factor in (("", _from_scales(case)), ("", real.astype(np.float32))):
        if factor is not None:

            def by_float(s: IntArray, factor: Array = factor) -> IntArray:
                return np.rint(s.astype(np.float32) * factor).astype(np.int64)

            text = f"float32 factors and halves to even{words}"
            yield Hypothesis("float_requantization", text, _finished(case, by_float))
    yield Hypothesis("float_requantization", "real factors and halves to even", _finished(case, half_even))

    def half_up(s: IntArray) -> IntArray:
        return np.asarray((s * (multiplier >> 16) + (np.int64(1) << (14 - rule.shift))) >> (15 - rule.shift))

    if (rule.shift <= 7).all():
        yield Hypothesis("scale_wrong", "multipliers of 16 bits", _finished(case, half_up))


def _other_division(case: Case) -> Iterator[Hypothesis]:
    """Scales that are powers of two; rules that look at the sign only through the magnitude."""
    rule: Requantize = case.params.requantize

    def by_magnitude(rounding: Rounding) -> Scale:
        def scale(s: IntArray) -> IntArray:
            steps = divide_by_ratio(np.abs(s), rule.multiplier, rule.shift, rounding)
            return np.asarray(np.sign(s) * steps)

        return scale

    text = "sums cut towards zero instead of rounded"
    yield Hypothesis("truncated_rounding", text, _finished(case, by_magnitude("floor")))
    text = f"halves away from zero instead of {rule.rounding}"
    yield Hypothesis("half_rounding", text, _finished(case, by_magnitude("half_up")))


def _from_scales(case: Case) -> Array | None:
    """``input scale * weight scale / output scale`` in float32, as XNNPACK computes it."""
    tensors = [case.graph.tensors[i] for i in (*case.operator.inputs[:2], case.operator.outputs[0]) if i >= 0]
    scales = [t.quantization.scale for t in tensors if t.quantization is not None]
    if len(scales) != 3:
        return None
    try:
        return float_multiplier(*scales)
    except ValueError:
        return None


def _wrapping(case: Case) -> Iterator[Hypothesis]:
    """The result is cut to 8 bits without saturating."""
    rule = case.params.requantize

    def after_clamp_lost(witness: Witness) -> Array:
        sums = case.sums(witness)
        assert sums is not None, "the first inference had sums"
        return clamped(case, rescaled(case, sums, rule).astype(np.int8))

    def unclamped(witness: Witness) -> Array:
        sums = case.sums(witness)
        assert sums is not None, "the first inference had sums"
        return rescaled(case, sums, rule).astype(np.int8)

    def zero_point_late(witness: Witness) -> Array:
        sums = case.sums(witness)
        assert sums is not None, "the first inference had sums"
        params = case.params
        steps = rescaled(case, sums, rule) - params.output_zero_point
        whole = np.clip(steps, -128, 127) + params.output_zero_point
        return clamped(case, whole)

    yield Hypothesis("narrowing_wraps", "a cast to 8 bits that wraps, then the clamp", after_clamp_lost)
    yield Hypothesis("narrowing_wraps", "a cast to 8 bits that wraps instead of the clamp", unclamped)
    yield Hypothesis("narrowing_early", "8-bit saturation before the zero point is added", zero_point_late)


def _factor(case: Case, first: Witness, sums: IntArray) -> Iterator[Hypothesis]:
    """One factor on all multipliers, taken from the elements that are not at a limit."""
    params = case.params
    rule: Requantize = params.requantize
    if rule.rounding not in ("single", "double"):
        return
    products = sums * factors(rule)
    seen = first.seen.astype(np.float64)
    limits = (seen <= max(params.act_min, -128)) | (seen >= min(params.act_max, 127))
    usable = ~limits & (np.abs(products) > 1)
    if not usable.any():
        return
    steps, size = seen[usable] - params.output_zero_point, products[usable]
    slack = _slack(rule, usable)
    ends = (steps - 0.5 - slack) / size, (steps + 0.5 + slack) / size
    low, high = float(np.minimum(*ends).max()), float(np.maximum(*ends).min())
    if not 0 < low <= high or low <= 1 <= high:
        return
    for value in _candidates(case, low, high):
        multiplier, shift = quantize_multiplier(factors(rule) * value)
        changed = replace(params, requantize=replace(rule, multiplier=multiplier, shift=shift))

        def compute(witness: Witness, changed: object = changed) -> Array:
            return case.compute(witness, params=changed)

        text = f"every multiplier times {value:.6g}{_meaning(case, value)}"
        yield Hypothesis("scale_wrong", text, compute, _SURE)


def _slack(rule: Requantize, usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """How far two roundings can be from one, in steps of the output."""
    if rule.rounding == "single":
        return np.zeros(int(usable.sum()))
    first = 0.5 * 2.0 ** -np.maximum(-rule.shift, 0)
    return np.broadcast_to(first, usable.shape)[usable] + 1e-6


def _candidates(case: Case, low: float, high: float) -> Iterator[float]:
    yield from (value for value, _ in _ratios(case) if low <= value <= high)
    yield from np.linspace(low, high, _CANDIDATES).tolist()


def _ratios(case: Case) -> Iterator[tuple[float, str]]:
    """What a multiplier is off by when one scale stands in another's place."""
    named = {}
    for label, index in (
        ("input", case.operator.inputs[0]),
        ("weight", case.operator.inputs[1] if len(case.operator.inputs) > 1 else -1),
        ("output", case.operator.outputs[0]),
    ):
        quantization = case.graph.tensors[index].quantization if index >= 0 else None
        if quantization is not None and len(quantization.scale) == 1:
            named[label] = float(quantization.scale[0])
    for label, scale in named.items():
        yield scale, f"the {label} scale counted twice" if label != "output" else "no output scale"
        yield 1 / scale, f"no {label} scale" if label != "output" else "the output scale counted twice"
    if "input" in named and "output" in named:
        yield (
            named["output"] / named["input"],
            "the output's scale in place of the input's",
        )
        yield (named["output"] / named["input"]) ** 2, "input and output scale exchanged"


def _meaning(case: Case, value: float) -> str:
    for ratio, text in _ratios(case):
        if abs(value / ratio - 1) < 1e-5:
            return f" ({text})"
    return ""
