"""``Gate.check``: judges a run by every criterion asked for, then says all that failed at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np

from pytest_quantcheck.baselines.book import Book
from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.tasks.registry import task
from pytest_quantcheck.data.tasks.task import Task, as_they_are
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import runner_of
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.baseline import BaselineLike, judge_baseline
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.comparison import Comparison, compare
from pytest_quantcheck.verdict.criteria import Limits, judge_score
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.diagnosis import low_score_causes, rig_findings
from pytest_quantcheck.verdict.measure import measure, names_classes, output_names
from pytest_quantcheck.verdict.metrics.metric import Metric
from pytest_quantcheck.verdict.metrics.registry import MetricLike, find
from pytest_quantcheck.verdict.predecessor import Predecessor
from pytest_quantcheck.verdict.sanity.check import Sanity
from pytest_quantcheck.verdict.score import Score
from pytest_quantcheck.verdict.verdict import Verdict
from pytest_quantcheck.verdict.whole import check_run


@dataclass
class Gate:
    """Judges runs against one reference, one dataset, one budget.

    ``reference`` promises the exact integers; ``device`` made the runs and is asked again when they
    differ. ``float_outputs`` gives the outputs of a model's float source. ``sanity`` looks for what makes a
    pass worth nothing. ``record`` receives every verdict, also the failed ones. ``strict``: what cannot be
    judged, and what ``sanity`` finds, fails. ``baselines`` holds the values that were stored for the test;
    ``predecessor`` is run beside each model and takes their place. ``asked`` tells whether there was any
    check, ``refused`` the errors in which checks ended, also those that somebody caught. ``over``: the test
    that the gate was made for has ended.
    """

    reference: Runner | None = None
    device: Runner | None = None
    data: Dataset | None = None
    float_outputs: FloatSource | None = None
    budget: Budget | None = None
    sanity: Sanity | None = None
    strict: bool = False
    baselines: Book | None = None
    predecessor: Predecessor | None = None
    record: Callable[[Verdict], None] = field(default=lambda _: None)
    asked: bool = False
    refused: list[str] = field(default_factory=list)
    over: bool = False

    def check(
        self,
        run: Run,
        *,
        exact: bool | None = None,
        max_lsb: int | None = None,
        max_differing: float | None = None,
        max_drop: float | None = None,
        min_score: float | None = None,
        confidence: float | None = None,
        metric: MetricLike | None = None,
        baseline: BaselineLike = None,
        allow_unjudged: bool = False,
        name: str | None = None,
        **unknown: NoReturn,
    ) -> Verdict:
        """Judge ``run``; raise one ``AssertionError`` that lists every failed criterion.

        ``exact``: raw outputs equal the reference's bit for bit (default: asked where both promise
        the same integers; elsewhere it counts as not judged). ``max_lsb``: largest difference to the
        reference in raw steps; ``max_differing``: largest fraction of samples that differ from it at all.
        ``max_drop``: largest loss of score against the float model (a fraction for accuracy).
        ``min_score``: smallest score. ``confidence``: judge ``max_drop`` by what the true drop can be,
        not by the observed one. ``metric``: a name of ``METRICS`` or a function
        ``(outputs, truth) -> float``. ``baseline``: nothing that was stored may have become worse, by the
        tolerances given for each metric, or (``True``) by those of the ini file. Raises ``UsageError`` when
        something asked for cannot be judged, and when nothing was judged, unless ``allow_unjudged``.
        """
        __tracebackhide__ = True
        self.asked = True
        try:
            self._check_arguments(name, allow_unjudged, unknown)
            limits = Limits(exact, max_lsb, max_differing, max_drop, min_score, confidence)
            return self._settle(self._judge(run, limits, metric, baseline, name), allow_unjudged)
        except Exception as error:
            self.refused.append((str(error).splitlines() or [type(error).__name__])[0])
            raise

    def _check_arguments(self, name: object, allow_unjudged: object, unknown: Mapping[str, object]) -> None:
        if self.over:
            raise UsageError("the test of this gate is over: ask for the fixture gate in each test")
        if unknown:
            allowed = ", ".join(list(inspect.signature(self.check).parameters)[1:-1])
            raise UsageError(f"gate.check({next(iter(unknown))}=...) is not known; allowed: {allowed}")
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name={name!r} is no name; allowed: a text")
        if not isinstance(allow_unjudged, bool):
            raise UsageError(f"allow_unjudged={allow_unjudged!r} is not known; allowed: True, False")

    def _judge(
        self,
        run: Run,
        limits: Limits,
        metric: MetricLike | None,
        baseline: BaselineLike,
        name: str | None,
    ) -> Verdict:
        """All criteria of a run that is whole, over vectors that are what they were."""
        check_run(run)
        for vectors in (run.vectors, self.data.test if self.data is not None else run.vectors):
            vectors.check_unchanged()
        compared = self._compare(run, limits)
        scores, unscored = self._scores(run, metric, limits, same=compared.same is True)
        criteria = [*compared.criteria, *unscored]
        for score in scores:
            criteria += judge_score(score, limits) if score.judged else ()
        criteria += self.budget.judge(run) if self.budget else []
        changes = self._against_baseline(run, scores, baseline, name or "", criteria)
        suspicious = (*self._suspicious(run), *rig_findings(run))
        if self.strict:
            criteria += [Criterion(each.code, False, f"{each.sentence} {each.remedy}") for each in suspicious]
        return Verdict(
            name or run.model.id,
            run,
            tuple(self._strictly(each) for each in criteria),
            compared.same,
            scores,
            compared.divergence,
            (*_findings(run.model), *suspicious),
            changes,
            low_score_causes(run, criteria, compared, self.data, self.float_outputs),
        )

    def _settle(self, verdict: Verdict, allow_unjudged: bool) -> Verdict:
        """The verdict, recorded, unless it failed or says nothing."""
        __tracebackhide__ = True
        self.record(verdict)
        if verdict.failed:
            raise AssertionError(verdict.explain())
        if verdict.outcome == "unjudged" and not (allow_unjudged or verdict.begins):
            raise UsageError(_nothing_judged(verdict))
        return verdict

    def _against_baseline(
        self,
        run: Run,
        scores: tuple[Score, ...],
        baseline: BaselineLike,
        name: str,
        criteria: list[Criterion],
    ) -> tuple[Change, ...]:
        """What changed since values were stored, where a check asks for it; adds to ``criteria``.

        A predecessor is compared with in every check, but judged by only where the check asks.
        """
        asked = baseline is not None and baseline is not False
        if not asked and self.predecessor is None:
            return ()
        if self.baselines is None:
            raise UsageError(
                "baseline= needs stored values: use the fixture gate, which knows the test's file"
            )
        test_size = len(self.data.test) if self.data is not None else 0
        before = None
        if self.predecessor is not None:
            before = self.predecessor.values(run, scores, self._purpose, self.device, self.reference)
        changes, judged = judge_baseline(
            self.baselines,
            run,
            scores,
            baseline if asked else True,
            name=name,
            test_size=test_size,
            before=before,
        )
        criteria += judged if asked else []
        return changes

    def _strictly(self, criterion: Criterion) -> Criterion:
        if not self.strict or criterion.passed is not None:
            return criterion
        return replace(
            criterion, passed=False, text=f"not judged, which --qc-strict forbids: {criterion.text}"
        )

    def _suspicious(self, run: Run) -> tuple[Finding, ...]:
        """What ``sanity`` finds where the run's vectors have truth; nothing of vectors that mean nothing."""
        if self.sanity is None or self.data is None or not isinstance(run.vectors, Samples):
            return ()
        return self.sanity.findings(run.model, self.data)

    def _compare(self, run: Run, limits: Limits) -> Comparison:
        """Against the reference, which may be the runner that made the run."""
        if self.reference is None or runner_of(self.reference, run.model).name == run.runner:
            if limits.of_reference:
                asked = " and ".join(f"{key}=" for key in limits.of_reference)
                why = "there is no reference" if self.reference is None else "the run is the reference's own"
                raise UsageError(f"{asked} compares with the reference, but {why}")
            return Comparison()
        others = [self.predecessor.model] if self.predecessor is not None else []
        return compare(run, self.reference, limits, self.device, others)

    @property
    def _purpose(self) -> Task:
        return self.data.purpose if self.data is not None else task("classification")

    def _scores(
        self, run: Run, metric: MetricLike | None, limits: Limits, *, same: bool
    ) -> tuple[tuple[Score, ...], list[Criterion]]:
        """The scores of ``run``, or of the reference on the whole test set where the run is a part of it;
        and what could not be scored.
        """
        explicit = limits.of_score or metric is not None
        purpose = self._purpose
        chosen = find(metric) if metric is not None else _default_metric(run, purpose)
        if reason := self._impossible(run, chosen):
            if explicit:
                raise UsageError(f"a score was asked for, but {reason}")
            random = Criterion("accuracy", None, "the calibration was random")
            return (), [random] if run.model.random_calibration else []
        assert chosen is not None, "checked above"
        if metric is None and chosen.name == "agreement" and not all(map(names_classes, run.scored)):
            return (), [_no_agreement(run, explicit=explicit)]
        judged, inherited = run, ""
        if same and self.reference is not None and self.data is not None and self._is_part(run):
            judged = self.reference.run(run.model, self.data.test)
            inherited = judged.runner
        assert isinstance(judged.vectors, Samples), "checked above"
        floats = self._finite_floats(
            run.model, judged.vectors, needed=limits.max_drop is not None or chosen.to_float
        )
        classes = self.data.classes if self.data is not None else ()

        def measured(metric: Metric) -> tuple[Score, ...]:
            assert isinstance(judged.vectors, Samples), "checked above"
            return measure(judged, judged.vectors, purpose, metric, floats, inherited, classes)

        scores = measured(chosen)
        unscored = _unscored_outputs(judged, scores) if purpose.decode is as_they_are else []
        if metric is None and judged.vectors.truths:
            scores += _shown(measured, purpose.metrics[1:])
        return scores, unscored

    def _is_part(self, run: Run) -> bool:
        """Whether the run's samples are, by content, fewer than those of the test set and among them."""
        if self.data is None or not isinstance(run.vectors, Samples) or len(run) >= len(self.data.test):
            return False
        return set(run.vectors.digests) <= set(self.data.test.digests)

    def _impossible(self, run: Run, metric: Metric | None) -> str:
        """Why there can be no score; empty where there can."""
        if run.model.random_calibration:
            return "the calibration was random: it gives footprints and exactness only"
        if not isinstance(run.vectors, Samples):
            return "the vectors are raw integers without labels"
        if metric is None:
            return "nothing says how to score it; give metric="
        labelled = bool(run.vectors.truths)
        if not labelled and metric.labels:
            return "the vectors have no labels; metric='agreement' compares with the float model"
        if (labelled and not metric.to_float) or self._floats(run.model, run.vectors) is not None:
            return ""
        missing = self.float_outputs.missing(run.model) if self.float_outputs else "there is no float model"
        return missing if labelled else f"there are no labels, and {missing}"

    def _finite_floats(
        self, model: QuantizedModel, samples: Samples, *, needed: bool
    ) -> tuple[Array, ...] | None:
        """The float model's outputs; None where they are not finite and nothing needs them."""
        floats = self._floats(model, samples)
        if floats is None and needed and self.float_outputs is not None:
            raise UsageError(
                f"the score is compared with the float model, but {self.float_outputs.missing(model)}"
            )
        where = _not_finite(floats, samples) if floats is not None else ""
        if where and needed:
            raise UsageError(
                f"the float model's outputs are no finite numbers for {where}: nothing compares with it"
            )
        return None if where else floats

    def _floats(self, model: QuantizedModel, samples: Samples) -> tuple[Array, ...] | None:
        return self.float_outputs(model, samples) if self.float_outputs is not None else None


