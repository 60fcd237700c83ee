"""What a check says beyond its criteria: why a score is low, and what a run proves about the rig."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.baseline import QUANTITIES
from pytest_quantcheck.verdict.causes.catalogue import remedied
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.counters import rig_causes
from pytest_quantcheck.verdict.comparison import Comparison
from pytest_quantcheck.verdict.criterion import Criterion

_OF_SCORE = ("min_score", "max_drop")
_TRIES = 4  # layers undone one by one: quantcheck explain tries more


def low_score_causes(
    run: Run,
    criteria: Sequence[Criterion],
    compared: Comparison,
    data: Dataset | None,
    floats: FloatSource | None,
) -> tuple[Cause, ...]:
    """Why a score is too low where the integers are right; nothing where they are not, or no score is."""
    low = any(each.passed is False and _is_of_score(each.name) for each in criteria)
    if not low or compared.same is False or data is None or floats is None:
        return ()
    if not isinstance(run.vectors, Samples) or run.model.random_calibration or run.steps:
        return ()
    from pytest_quantcheck.verdict.causes.upstream.upstream import upstream_causes  # few scores are low

    return remedied(upstream_causes(run.model, data, floats, _TRIES))


def _is_of_score(criterion: str) -> bool:
    kind, _, metric = criterion.partition(" ")
    return criterion.startswith(_OF_SCORE) or (kind == "baseline" and metric not in QUANTITIES)


def rig_findings(run: Run) -> Iterator[Finding]:
    """What the run itself proves about the rig, and what it does not."""
    if run.device.unproven:
        sentence = f"Nothing proves that the board {run.device.board} holds the model under test."
        yield Finding("warning", "model_unproven", sentence, run.device.unproven)
    for each in remedied(rig_causes(run)):
        sentence = f"{each.text[0].upper()}{each.text[1:]}: {each.evidence}."
        yield Finding("warning", each.code, sentence, each.remedy)
