"""Where a board first differs from the exact reference, by how much, in which pattern, and why.

One inference with a checksum per operator finds the first operator that differs; only that
operator's tensor is fetched. Causes are not guessed from the pattern alone: the operator is computed
again with one parameter changed, and a change that gives the board's tensor bit for bit is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import Values, computed, crc32
from pytest_quantcheck.graph.model import Operator, QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.causes import proven_cause
from pytest_quantcheck.verdict.patterns import Difference, pattern_of

_NAME_LENGTH = 60


@dataclass(frozen=True)
class Divergence:
    """What ``locate`` found.

    ``operator`` is the number in the source graph, ``output`` which of its outputs; None when every
    operator agrees and only the returned output differs. ``steps`` lists ``(difference in LSB,
    elements)``, most frequent first; for a float32 tensor it is empty. ``evidence`` is empty when the
    cause is only suggested by the pattern.
    """

    sample: str
    samples: int
    total: int
    operator: int | None
    kind: str
    tensor: str
    elements: int
    size: int
    steps: tuple[tuple[int, int], ...]
    pattern: str
    cause: str
    evidence: str = ""
    output: int = 0

    @property
    def largest(self) -> int:
        """Largest difference in LSB; 0 for a float32 tensor."""
        return max((abs(step) for step, _ in self.steps), default=0)

    @property
    def where(self) -> str:
        """The operator in words: ``operator 3 (CONV_2D)``."""
        if self.operator is None:
            return "the returned output"
        return f"operator {self.operator} ({self.kind}){f', output {self.output}' if self.output else ''}"

    def __str__(self) -> str:
        lines = [
            f"{self.samples} of {self.total} outputs differ, the first for sample {self.sample}",
            f"first diverging: {self.where}, tensor {_shortened(self.tensor)!r}",
            f"difference: {self.elements} of {self.size} elements{self._sizes()}",
            f"pattern: {self.pattern}",
            f"likely cause: {self.cause}",
        ]
        return "\n".join([*lines, f"evidence: {self.evidence}"] if self.evidence else lines)

    def _sizes(self) -> str:
        if not self.steps:
            return ""
        shown = ", ".join(f"{step:+d} ({count} times)" for step, count in self.steps[:4])
        return f", at most {self.largest} LSB: {shown}" + (", ..." if len(self.steps) > 4 else "")


def _shortened(name: str) -> str:
    """Converters join the names of everything they fused, with semicolons."""
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 3]}..."


def locate(
    run: Run, reference: Run, device: Runner, *, reference_runner: Runner | None = None
) -> Divergence | None:
    """Compare ``run`` (made by ``device``) with ``reference``; None when all raw outputs are equal.

    ``device`` is asked for one more inference with operator checksums and for one tensor. So is
    ``reference_runner`` where our interpreter does not give the reference's output for the sample;
    without it only the outputs are then described.
    """
    differing = differing_samples(run, reference)
    if not len(differing):
        return None
    index = int(differing[0])
    graph = run.model.graph
    inputs = _inputs(run, index)
    expected = _expected(inputs, reference, index)
    if expected:
        wanted = _exact_checksums(graph, expected)
    else:
        wanted = _checksums(reference, index, reference_runner) if reference_runner else {}
    seen = _checksums(run, index, device)
    found = {"sample": _name(run, index), "samples": len(differing), "total": len(run)}
    operator = _first_difference(graph, wanted, seen)
    if operator is None:
        silent = [each.runner for each, sums in ((reference, wanted), (run, seen)) if not sums]
        return _readout(run, reference, index, silent, found)
    if expected:
        right = computed(expected[operator.outputs[0]])
    else:
        assert reference_runner is not None, "it gave the checksums"
        right = np.asarray(reference_runner.tensor(run.model, inputs, operator.index))
    wrong = np.asarray(device.tensor(run.model, inputs, operator.index)).reshape(right.shape)
    return _describe(graph, operator, expected, right, wrong, found)


def exact_run(runs: Sequence[Run]) -> int | None:
    """Which of two runs has the exact integers in the first sample in which they differ: it promises them,
    and our interpreter computes its outputs. None where neither has, or where the runs are equal.
    """
    for index in differing_samples(runs[1], runs[0])[:1]:
        for place, run in enumerate(runs):
            if _expected(_inputs(run, int(index)), run, int(index)):
                return place
    return None


def differing_samples(run: Run, reference: Run) -> npt.NDArray[np.int64]:
    """Positions of the samples whose raw outputs are not bit for bit the same."""
    if len(run) != len(reference) or len(run.outputs) != len(reference.outputs):
        raise UsageError(
            f"{run.runner} has {len(run)} samples with {len(run.outputs)} outputs, "
            f"{reference.runner} {len(reference)} with {len(reference.outputs)}: not the same vectors"
        )
    unequal = np.zeros(len(run), dtype=np.bool_)
    for ours, theirs in zip(run.outputs, reference.outputs, strict=True):
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            raise UsageError(
                f"outputs of {run.runner} are {ours.dtype}{list(ours.shape)}, those of "
                f"{reference.runner} {theirs.dtype}{list(theirs.shape)}: not the same model"
            )
        rows = np.ascontiguousarray(ours).reshape(len(run), -1).view(np.uint8)
        others = np.ascontiguousarray(theirs).reshape(len(run), -1).view(np.uint8)
        unequal |= (rows != others).any(axis=1)
    return np.flatnonzero(unequal)


def _inputs(run: Run, index: int) -> tuple[Array, ...]:
    """One sample's raw inputs in the model's shapes."""
    graph = run.model.graph
    pairs = zip(run.inputs, graph.inputs, strict=True)
    return tuple(array[index].reshape(graph.tensors[tensor].shape) for array, tensor in pairs)


def _expected(inputs: Sequence[Array], reference: Run, index: int) -> Values | None:
    """What our interpreter computes at every operator; None unless it ends in the reference's outputs."""
    if not reference.exact:
        return None
    graph = reference.model.graph
    values = execute.run(graph, inputs)
    ours = [computed(values[tensor]).tobytes() for tensor in graph.outputs]
    return values if ours == [each[index].tobytes() for each in reference.outputs] else None


