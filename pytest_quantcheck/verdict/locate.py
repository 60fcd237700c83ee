"""Where a board first differs from the exact reference, by how much, in which pattern, and why.

One inference with a checksum per operator finds the first operator that differs; only that
operator's tensor is fetched. Causes are not guessed from the pattern: the operator is computed again with
one thing changed (``causes/``), and what gives the board's tensors bit for bit, also those of a few other
samples, is named. Where nothing does, the cause is unknown, and the pattern suggests where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import Values, computed, crc32
from pytest_quantcheck.graph.model import Operator, QuantGraph
from pytest_quantcheck.graph.sequence import run_steps
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.causes.case import Case, Whole, Witness
from pytest_quantcheck.verdict.causes.catalogue import remedy_of
from pytest_quantcheck.verdict.causes.cause import UNKNOWN, Cause
from pytest_quantcheck.verdict.causes.integers import proven_causes
from pytest_quantcheck.verdict.causes.patterns import Difference, pattern_of
from pytest_quantcheck.verdict.causes.runs import run_causes
from pytest_quantcheck.verdict.differing import differing_samples
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.metrics.integers import lsb_histogram

_WITNESSES = 4  # samples whose tensor is fetched as well, where something explains the first
_DIFFERING = 3  # of them


def locate(
    run: Run,
    reference: Run,
    device: Runner,
    *,
    reference_runner: Runner | None = None,
    others: Sequence[QuantizedModel] = (),
) -> Divergence | None:
    """Compare ``run`` (made by ``device``) with ``reference``; None when all raw outputs are equal.

    ``device`` is asked for one more inference with operator checksums and for one tensor, and where
    something explains that for those of a few other samples. So is ``reference_runner`` where our interpreter
    does not give the reference's output for the sample; without it only the outputs are then described.
    ``others`` are models that the device might hold instead.
    """
    differing = differing_samples(run, reference)
    if not len(differing):
        return None
    index = int(differing[0])
    found = {"sample": _name(run, index), "samples": len(differing), "total": len(run)}
    if run.steps:
        return _in_sequence(_Readout(run, reference, device, index, differing, (), found), reference_runner)
    graph = run.graph
    inputs = _inputs(run, index)
    expected = _expected(graph, inputs, reference, index)
    known = run_causes(run, reference, others) if expected else []
    if expected:
        wanted = _exact_checksums(graph, expected)
    else:
        wanted = _checksums(reference, index, reference_runner) if reference_runner else {}
        wanted = {each: wanted[each] for each in _alike(run, reference) if each in wanted}
    seen = _checksums(run, index, device)
    operator = _first_difference(graph, wanted, seen)
    if operator is None:
        silent = [each.runner for each, sums in ((reference, wanted), (run, seen)) if not sums]
        return _readout(_Readout(run, reference, device, index, differing, silent, found), known)
    if expected:
        right = computed(expected[operator.outputs[0]])
    else:
        assert reference_runner is not None, "it gave the checksums"
        right = np.asarray(reference_runner.tensor(run.model, inputs, operator.index))
    wrong = np.asarray(device.tensor(run.model, inputs, operator.index)).reshape(right.shape)
    if crc32(wrong) != seen[operator.index]:
        known.append(_not_repeated(operator, seen[operator.index], crc32(wrong)))
    elif expected:
        first = _witness(run, reference, index, wrong)

        def more() -> list[Witness]:
            return _witnesses(run, reference, device, differing, operator)

        known += proven_causes(Case(graph, operator), first, more)
    if graph is not run.model.graph:
        right, wrong = _whole(run, inputs, operator, right, wrong)
    return _describe(run.model.graph, operator, right, wrong, found, known)


def _whole(
    run: Run, inputs: Sequence[Array], operator: Operator, right: Array, wrong: Array
) -> tuple[Array, Array]:
    """Both tensors with all channels of the source: what a board does not compute does not differ."""
    kept = run.graph.output_of(operator).kept
    if kept is None:
        return right, wrong
    whole = computed(execute.run(run.model.graph, inputs, stop_after=operator.index)[operator.outputs[0]])
    found = []
    for part in (right, wrong):
        each = whole.copy()
        each[..., list(kept)] = part
        found.append(each)
    return found[0], found[1]


def _alike(run: Run, reference: Run) -> list[int]:
    """The operators of which both runs have all channels, or the same ones."""
    graphs = (run.graph, reference.graph) if run.folded != reference.folded else ()
    lost = {op.index for each in graphs for op in each.operators if each.output_of(op).kept is not None}
    return [op.index for op in run.graph.operators if op.index not in lost]


def _in_sequence(at: _Readout, reference_runner: Runner | None) -> Divergence:
    """The first operator that differs, in the first step in which one does.

    States carry a difference on, so no operator is computed again with one thing changed: causes are unknown.
    """
    run, graph = at.run, at.run.model.graph
    inputs = _sequence(run, at.index)
    expected = _expected_steps(at.reference, at.index)
    if expected is not None:
        wanted = [_exact_checksums(graph, step) for step in expected]
    else:
        wanted = _step_checksums(at.reference, at.index, reference_runner) if reference_runner else []
    seen = _step_checksums(run, at.index, at.device)
    for step, (right_sums, sums) in enumerate(zip(wanted, seen, strict=False)):
        operator = _first_difference(graph, right_sums, sums)
        if operator is None:
            continue
        so_far = [x[: step + 1] for x in inputs]
        if expected is not None:
            right = computed(expected[step][operator.outputs[0]])
        else:
            assert reference_runner is not None, "it gave the checksums"
            right = np.asarray(reference_runner.tensor(run.model, so_far, operator.index))
        wrong = np.asarray(at.device.tensor(run.model, so_far, operator.index)).reshape(right.shape)
        found = {**at.found, "sample": f"{at.found['sample']}, step {step}"}
        known = []
        if crc32(wrong) != sums[operator.index]:
            known = [_not_repeated(operator, sums[operator.index], crc32(wrong))]
        return _describe(graph, operator, right, wrong, found, known)
    silent = [each.runner for each, sums in ((at.reference, wanted), (run, seen)) if not any(sums)]
    return _readout(replace(at, silent=silent), [])


def _sequence(run: Run, index: int) -> tuple[Array, ...]:
    """The raw inputs of one sequence, (T, *shape) each."""
    one = prepare.model_inputs(run.model, [np.asarray(x[index : index + 1]) for x in run.inputs])
    return tuple(x[0] for x in one)


def _expected_steps(reference: Run, index: int) -> list[Values] | None:
    """What our interpreter computes in each step; None unless its outputs are the reference's."""
    if not reference.exact:
        return None
    graph = reference.model.graph
    batches = run_steps(graph, [x[None] for x in _sequence(reference, index)])
    steps = [[each if each is None else each[0] for each in values] for values in batches]
    for number, tensor in enumerate(graph.outputs):
        ours = b"".join(computed(step[tensor]).tobytes() for step in steps)
        if ours != reference.outputs[number][index].tobytes():
            return None
    return steps


