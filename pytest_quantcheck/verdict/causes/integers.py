"""Why one operator of a device differs: every hypothesis about it, the most frequent mistakes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_quantcheck.verdict.causes.case import Case, Whole, Witness
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.constants import constant_hypotheses
from pytest_quantcheck.verdict.causes.exponents import width_hypotheses
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis, prove
from pytest_quantcheck.verdict.causes.inputs import input_hypotheses
from pytest_quantcheck.verdict.causes.memory import memory_hypotheses
from pytest_quantcheck.verdict.causes.operators import operator_hypotheses
from pytest_quantcheck.verdict.causes.parameters import parameter_hypotheses
from pytest_quantcheck.verdict.causes.sums import sum_hypotheses


def proven_causes(case: Case, first: Witness, more: Callable[[], Sequence[Witness]]) -> list[Cause]:
    """Causes with which the operator gives exactly what the device gave, in ``first`` and in ``more()``."""
    return prove(case, first, hypotheses(case, first), more)


def hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """All that is tried, in the order in which it is believed; of a whole network only its inputs are."""
    if not isinstance(case, Whole):
        yield from operator_hypotheses(case)
        yield from parameter_hypotheses(case, first)
        yield from sum_hypotheses(case, first)
        yield from constant_hypotheses(case, first)
        yield from width_hypotheses(case)
    yield from input_hypotheses(case, first)
    if not isinstance(case, Whole):
        yield from memory_hypotheses(case, first)
