"""The ``budget`` marker: upper limits for time and memory, judged against a run.

A limit is a number for every target or ``{target: number}``. What a run cannot tell is *not judged*,
never passed. Time on a virtual board is an interval of its cycle model, and the answer one of three: passed
when all of it is within the limit, failed when none of it is, else *needs silicon*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Union

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.verdict.criterion import NEEDS_SILICON, Criterion
from pytest_quantcheck.wording import first_line

if TYPE_CHECKING:
    from pytest_quantcheck.runners.estimate import Estimate
    from pytest_quantcheck.runners.run import Run

Limit = Union[float, Mapping[str, float]]


@dataclass(frozen=True)
class Quantity:
    """Something that can be limited: how to measure it, how to write it, why it may be unknown."""

    measure: Callable[[Run], float | None]
    text: str
    unknown: Callable[[Run], str]


def latency_ms(run: Run) -> float | None:
    """Median milliseconds per inference by the device's own counter; None unless it counts cycles or
    microseconds.
    """
    ticks = _counter("cycles", "microseconds")(run)
    return None if ticks is None or not run.clock_hz else ticks / run.clock_hz * 1000


def _counter(*units: str) -> Callable[[Run], float | None]:
    return lambda run: float(median(run.counters)) if run.counters and run.unit in units else None


def _bytes(part: str) -> Callable[[Run], float | None]:
    def kib(run: Run) -> float | None:
        size = getattr(run.footprint, part)
        return None if size is None else size / 1024

    return kib


def _counts_something_else(run: Run) -> str:
    if not run.counters:
        return f"{run.runner} counts nothing"
    return f"{run.target} counts {run.unit}" + ("" if run.clock_hz else " and has no clock")


def _size_not_reported(run: Run) -> str:
    return f"{run.runner} does not report it"


QUANTITIES = {
    "latency_ms": Quantity(latency_ms, "{:.3f} ms", _counts_something_else),
    "cycles": Quantity(_counter("cycles"), "{:,.0f} cycles", _counts_something_else),
    "instructions": Quantity(_counter("instructions"), "{:,.0f} instructions", _counts_something_else),
    "arena_kib": Quantity(_bytes("arena"), "{:.1f} KiB of arena", _size_not_reported),
    "flash_kib": Quantity(_bytes("image"), "{:.1f} KiB of flash", _size_not_reported),
    "stack_kib": Quantity(_bytes("stack"), "{:.1f} KiB of stack", _size_not_reported),
    "firmware_kib": Quantity(_bytes("firmware"), "{:.1f} KiB of firmware", _size_not_reported),
}


class Budget:
    """The limits of one test. ``used`` tells whether any check has judged them."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        for key, limit in limits.items():
            if key not in QUANTITIES:
                raise UsageError(f"budget({key}={limit!r}): unknown key; allowed: {', '.join(QUANTITIES)}")
            values = tuple(limit.values()) if isinstance(limit, Mapping) else (limit,)
            if not values:
                raise UsageError(f"budget({key}={{}}) limits nothing; allowed: a number, {{target: number}}")
            for value in values:
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if not number or not 0 < value < math.inf:
                    raise UsageError(
                        f"budget({key}={limit!r}): {value!r} is no limit; allowed: a positive number, "
                        f"or {{target: number}}"
                    )
        if not limits:
            raise UsageError(f"budget() limits nothing; allowed keys: {', '.join(QUANTITIES)}")
        self.limits = dict(limits)
        self.used = False

    def judge(self, run: Run) -> list[Criterion]:
        """One criterion for each limit: passed, failed or not judged, with the reason."""
        self.used = True
        return [self._judge_one(key, limit, run) for key, limit in self.limits.items()]

    @staticmethod
    def _judge_one(key: str, limit: Limit, run: Run) -> Criterion:
        quantity = QUANTITIES[key]
        if isinstance(limit, Mapping):
            if run.target not in limit:
                return Criterion(key, None, f"no limit for {run.target} (given: {', '.join(limit)})")
            limit = limit[run.target]
        measured = quantity.measure(run)
        if measured is None and key in _ESTIMATED:
            try:
                estimate = run.estimate()
            except RigFault as fault:  # what is known of the run already must not be lost to it
                return Criterion(key, None, f"the board gave no estimate: {first_line(fault)}")
            if estimate is not None:
                return _judge_estimate(key, limit, estimate)
        if measured is None:
            return Criterion(key, None, quantity.unknown(run))
        value, allowed = quantity.text.format(measured), quantity.text.format(limit)
        if measured <= limit:
            return Criterion(key, True, f"{value}, limit {allowed}")
        return Criterion(key, False, f"{value} exceed the limit of {allowed}: {_excess(measured / limit)}")


_ESTIMATED: Mapping[str, Callable[[Estimate], tuple[float, float]]] = {
    "latency_ms": lambda estimate: estimate.whole.milliseconds(estimate.clock_hz),
    "cycles": lambda estimate: (estimate.whole.low, estimate.whole.high),
}


def _judge_estimate(key: str, limit: float, estimate: Estimate) -> Criterion:
    """Of an interval: does all of it keep the limit, or none of it?"""
    low, high = _ESTIMATED[key](estimate)
    text = QUANTITIES[key].text
    at = f"at {estimate.clock_hz / 1e6:g} MHz, estimated of the first vector"
    least, most, allowed = (text.format(each) for each in (low, high, limit))
    if high <= limit:
        return Criterion(key, True, f"at most {most} {at}, limit {allowed}")
    if low > limit:
        words = f"at least {least} {at}, exceed the limit of {allowed}: {_excess(low / limit)}"
        return Criterion(key, False, words)
    return Criterion(
        key, None, f"{NEEDS_SILICON}: between {least} and {most} {at}; the limit {allowed} lies inside"
    )


def _excess(ratio: float) -> str:
    return f"{ratio - 1:.1%} more" if ratio < 2 else f"{ratio:,.1f} times as much"