def _step_checksums(run: Run, index: int, runner: Runner) -> list[dict[int, int]]:
    """CRC-32 by operator of each step of one sequence: as recorded in the run, else from one more."""
    records = run.operators[index] if run.operators else ()
    if not records:
        one = Raw(tuple(array[index : index + 1] for array in run.inputs))
        records = next(iter(runner.run(run.model, one, operators=True).operators), ())
    found: list[dict[int, int]] = [{} for _ in range(run.steps[0])]
    for record in records:
        if record.crc32 is not None:
            found[record.step][record.index] = record.crc32
    return found


def _not_repeated(operator: Operator, first: int, again: int) -> Cause:
    text = f"{operator.kind} gives something else when the same input is run again"
    told = f"the CRC-32 of its output was 0x{first:08x}, then 0x{again:08x}, with the same input"
    return Cause("not_repeatable", text, told)


def _witness(run: Run, reference: Run, index: int, seen: Array) -> Witness:
    before = _inputs(run, index - 1) if index else None
    floats = None
    if isinstance(run.vectors, Samples):
        floats = tuple(np.asarray(array[index]) for array in run.vectors.inputs)
    inputs = _inputs(reference, index)
    return Witness(inputs, execute.run(run.graph, inputs), seen, floats, before)


def _witnesses(
    run: Run, reference: Run, device: Runner, differing: IntArray, operator: Operator
) -> list[Witness]:
    """The operator in other samples where nothing before it differs: a few that differ, then others."""
    others = [i for i in range(len(run)) if i not in set(differing.tolist())]
    tried = [*differing[1 : 2 * _DIFFERING + 1].tolist(), *others][: 2 * _WITNESSES]
    if not tried:
        return []
    records = device.run(
        run.model, Raw(tuple(array[tried] for array in run.inputs)), operators=True
    ).operators
    graph = run.graph
    shape = graph.output_of(operator).shape
    order = {each.index: place for place, each in enumerate(graph.operators)}
    found: list[Witness] = []
    for index, sums in zip(tried, records, strict=False):
        witness = _witness(run, reference, index, np.zeros(shape))
        exact = _exact_checksums(graph, witness.expected)
        seen = {each.index: each.crc32 for each in sums if each.crc32 is not None}
        first = _first_difference(graph, exact, seen)
        if first is None or order[first.index] >= order[operator.index]:
            tensor = device.tensor(run.model, _inputs(run, index), operator.index)
            found.append(replace(witness, seen=np.asarray(tensor).reshape(shape)))
        if len(found) == _WITNESSES:
            break
    return found


def exact_run(runs: Sequence[Run]) -> int | None:
    """Which of two runs has the exact integers in the first sample in which they differ: it promises them,
    and our interpreter computes its outputs. None where neither has, or where the runs are equal.
    """
    for index in differing_samples(runs[1], runs[0])[:1]:
        for place, run in enumerate(runs):
            if run.steps:
                exact = _expected_steps(run, int(index)) is not None
            else:
                exact = _expected(run.graph, _inputs(run, int(index)), run, int(index)) is not None
            if exact:
                return place
    return None


