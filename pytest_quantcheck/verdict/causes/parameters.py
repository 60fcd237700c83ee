"""Wrong parameters of an operator: zero points, scales, rounding rules, clamps, windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.model import Convolution, Pad, Requantize, Window
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.power_of_two import DIVIDING
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.exponents import other_exponents
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

_NEAR = (1, -1, 2, -2, 3, -3, 4, -4)
_PROBE = 8  # steps of a zero point: enough to stand above the rounding
_STEPS = 6  # towards the best zero point
_FARTHEST = 1 << 10
_ALL_TRIED = 512  # bytes of output
_INT8_TO_UINT8 = 128


def parameter_hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """One suspect at a time, the most frequent mistakes first."""
    names = [field.name for field in fields(case.params)]
    for code, text, params, freedom in (
        *_zero_points(case, first, names),
        *_clamps(case, names),
        *_scales(case, names),
        *_windows(case, names),
    ):
        yield Hypothesis(code, text, _computed(case, params), freedom)
    yield from _padding_values(case)


def _computed(case: Case, params: Any) -> Any:
    return lambda witness: case.compute(witness, params=params)


Changed = Iterator[tuple[str, str, Any, int]]
"""``(code, what is changed, parameters, freedom)``"""


def _zero_points(case: Case, first: Witness, names: list[str]) -> Changed:
    params = case.params
    for name in names:
        if not (name.endswith("zero_point") or (isinstance(params, Pad) and name == "value")):
            continue
        value, words = int(getattr(params, name)), name.replace("_", " ")
        for code, other, freedom in _other_offsets(case, name, first):
            if isinstance(params, Pad):
                code = "padding_value"
            yield code, f"{words} {other} instead of {value}", replace(params, **{name: other}), freedom


def _other_offsets(case: Case, name: str, first: Witness) -> Iterator[tuple[str, int, int]]:
    """Other values of a zero point: the usual mix-ups, then what a straight line through a probe says."""
    params = case.params
    value = int(getattr(params, name))
    usual = [("zero_point_ignored", 0), ("zero_point_wrong", -value)]
    usual += [("zero_point_int8_uint8", value + step) for step in (_INT8_TO_UINT8, -_INT8_TO_UINT8)]
    usual += [("zero_point_wrong", value + step) for step in _NEAR]
    seen = {value}
    for code, other in usual:
        if other not in seen:
            seen.add(other)
            yield code, other, 1
    best = _nearest(case, name, first)
    small = case.output.nbytes <= _ALL_TRIED  # where most elements are at a limit, steps lead nowhere
    rest = range(-256, 384) if small else ()
    for other in dict.fromkeys((best, *(best + step for step in _NEAR), *rest)):
        if other not in seen:
            yield "zero_point_wrong", other, 4


def _nearest(case: Case, name: str, first: Witness) -> int:
    """The zero point that brings the output nearest to what was seen: Gauss and Newton's steps, over the
    elements that are not at a limit."""
    value = int(getattr(case.params, name))

    def outputs(other: int) -> npt.NDArray[np.float64]:
        changed = replace(case.params, **{name: other})
        return case.compute(first, params=changed).astype(np.float64)

    seen = first.seen.astype(np.float64)
    ends = seen.min(), seen.max()
    for _ in range(_STEPS):
        here = outputs(value)
        response = (outputs(value + _PROBE) - here) / _PROBE
        free = (seen > ends[0]) & (seen < ends[1]) & (here > here.min()) & (here < here.max())
        power = float((response[free] ** 2).sum())
        step = round(float(((seen - here)[free] * response[free]).sum()) / power) if power else 0
        if not step or abs(value + step) > _FARTHEST:
            break
        value += step
    return value


def _clamps(case: Case, names: list[str]) -> Changed:
    params, dtype = case.params, case.output.dtype
    if "act_min" not in names or dtype.kind not in "iu":
        return
    limits = np.iinfo(dtype.name)
    lowest, highest = int(limits.min), int(limits.max)
    clamp = f"{params.act_min} to {params.act_max}"
    if (params.act_min, params.act_max) != (lowest, highest):
        whole = replace(params, act_min=lowest, act_max=highest)
        yield "activation_missing", f"no activation clamp instead of {clamp}", whole, 1
    if lowest < params.act_min and params.act_max < highest:
        yield (
            "activation_missing",
            f"no upper activation clamp instead of {clamp}",
            replace(params, act_max=highest),
            1,
        )
    if hasattr(params, "output_zero_point") and params.act_min != params.output_zero_point:
        zero = params.output_zero_point
        yield (
            "activation_added",
            f"a RELU clamp at {zero} instead of {params.act_min}",
            replace(params, act_min=zero),
            1,
        )
    if params.act_min < 0 and case.operator.kind != "MAX_POOL_2D":
        yield (
            "activation_at_zero",
            f"a RELU clamp at the integer 0 instead of {params.act_min}",
            replace(params, act_min=0),
            1,
        )


def _scales(case: Case, names: list[str]) -> Changed:
    params = case.params
    rules = {name: value for name in names if isinstance(value := getattr(params, name), Requantize)}
    if len(rules) > 1:
        for code, text, changed in _other_roundings(next(iter(rules.values()))):
            everywhere = {
                name: replace(rule, rounding=changed.rounding)
                for name, rule in rules.items()
                if rule.rounding == next(iter(rules.values())).rounding
            }
            yield code, f"all requantizations: {text}", replace(params, **everywhere), 1
    for name, value in rules.items():
        words = name.replace("_", " ")
        label = words if words.startswith("requant") else f"{words} requantization"
        for code, text, changed in (
            *_other_roundings(value),
            *(other_exponents(case, value) if case.divides else ()),
            *_other_shifts(value),
            *_other_channels(value),
        ):
            yield code, f"{label}: {text}", replace(params, **{name: changed}), 1


def _other_roundings(value: Requantize) -> Iterator[tuple[str, str, Requantize]]:
    if value.rounding in ("single", "double"):
        other = "single" if value.rounding == "double" else "double"
        yield (
            "single_rounding",
            f"{other} rounding instead of {value.rounding}",
            replace(value, rounding=other),
        )
    for rounding in DIVIDING if value.rounding in DIVIDING else ():
        code = "truncated_rounding" if rounding == "floor" else "half_rounding"
        if rounding != value.rounding:
            yield code, f"{rounding} instead of {value.rounding}", replace(value, rounding=rounding)


def _other_shifts(value: Requantize) -> Iterator[tuple[str, str, Requantize]]:
    if value.shift.any():
        yield "exponent_sign", "the shift with the other sign", replace(value, shift=-value.shift)
    for step in (1, -1, 2, -2, 3, -3, 4, -4):
        yield "scale_power_of_two", f"shift {step:+d}", replace(value, shift=value.shift + step)


def _other_channels(value: Requantize) -> Iterator[tuple[str, str, Requantize]]:
    """Multipliers that belong to other channels."""
    count = len(value.multiplier)
    if count < 2 or len(set(zip(value.multiplier.tolist(), value.shift.tolist(), strict=True))) < 2:
        return
    orders: tuple[tuple[str, Array], ...] = (
        ("the first channel's scale for all channels", np.zeros(count, int)),
        ("the last channel's scale for all channels", np.full(count, count - 1)),
        ("the channels' scales in reverse order", np.arange(count)[::-1]),
        ("each channel with the next one's scale", (np.arange(count) + 1) % count),
        ("each channel with the scale of the one before", (np.arange(count) - 1) % count),
    )
    for text, order in orders:
        changed = replace(value, multiplier=value.multiplier[order], shift=value.shift[order])
        yield "per_channel_scale", text, changed


def _windows(case: Case, names: list[str]) -> Changed:
    params = case.params
    if "window" not in names:
        return
    window: Window = params.window
    for code, text, other in _other_windows(window):
        yield code, text, replace(params, window=other), 1


def _other_windows(window: Window) -> Iterator[tuple[str, str, Window]]:
    for steps in ({"pad_top": 1, "pad_left": 1}, {"pad_top": -1, "pad_left": -1}):
        changed = {name: getattr(window, name) + step for name, step in steps.items()}
        if min(changed.values()) >= 0:
            text = f"padding {changed['pad_top']} and {changed['pad_left']} instead of {window.pad_top} and "
            yield "padding_side", text + f"{window.pad_left} before the picture", replace(window, **changed)
    for name in ("pad_top", "pad_left"):
        for step in (1, -1):
            value = getattr(window, name)
            if value + step >= 0:
                text = f"{name.replace('_', ' ')} {value + step} instead of {value}"
                yield "padding_side", text, replace(window, **{name: value + step})
    if (window.dilation_h, window.dilation_w) != (1, 1):
        text = f"dilation 1 instead of {window.dilation_h} and {window.dilation_w}"
        yield "dilation_ignored", text, replace(window, dilation_h=1, dilation_w=1)
    if window.pad_top != window.pad_left:
        text = "padding above and at the left exchanged"
        swapped = replace(window, pad_top=window.pad_left, pad_left=window.pad_top)
        yield "padding_side", text, swapped


def _padding_values(case: Case) -> Iterator[Hypothesis]:
    """Another integer than the zero point in the cells around the picture."""
    params = case.params
    if not isinstance(params, Convolution) or case.output.dtype.kind != "i":
        return
    right = params.input_zero_point
    inside = replace(params, window=replace(params.window, pad_top=0, pad_left=0))
    source = case.operator.inputs[0]
    pads = _pads(case, params.window)
    if not any(map(sum, pads)):
        return
    for value in dict.fromkeys((0, -128, 127, -right, -1, 1, *(right + step for step in _NEAR))):
        if value == right or not -128 <= value <= 127:
            continue

        def compute(witness: Witness, value: int = value) -> Array:
            x = witness.expected[source]
            assert x is not None, "it was computed"
            padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)
            return case.compute(witness, params=inside, values={source: padded})

        text = f"padding with the integer {value} instead of the zero point {right}"
        yield Hypothesis("padding_value", text, compute)


def _pads(case: Case, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns before and behind the picture."""
    source = case.graph.tensors[case.operator.inputs[0]].shape
    target = case.output.shape
    rows = (target[1] - 1) * window.stride_h + (window.kernel_h - 1) * window.dilation_h + 1 - source[1]
    columns = (target[2] - 1) * window.stride_w + (window.kernel_w - 1) * window.dilation_w + 1 - source[2]
    return (
        (window.pad_top, max(rows - window.pad_top, 0)),
        (window.pad_left, max(columns - window.pad_left, 0)),
    )
