"""A cause to be tried: the operator computed again with it. What gives the device's tensors is proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.wording import counted

MOST = 3
"""As many are named: more would help nobody."""

Compute = Callable[[Witness], Array]


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """``compute`` gives what the device would then have given, for any inference.

    ``freedom`` counts the elements that chance needs at least: 1 for what is tried once, more for what was
    searched among many.
    """

    code: str
    text: str
    compute: Compute
    freedom: int = 1


def prove(
    case: Case, first: Witness, hypotheses: Iterable[Hypothesis], more: Callable[[], Sequence[Witness]]
) -> list[Cause]:
    """The hypotheses that give ``first`` and every inference of ``more()``, in the order given, one per code.

    ``more`` is called once, and only when something fits the first inference.
    """
    witnesses: list[Witness] = []
    found: list[Hypothesis] = []
    for each in hypotheses:
        if not _gives(each, first):
            continue
        witnesses = witnesses or [first, *more()]
        changed = sum(int(np.count_nonzero(case.right(w) != w.seen)) for w in witnesses)
        new = each.code not in {other.code for other in found}
        if new and changed >= each.freedom and all(_gives(each, witness) for witness in witnesses[1:]):
            found.append(each)
        if len(found) == MOST:
            break
    return [Cause(each.code, each.text, _evidence(case, each.text, witnesses)) for each in found]


def _evidence(case: Case, text: str, witnesses: Sequence[Witness]) -> str:
    changed = sum(int(np.count_nonzero(case.right(each) != each.seen)) for each in witnesses)
    others = f", and all of {counted(len(witnesses) - 1, 'other sample')}" if len(witnesses) > 1 else ""
    return (
        f"{case.name} computed again with {text} gives all {witnesses[0].seen.size} elements that were "
        f"seen{others} ({changed} elements are not the exact ones)"
    )


def _gives(hypothesis: Hypothesis, witness: Witness) -> bool:
    """A hypothesis that cannot be computed, say with a shift beyond 31, does not fit."""
    try:
        with np.errstate(all="ignore"):
            result = hypothesis.compute(witness)
    except (ValueError, OverflowError, IndexError):
        return False
    return result.shape == witness.seen.shape and np.array_equal(result, witness.seen)
