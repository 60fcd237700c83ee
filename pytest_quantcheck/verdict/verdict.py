"""``Verdict``: the answer of one ``gate.check``, in words and as a ``Row``."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.budget import latency_ms
from pytest_quantcheck.verdict.causes.cause import SHOWN, Cause
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.picture import Picture, pictures
from pytest_quantcheck.verdict.row import Row, ScoreRow
from pytest_quantcheck.verdict.score import Score

_PICTURES = 8


@dataclass(frozen=True)
class Verdict:
    """The answer of one check. ``exact`` is None where nothing promised the same integers.

    ``name`` is the model and its configuration, or what ``gate.check(name=)`` said. ``findings`` are what is
    suspicious about model and data, whether or not a criterion failed. ``changes`` are those since baselines
    were stored. ``causes`` say why a score is too low although the integers are right.
    """

    name: str
    run: Run
    criteria: tuple[Criterion, ...]
    exact: bool | None = None
    scores: tuple[Score, ...] = ()
    divergence: Divergence | None = None
    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def failed(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.passed is False)

    @property
    def not_judged(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.passed is None)

    @property
    def passed(self) -> bool:
        """Whether nothing failed; a verdict that judged nothing has not passed."""
        return self.outcome == "pass"

    @property
    def outcome(self) -> str:
        """``pass``, ``regression``, or ``unjudged`` when nothing at all could be judged."""
        if self.failed:
            return "regression"
        return "pass" if any(c.passed for c in self.criteria) else "unjudged"

    @property
    def begins(self) -> bool:
        """Whether values were measured for the first time: nothing to compare with is then no mistake."""
        return any(change.state == "new" for change in self.changes)

    @property
    def score(self) -> Score | None:
        """The first score: that of the first output."""
        return self.scores[0] if self.scores else None

    def explain(self) -> str:
        """The message of a failed check: every failed criterion, the divergence, the context."""
        where = f"{self.run.runner} ({self.run.target})" if self.run.target != "host" else self.run.runner
        lines = [f"{self.name} on {where}: {len(self.failed)} of {len(self.criteria)} criteria failed"]
        for criterion in (*self.failed, *self.not_judged):
            lines += _indent(str(criterion))
        for cause in self.causes[:SHOWN]:
            lines += _indent(str(cause))
        for score in self.scores:
            lines += _indent(f"score: {score}")
        for finding in self.findings:
            if finding.severity != "note":
                lines += _indent(str(finding))
        if self.run.log:
            lines += _indent(f"serial log: {self.run.log}")
        return "\n".join(lines)

    def row(self, *, detailed: bool = True) -> Row:
        """Plain values for reports; unless ``detailed`` without the tables behind a score."""
        run, cost = self.run, self.run.counters
        return Row(
            name=self.name,
            model=run.model.id,
            model_sha256=run.model.sha256,
            runner=run.runner,
            runtime=run.runtime,
            target=run.target,
            board=run.device.board,
            unique_id=run.device.unique_id,
            build_id=run.device.build_id,
            data_sha256=run.vectors.digest.hex(),
            samples=len(run),
            scores=tuple(_score_row(score, detailed) for score in self.scores),
            exact=self.exact,
            criteria=self.criteria,
            divergence=self.divergence,
            changes=self.changes,
            causes=self.causes,
            counter=median(cost) if cost else None,
            counter_spread=max(cost) - min(cost) if cost else None,
            unit=run.unit,
            latency_ms=latency_ms(run),
            arena=run.footprint.arena,
            image=run.footprint.image,
            stack=run.footprint.stack,
            firmware=run.footprint.firmware,
            outcome=self.outcome,
            retries=run.effort.retries if run.device.board else None,
            faults=run.effort.faults,
            erased_sectors=run.effort.erased_sectors if run.device.board else None,
            findings=tuple(
                f"{found.code}: {found.sentence} {found.remedy}".rstrip()
                for found in self.findings
                if found.severity != "note"
            ),
            pictures=self._pictures(),
            log=run.log,
        )

    def _pictures(self) -> tuple[Picture, ...]:
        """Of samples that flipped, against the float model or since values were stored; lost ones first."""
        found: dict[str, Picture] = {}
        for score in self.scores:
            before = [name for each in self.changes if each.metric == score.name for name in each.lost]
            names = (*before, *score.lost, *score.gained)
            if names and score.of is not None:
                found |= {each.sample: each for each in pictures(score.of, names, _PICTURES)}
        return tuple(found.values())[:_PICTURES]


def _score_row(score: Score, detailed: bool) -> ScoreRow:
    return ScoreRow(
        metric=score.metric.name,
        value=score.value,
        samples=score.samples,
        output=score.output,
        percent=score.metric.fraction,
        float_value=score.float_value,
        drop=score.drop,
        inherited=score.inherited,
        p_value=score.paired.p_value if score.paired is not None else None,
        lost=score.lost,
        gained=score.gained,
        observation=score.observation,
        detail=score.detail if detailed else (),
    )


def _indent(text: str) -> list[str]:
    first, *rest = text.splitlines()
    return [f"  {first}", *(f"    {line}" for line in rest)]
