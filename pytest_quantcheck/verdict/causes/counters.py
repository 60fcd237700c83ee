"""What a run says of the rig besides its integers: whether its counter can be right, and who answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import median

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.causes.cause import Cause

_WIDTHS = (16, 24, 32)
_TOLERANCE = 0.02  # of 2**width: inferences of one model take about as long
_MOST_PER_COUNT = 16  # multiplications: twice what a core with 64-bit vector instructions does
_CHIP = re.compile(r"stm32[a-z]\d{3}|esp32(?:-?[a-z]\d+)?")


def rig_causes(run: Run) -> list[Cause]:
    """Faults of the rig that the run itself proves; none for a run on the host."""
    if not run.device.board and not run.counters:
        return []
    found = list(_other_board(run))
    with suppress(ModelError):  # another runtime knows more operators
        found += _counter(run)
    return found


def _counter(run: Run) -> Iterator[Cause]:
    counts = run.counters
    if not counts or run.unit not in ("cycles", "instructions"):
        return
    from pytest_quantcheck.graph.macs import graph_macs  # runs on the host count nothing

    products = graph_macs(run.graph)
    if max(counts) <= len(run.model.graph.operators) and min(counts) == max(counts):
        told = (
            f"each of {len(counts)} inferences took {counts[0]} {run.unit}, for {products:,} multiplications"
        )
        yield Cause("counter_stopped", "the counter stands still", told)
        return
    yield from _wrapped(run, counts)
    typical = median(counts)
    if typical * _MOST_PER_COUNT < products:
        told = (
            f"{typical:,.0f} {run.unit} for {products:,} multiplications, {products / typical:,.0f} in each"
        )
        yield Cause("counter_mistaken", f"the counter does not count {run.unit}", told)


def _wrapped(run: Run, counts: Sequence[int]) -> Iterator[Cause]:
    for width in _WIDTHS:
        period = 1 << width
        for records, total in zip(run.inferences, counts, strict=False):
            parts = [each.counter for each in records if each.counter is not None]
            missing = sum(parts) - total
            times = round(missing / period)
            if parts and times and abs(missing - times * period) <= _TOLERANCE * period:
                told = f"the operators take {sum(parts):,} {run.unit}, the inference {total:,}: "
                told += f"{times} * 2^{width} less"
                yield Cause("counter_wrapped", f"the counter has {width} bits and wraps", told)
                return
        base = min(counts)
        rests = [(each - base) / period for each in counts]
        whole = [round(rest) for rest in rests]
        if any(whole) and all(abs(r - w) <= _TOLERANCE for r, w in zip(rests, whole, strict=True)):
            told = (
                f"the counts of {len(counts)} inferences differ by multiples of 2^{width} and by little else"
            )
            yield Cause("counter_wrapped", f"the counter has {width} bits and wraps", told)
            return


def _other_board(run: Run) -> Iterator[Cause]:
    wanted, found = _chips(run.target), _chips(run.device.chip)
    if wanted and found and not wanted & found:
        told = f"the inventory says {run.target}, the device says {run.device.chip}"
        if run.device.unique_id:
            told += f" (unique id {run.device.unique_id})"
        yield Cause("wrong_port", f"another chip answers on {run.device.board}'s port", told)


def _chips(text: str) -> set[str]:
    """Chip families named in a text; ``STM32F405/407`` names two."""
    found = set()
    for name in _CHIP.findall(text.lower()):
        found.add(name.replace("-", ""))
        if name.startswith("stm32"):
            found |= {name[:-3] + other for other in re.findall(r"/[a-z]?(\d{3})", text.lower())}
    return found
