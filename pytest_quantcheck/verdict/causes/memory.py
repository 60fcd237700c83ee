"""Memory that two things use: an input was overwritten by another tensor before the operator read it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.causes.case import Case, Witness
from pytest_quantcheck.verdict.causes.hypothesis import Hypothesis

_ALIGNED = 16  # bytes: tensors in an arena start at multiples of it
_AT_ONCE = 64
_MOST = 4096  # overlaps that are tried
_SEARCHED = 8  # elements that must differ


def memory_hypotheses(case: Case, first: Witness) -> Iterator[Hypothesis]:
    """Every earlier tensor over every input of the operator, at every distance that an arena can have."""
    tried = 0
    for index in case.active:
        for other in _writers(case, index):
            for distance in _distances(case, index, other):
                if tried >= _MOST:
                    return
                tried += len(distance)
                yield from _fitting(case, first, index, other, distance)


def _writers(case: Case, index: int) -> list[int]:
    """Tensors written after ``index`` and before the operator runs, or before ``index`` was."""
    found = []
    for operator in case.graph.operators:
        if operator.index == case.operator.index:
            break
        found += [out for out in operator.outputs if out != index]
    inputs = [i for i in case.graph.inputs if i != index]
    return [*reversed(found), *inputs]


def _distances(case: Case, index: int, other: int) -> Iterator[list[int]]:
    """Where ``other`` can begin, in bytes from the beginning of ``index``, some at a time."""
    mine, its = case.graph.tensors[index].nbytes, case.graph.tensors[other].nbytes
    whole = list(range(-(its // _ALIGNED) * _ALIGNED, mine, _ALIGNED))
    whole = [distance for distance in sorted(whole, key=abs) if -its < distance < mine]
    for start in range(0, len(whole), _AT_ONCE):
        yield whole[start : start + _AT_ONCE]


def _fitting(
    case: Case, first: Witness, index: int, other: int, distances: list[int]
) -> Iterator[Hypothesis]:
    values = np.stack([_overwritten(first, index, other, distance) for distance in distances])
    outputs = case.compute_many(first, index, values)
    same = (outputs == first.seen).reshape(len(distances), -1).all(axis=1)
    for at in np.flatnonzero(same):
        distance = distances[int(at)]

        def compute(witness: Witness, distance: int = distance) -> Array:
            return case.compute(witness, values={index: _overwritten(witness, index, other, distance)})

        names = [case.graph.tensors[i].name[:40] or str(i) for i in (index, other)]
        text = f"its input {names[0]!r} overwritten by {names[1]!r} from byte {distance} on"
        yield Hypothesis("arena_overlap", text, compute, _SEARCHED)


def _overwritten(witness: Witness, index: int, other: int, distance: int) -> Array:
    mine = np.ascontiguousarray(computed(witness.expected[index]))
    its = np.ascontiguousarray(computed(witness.expected[other])).reshape(-1).view(np.uint8)
    data = mine.reshape(-1).view(np.uint8).copy()
    start = max(distance, 0)
    piece = its[start - distance :][: len(data) - start]
    data[start : start + len(piece)] = piece
    changed: Array = data.view(mine.dtype).reshape(mine.shape)
    return changed
