"""A vector that was cut, or lost or repeated a value: where is searched from the first wrong output."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

_MOST = 256  # places that are tried one by one
_AROUND = 4
_SEARCHED = 3  # elements that must differ

Make = Callable[[Array, int, Witness], Array]
"""``(values in a row, place, inference) -> the values that arrived``"""


def cut_places(case: Case, number: int, first: Witness) -> Iterator[Hypothesis]:
    """Hypotheses about the model's input of that number, at the places that can explain ``first``."""
    for code, text, make in _kinds(number):
        places = _places(case, number, first, make)
        if not places:
            continue
        place = places[0]

        def compute(witness: Witness, make: Make = make) -> Array:
            """The place need not be the same in every inference."""
            found = _places(case, number, witness, make)
            changed: Array = _outputs(case, number, witness, make, found or [0])[0]
            return changed

        yield Hypothesis(code, text.format(place), compute, _SEARCHED)


def _kinds(number: int) -> Iterator[tuple[str, str, Make]]:
    def zeros(x: Array, place: int, _: Witness) -> Array:
        changed: Array = np.concatenate([x[:place], np.zeros_like(x[place:])])
        return changed

    def old(x: Array, place: int, witness: Witness) -> Array:
        before = witness.before[number].reshape(-1) if witness.before else np.zeros_like(x)
        changed: Array = np.concatenate([x[:place], before[place:]])
        return changed

    def lost(x: Array, place: int, _: Witness) -> Array:
        changed: Array = np.concatenate([x[:place], x[place + 1 :], np.zeros_like(x[:1])])
        return changed

    def repeated(x: Array, place: int, _: Witness) -> Array:
        changed: Array = np.concatenate([x[: place + 1], x[place:-1]])
        return changed

    yield "vector_truncated", "zeros in the input from value {} on", zeros
    yield "vector_truncated", "the inference before in the input from value {} on", old
    yield "vector_shifted", "value {} of the input lost and all behind it early", lost
    yield "vector_shifted", "value {} of the input twice and all behind it late", repeated


def _places(case: Case, number: int, witness: Witness, make: Make) -> list[int]:
    """Where in the input the mistake gives exactly what was seen.

    The later it is, the later is the first output that differs: that narrows the places down before each is
    tried.
    """
    size = witness.inputs[number].size
    wanted = _first_difference(witness.seen[None], case.right(witness))[0]
    if wanted < 0 or size < 2:
        return []

    def reaches(place: int, least: int) -> bool:
        found = _first_difference(_outputs(case, number, witness, make, [place]), case.right(witness))[0]
        return bool(found < 0 or found >= least)

    low = _lowest(size, lambda place: reaches(place, int(wanted)))
    high = _lowest(size, lambda place: reaches(place, int(wanted) + 1))
    tried = list(range(max(low - _AROUND, 0), min(high + _AROUND, size)))[:_MOST]
    if not tried:
        return []
    outputs = _outputs(case, number, witness, make, tried)
    same = (outputs == witness.seen).reshape(len(tried), -1).all(axis=1)
    return [tried[i] for i in np.flatnonzero(same)]


def _lowest(size: int, holds: Callable[[int], bool]) -> int:
    """The lowest place for which something holds that holds for all places behind it, too."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _first_difference(outputs: Array, right: Array) -> Array:
    """For each of N outputs the first element that is not the right one, -1 where all are right."""
    wrong = (outputs != right).reshape(len(outputs), -1)
    return np.where(wrong.any(axis=1), wrong.argmax(axis=1), -1)


def _outputs(case: Case, number: int, witness: Witness, make: Make, places: list[int]) -> Array:
    raw = np.ascontiguousarray(witness.inputs[number])
    flat = raw.reshape(-1)
    values = np.stack([make(flat, place, witness) for place in places]).reshape(-1, *raw.shape)
    return case.compute_many(witness, case.graph.inputs[number], values)
