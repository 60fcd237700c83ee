"""Proven causes: one operator, computed again with one parameter changed, gives the seen tensor exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import Values, computed
from pytest_quantcheck.graph.model import Operator, Pad, QuantGraph, Requantize, Window
from pytest_quantcheck.numerics.arrays import Array

_NEAR = (1, -1, 2, -2, 3, -3, 4, -4)
_PROBE = 8  # steps of a zero point: enough to stand above the rounding


def proven_cause(
    graph: QuantGraph, operator: Operator, expected: Values, wrong: Array
) -> tuple[str, str] | None:
    """The first single changed parameter with which the operator gives the board's tensor exactly."""
    active = tuple(i for i in operator.inputs if i >= 0 and not graph.tensors[i].is_constant)
    alone = replace(graph, inputs=active, outputs=operator.outputs)
    inputs = [computed(expected[i]) for i in active]

    def compute(params: Any) -> Array:
        again = replace(alone, operators=(replace(operator, params=params),))
        return computed(execute.run(again, inputs)[operator.outputs[0]])

    for text, params in _changes(operator.params, graph.output_of(operator).dtype, compute, wrong):
        if np.array_equal(compute(params), wrong):
            return (
                text,
                f"{operator.kind} computed again with {text} gives all {wrong.size} elements that were seen",
            )
    return None


def _changes(
    params: Any, dtype: np.dtype[Any], compute: Callable[[Any], Array], wrong: Array
) -> Iterator[tuple[str, Any]]:
    """``(what is changed, parameters)``: one suspect at a time, the most frequent mistakes first."""
    names = [field.name for field in fields(params)]
    for name in names:
        value = getattr(params, name)
        words = name.replace("_", " ")
        if name.endswith("zero_point") or (isinstance(params, Pad) and name == "value"):
            for other in _other_offsets(params, name, compute, wrong):
                yield f"{words} {other} instead of {value}", replace(params, **{name: other})
        elif isinstance(value, Requantize):
            label = words if words.startswith("requant") else f"{words} requantization"
            for text, changed in _other_requantize(value):
                yield f"{label}: {text}", replace(params, **{name: changed})
        elif isinstance(value, Window):
            for text, window in _other_windows(value):
                yield text, replace(params, **{name: window})
    if "act_min" in names and dtype.kind in "iu":
        yield from _other_clamps(params, dtype)


def _other_offsets(params: Any, name: str, compute: Callable[[Any], Array], wrong: Array) -> Iterator[int]:
    """Other values of a zero point: the usual mix-ups, then what a straight line through a probe says."""
    value = int(getattr(params, name))
    seen = {value}
    usual = (0, -value, value + 128, value - 128, *(value + step for step in _NEAR))
    for other in usual:
        if other not in seen:
            seen.add(other)
            yield other
    right = compute(params).astype(np.float64)
    response = (compute(replace(params, **{name: value + _PROBE})) - right) / _PROBE
    power = float((response * response).sum())
    if power:
        best = round(float(((wrong - right) * response).sum()) / power)
        yield from (value + best + step for step in (0, *_NEAR) if value + best + step not in seen)


def _other_requantize(value: Requantize) -> Iterator[tuple[str, Requantize]]:
    other = "single" if value.rounding == "double" else "double"
    yield f"{other} rounding instead of {value.rounding}", replace(value, rounding=other)
    for step in (1, -1):
        yield f"shift {step:+d}", replace(value, shift=value.shift + step)


def _other_windows(value: Window) -> Iterator[tuple[str, Window]]:
    for name in ("pad_top", "pad_left"):
        for step in (1, -1):
            if getattr(value, name) + step >= 0:
                changed = getattr(value, name) + step
                words = name.replace("_", " ")
                yield (
                    f"{words} {changed} instead of {getattr(value, name)}",
                    replace(value, **{name: changed}),
                )


def _other_clamps(params: Any, dtype: np.dtype[Any]) -> Iterator[tuple[str, Any]]:
    limits = np.iinfo(dtype)
    whole = replace(params, act_min=int(limits.min), act_max=int(limits.max))
    if (params.act_min, params.act_max) != (whole.act_min, whole.act_max):
        yield f"no activation clamp instead of {params.act_min} to {params.act_max}", whole
    if hasattr(params, "output_zero_point") and params.act_min != params.output_zero_point:
        zero = params.output_zero_point
        yield f"a RELU clamp at {zero} instead of {params.act_min}", replace(params, act_min=zero)