def _not_finite(outputs: tuple[Array, ...], samples: Samples) -> str:
    """The first sample for which a float model's outputs are no finite numbers; empty if there is none."""
    for output in outputs:
        bad = ~np.isfinite(output.reshape(len(output), -1)).all(axis=1)
        if bad.any():
            return f"sample {samples.names[int(bad.argmax())]} and {int(bad.sum()) - 1} others"
    return ""


def _default_metric(run: Run, purpose: Task) -> Metric | None:
    """The task's first metric: against the truth where there is some, else against the float model."""
    labelled = isinstance(run.vectors, Samples) and bool(run.vectors.truths)
    names = purpose.metrics if labelled else purpose.unlabelled
    return find(names[0]) if names else None


def _no_agreement(run: Run, *, explicit: bool) -> Criterion:
    """Without labels classes are compared, but these outputs are no class vectors."""
    shapes = ", ".join(str(list(each.shape[1:])) for each in run.scored)
    text = f"there are no labels, and outputs {shapes} are not one class vector each; give metric="
    if explicit:
        raise UsageError(f"a score was asked for, but {text}")
    return Criterion("score", None, text)


def _shown(measured: Callable[[Metric], tuple[Score, ...]], names: Sequence[str]) -> tuple[Score, ...]:
    """The scores of a task's further metrics, as far as they have a value; shown, but not judged."""
    found: tuple[Score, ...] = ()
    for name in names:
        with suppress(UsageError):
            found += tuple(replace(score, judged=False) for score in measured(find(name)))
    return found


def _unscored_outputs(run: Run, scores: tuple[Score, ...]) -> list[Criterion]:
    others = len(run.outputs) - len(scores)
    if others <= 0:
        return []
    text = (
        f"{others} of {len(run.outputs)} outputs have no truth (Samples.y as a tuple gives one each): "
        f"{', '.join(output_names(run)[len(scores) :])}; exactness covers all"
    )
    return [Criterion("other_outputs", None, text)]


def _findings(model: QuantizedModel) -> tuple[Finding, ...]:
    """What the audit said when the artefact was made."""
    return tuple(Finding(**found) for found in model.manifest.get("findings", ()))


def _nothing_judged(verdict: Verdict) -> str:
    why = "; ".join(f"{each.name}: {each.text}" for each in verdict.not_judged)
    return (
        f"{verdict.name}: this check judged nothing{f' ({why})' if why else ''}. Ask for something: "
        "max_drop=, min_score=, max_lsb=, baseline=, exact=True or a budget marker; or allow_unjudged=True "
        "to only look"
    )