def _inputs(run: Run, index: int) -> tuple[Array, ...]:
    """One sample's raw inputs in the model's shapes."""
    graph = run.model.graph
    pairs = zip(run.inputs, graph.inputs, strict=True)
    return tuple(array[index].reshape(graph.tensors[tensor].shape) for array, tensor in pairs)


def _expected(graph: QuantGraph, inputs: Sequence[Array], reference: Run, index: int) -> Values | None:
    """What our interpreter computes at every operator; None unless it ends in the reference's outputs."""
    if not reference.exact:
        return None
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


@dataclass(frozen=True)
class _Readout:
    """No operator differs, yet the outputs do. ``silent``: runners that gave no checksums."""

    run: Run
    reference: Run
    device: Runner
    index: int
    differing: IntArray
    silent: Sequence[str]
    found: dict[str, Any]

    @property
    def which(self) -> int:
        """The first output that differs."""
        pairs = enumerate(zip(self.run.outputs, self.reference.outputs, strict=True))
        return next(k for k, (a, b) in pairs if a[self.index].tobytes() != b[self.index].tobytes())


def _readout(at: _Readout, known: list[Cause]) -> Divergence:
    run, reference, which = at.run, at.reference, at.which
    graph = run.model.graph
    wrong, right = run.outputs[which][at.index], reference.outputs[which][at.index]
    delta = _difference(wrong, right)
    known = [*known, *_of_outputs(at)]
    suggestion = "unknown: no checksums per operator from " + " and ".join(at.silent)
    if not at.silent and not known:
        repeated = _again(at)[which][0].tobytes() == wrong.tobytes()
        suggestion = "every operator agrees when this sample is run again: the output was changed after it "
        suggestion += "was computed" + ("" if repeated else ", or the fault does not repeat")
        if not repeated:
            told = "every operator and the output are exact when the same sample is run again"
            known = [Cause("not_repeatable", suggestion, told)]
    return Divergence(
        **at.found,
        operator=None,
        kind="",
        tensor=graph.tensors[graph.outputs[which]].name,
        elements=int(np.count_nonzero(wrong != right)),
        size=right.size,
        steps=_steps(wrong, right),
        pattern=pattern_of(delta, wrong, right)[0],
        **_reasons(known, suggestion),
    )


def _again(at: _Readout) -> tuple[Array, ...]:
    one = Raw(tuple(array[at.index : at.index + 1] for array in at.run.inputs))
    return at.device.run(at.run.model, one).outputs


def _of_outputs(at: _Readout) -> list[Cause]:
    """What the inputs must have been for the outputs that were recorded, by computing the whole network."""
    run, reference, graph = at.run, at.reference, at.run.graph
    output = graph.outputs[at.which]
    maker = next((op for op in graph.operators if output in op.outputs), None)
    if run.steps or maker is None or _expected(graph, _inputs(run, at.index), reference, at.index) is None:
        return []

    def witness(index: int) -> Witness:
        seen = run.outputs[at.which][index].reshape(graph.tensors[output].shape)
        return _witness(run, reference, index, seen)

    others = at.differing[1 : _WITNESSES + 1].tolist()
    return proven_causes(Whole(graph, maker), witness(at.index), lambda: [witness(i) for i in others])


def _describe(
    graph: QuantGraph,
    operator: Operator,
    right: Array,
    wrong: Array,
    found: dict[str, Any],
    known: Sequence[Cause],
) -> Divergence:
    delta = _difference(wrong, right)
    pattern, suggestion = pattern_of(delta, wrong, right)
    return Divergence(
        **found,
        operator=operator.source,
        output=operator.output,
        kind=operator.kind,
        tensor=graph.output_of(operator).name,
        elements=int(np.count_nonzero(wrong != right)),
        size=right.size,
        steps=_steps(wrong, right),
        pattern=pattern,
        **_reasons(known, suggestion),
    )


def _reasons(known: Sequence[Cause], suggestion: str) -> dict[str, Any]:
    """The fields that say why: the first cause with evidence, else what the pattern suggests."""
    if not known:
        return {"cause": suggestion, "remedy": remedy_of(UNKNOWN)}
    first = known[0]
    return {
        "cause": first.text,
        "evidence": first.evidence,
        "code": first.code,
        "ranking": tuple(dict.fromkeys(each.code for each in known)),
        "remedy": remedy_of(first.code),
    }


def _difference(wrong: Array, right: Array) -> Difference | None:
    if right.dtype.kind == "f":
        return None
    return wrong.astype(np.int64) - right.astype(np.int64)


def _steps(wrong: Array, right: Array) -> tuple[tuple[int, int], ...]:
    """``(difference in LSB, elements)`` of those that differ, the most frequent first; empty of floats."""
    if right.dtype.kind == "f":
        return ()
    differing = (each for each in lsb_histogram(wrong, right) if each[0])
    return tuple(sorted(differing, key=lambda each: (-each[1], abs(each[0]), each[0])))