def _exact_checksums(graph: QuantGraph, expected: Values) -> dict[int, int]:
    return {op.index: crc32(computed(expected[op.outputs[0]])) for op in graph.operators}


def _checksums(run: Run, index: int, runner: Runner) -> dict[int, int]:
    """CRC-32 by operator of one sample: as recorded in the run, else from one more inference."""
    records = run.operators[index] if run.operators else ()
    if not records:
        one = Raw(tuple(array[index : index + 1] for array in run.inputs))
        records = next(iter(runner.run(run.model, one, operators=True).operators), ())
    return {record.index: record.crc32 for record in records if record.crc32 is not None}


def _first_difference(graph: QuantGraph, wanted: dict[int, int], seen: dict[int, int]) -> Operator | None:
    """The first operator of which both have a checksum, but not the same."""
    for operator in graph.operators:
        both = {sums[operator.index] for sums in (wanted, seen) if operator.index in sums}
        if len(both) == 2:
            return operator
    return None


def _name(run: Run, index: int) -> str:
    return run.vectors.names[index] if isinstance(run.vectors, Samples) else str(index)


def _readout(
    run: Run, reference: Run, index: int, silent: Sequence[str], found: dict[str, Any]
) -> Divergence:
    """No operator differs, yet the outputs do. ``silent``: runners that gave no checksums."""
    graph = run.model.graph
    which = next(
        k
        for k in range(len(run.outputs))
        if run.outputs[k][index].tobytes() != reference.outputs[k][index].tobytes()
    )
    wrong, right = run.outputs[which][index], reference.outputs[which][index]
    delta = _difference(wrong, right)
    return Divergence(
        **found,
        operator=None,
        kind="",
        tensor=graph.tensors[graph.outputs[which]].name,
        elements=int(np.count_nonzero(wrong != right)),
        size=right.size,
        steps=_steps(delta),
        pattern=pattern_of(delta, wrong, right)[0],
        cause=(
            "every operator agrees when this sample is run again: the output was changed after it was "
            "computed, or the fault does not repeat"
            if not silent
            else f"unknown: no checksums per operator from {' and '.join(silent)}"
        ),
    )


def _describe(
    graph: QuantGraph,
    operator: Operator,
    expected: Values | None,
    right: Array,
    wrong: Array,
    found: dict[str, Any],
) -> Divergence:
    delta = _difference(wrong, right)
    pattern, suggestion = pattern_of(delta, wrong, right)
    proven = proven_cause(graph, operator, expected, wrong) if expected else None
    cause, evidence = proven or (suggestion, "")
    return Divergence(
        **found,
        operator=operator.source,
        output=operator.output,
        kind=operator.kind,
        tensor=graph.output_of(operator).name,
        elements=int(np.count_nonzero(wrong != right)),
        size=right.size,
        steps=_steps(delta),
        pattern=pattern,
        cause=cause,
        evidence=evidence,
    )


def _difference(wrong: Array, right: Array) -> Difference | None:
    if right.dtype.kind == "f":
        return None
    return wrong.astype(np.int64) - right.astype(np.int64)


def _steps(delta: Difference | None) -> tuple[tuple[int, int], ...]:
    if delta is None:
        return ()
    counts = Counter(int(value) for value in delta[delta != 0])
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], abs(item[0]), item[0])))
