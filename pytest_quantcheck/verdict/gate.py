"""``Gate.check``: judges a run by every criterion asked for, then says all that failed at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from statistics import median
from typing import Any, NoReturn, Union

from pytest_quantcheck.data.dataset import Array, Dataset, Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import Run, Runner, Vectors
from pytest_quantcheck.verdict import metrics
from pytest_quantcheck.verdict.budget import Budget, latency_ms
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.divergence import Divergence, differing_samples, locate
from pytest_quantcheck.verdict.reference import runner_of
from pytest_quantcheck.wording import counted

FloatOutputs = Callable[[QuantizedModel, Samples], Union[Array, None]]
MetricLike = Union[str, Callable[[Array, Array], float], metrics.Metric, None]


@dataclass(frozen=True)
class Score:
    """What a metric says about a run, and about the float model on the same samples.

    ``inherited`` names the host reference when the run has few samples and equals it bit for bit.
    """

    metric: metrics.Metric
    samples: int
    value: float
    float_value: float | None = None
    paired: metrics.Paired | None = None
    inherited: str = ""

    @property
    def drop(self) -> float | None:
        """How much worse than the float model; negative when better."""
        if self.float_value is None:
            return None
        worse = self.float_value - self.value
        return worse if self.metric.higher_is_better else -worse

    def show(self, value: float) -> str:
        return f"{value:.2%}" if self.metric.fraction else f"{value:.6g}"

    def __str__(self) -> str:
        text = f"{self.metric.name} {self.show(self.value)} on {counted(self.samples, 'sample')}"
        if self.inherited:
            text += f" (as {self.inherited}, whose outputs are the same)"
        if self.float_value is not None and self.metric.name != "agreement":
            text += f", float {self.show(self.float_value)}"
        if self.paired is not None and self.metric.name != "agreement":
            text += (
                f"; {self.paired.lost} lost, {self.paired.gained} gained, p = {self.paired.p_value:.3g}, "
                f"one sample is {1 / self.samples:.3%}"
            )
        return text


@dataclass(frozen=True)
class Verdict:
    """The answer of one check. ``exact`` is None where nothing promised the same integers."""

    name: str
    run: Run
    criteria: tuple[Criterion, ...]
    exact: bool | None = None
    score: Score | None = None
    divergence: Divergence | None = None

    @property
    def failed(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.passed is False)

    @property
    def not_judged(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.passed is None)

    @property
    def passed(self) -> bool:
        return not self.failed

    @property
    def outcome(self) -> str:
        """``pass``, ``regression``, or ``unjudged`` when nothing at all could be judged."""
        if self.failed:
            return "regression"
        return "pass" if any(c.passed for c in self.criteria) else "unjudged"

    def explain(self) -> str:
        """The message of a failed check: every failed criterion, the divergence, the context."""
        where = f"{self.run.runner} ({self.run.target})" if self.run.target != "host" else self.run.runner
        lines = [f"{self.name} on {where}: {len(self.failed)} of {len(self.criteria)} criteria failed"]
        for criterion in (*self.failed, *self.not_judged):
            lines += _indent(str(criterion))
        if self.score is not None:
            lines += _indent(f"score: {self.score}")
        if self.run.log:
            lines += _indent(f"serial log: {self.run.log}")
        return "\n".join(lines)

    def row(self) -> dict[str, Any]:
        """Plain values for reports: what ``report/`` shows and other processes can read."""
        run, score, cost = self.run, self.score, self.run.counters
        return {
            "case": self.name,
            "runner": run.runner,
            "runtime": run.runtime,
            "target": run.target,
            "samples": len(run),
            "metric": score.metric.name if score else None,
            "percent": bool(score and score.metric.fraction),
            "score": score.value if score else None,
            "score_samples": score.samples if score else None,
            "float_score": score.float_value if score else None,
            "drop": score.drop if score else None,
            "exact": self.exact,
            "counter": median(cost) if cost else None,
            "counter_spread": max(cost) - min(cost) if cost else None,
            "unit": run.unit,
            "latency_ms": latency_ms(run),
            "arena": run.footprint.arena,
            "image": run.footprint.image,
            "outcome": self.outcome,
            "failed": [str(c) for c in self.failed],
            "not_judged": [str(c) for c in self.not_judged],
            "retries": run.details.get("retries"),
            "faults": run.details.get("faults", []),
            "erased_sectors": run.details.get("erased_sectors"),
            "warnings": [
                f"{found['code']}: {found['sentence']} {found['remedy']}".rstrip()
                for found in run.model.manifest.get("findings", ())
                if found["severity"] == "warning"
            ],
            "log": run.log,
        }


@dataclass
class Gate:
    """Judges runs against one reference, one dataset, one budget.

    ``reference`` promises the exact integers; ``device`` made the runs and is asked again when they
    differ. ``float_outputs`` gives the outputs of a model's float source for samples, None when it has
    none. ``record`` receives every verdict, also the failed ones.
    """

    reference: Runner | None = None
    device: Runner | None = None
    data: Dataset | None = None
    float_outputs: FloatOutputs | None = None
    budget: Budget | None = None
    record: Callable[[Verdict], None] = field(default=lambda _: None)

    def check(
        self,
        run: Run,
        *,
        exact: bool | None = None,
        max_lsb: int | None = None,
        max_drop: float | None = None,
        min_score: float | None = None,
        confidence: float | None = None,
        metric: MetricLike = None,
        name: str | None = None,
        **unknown: NoReturn,
    ) -> Verdict:
        """Judge ``run``; raise one ``AssertionError`` that lists every failed criterion.

        ``exact``: raw outputs equal the reference's bit for bit (default: asked where both promise
        the same integers; elsewhere it counts as not judged). ``max_lsb``: largest difference to the
        reference in raw steps. ``max_drop``: largest loss of score against the float model (a fraction
        for accuracy). ``min_score``: smallest score. ``confidence``: judge ``max_drop`` by the paired
        confidence interval instead of the observed drop. ``metric``: a name of ``METRICS`` or a function
        ``(outputs, truth) -> float``. Raises ``UsageError`` when something asked for explicitly
        cannot be judged.
        """
        __tracebackhide__ = True
        if unknown:
            allowed = ", ".join(list(inspect.signature(self.check).parameters)[1:-1])
            raise UsageError(f"gate.check({next(iter(unknown))}=...) is not known; allowed: {allowed}")
        _check_arguments(exact, max_lsb)
        max_drop, min_score = _number("max_drop", max_drop), _number("min_score", min_score)
        confidence = _confidence(confidence, max_drop)
        same, criteria, divergence = self._compare(run, exact, max_lsb)
        explicit = max_drop is not None or min_score is not None or metric is not None
        score = self._score(run, metric, same is True, explicit)
        if score is None and not explicit and run.model.random_calibration:
            criteria.append(Criterion("accuracy", None, "the calibration was random"))
        criteria += _judge_score(score, max_drop, min_score, confidence)
        if score is not None and len(run.outputs) > 1:
            others = f"the score is that of the first of {len(run.outputs)} outputs; exactness covers all"
            criteria.append(Criterion("other_outputs", None, others))
        criteria += self.budget.judge(run) if self.budget else []
        verdict = Verdict(name or run.model.id, run, tuple(criteria), same, score, divergence)
        self.record(verdict)
        if not verdict.passed:
            raise AssertionError(verdict.explain())
        return verdict

    def _compare(
        self, run: Run, exact: bool | None, max_lsb: int | None
    ) -> tuple[bool | None, list[Criterion], Divergence | None]:
        """Against the reference: ``(same, criteria, divergence)``."""
        name = runner_of(self.reference, run.model).name if self.reference else ""
        if self.reference is None or name == run.runner:
            if exact or max_lsb is not None:
                reason = (
                    "there is no reference" if self.reference is None else "the run is the reference's own"
                )
                raise UsageError(f"exact or max_lsb were asked for, but {reason}")
            return None, [], None
        promised = run.exact if exact is None else exact
        criteria, divergence = [], None
        if exact is None and not promised:
            reason = f"the runtime {run.runtime} does not promise the integers of {name}"
            criteria.append(Criterion("exact", None, reason))
        if not promised and max_lsb is None:
            return None, criteria, None
        reference = self.reference.run(run.model, run.vectors)
        same = not len(differing_samples(run, reference))
        if promised:
            divergence = None if same else self._locate(run, reference)
            criteria.append(_judge_exact(run, reference, same, divergence))
        if max_lsb is not None:
            criteria.append(_judge_lsb(run, reference, max_lsb))
        return same, criteria, divergence

    def _locate(self, run: Run, reference: Run) -> Divergence | None:
        if self.device is None:
            return None
        return locate(run, reference, self.device, reference_runner=self.reference)

    def _score(self, run: Run, metric: MetricLike, same: bool, explicit: bool) -> Score | None:
        """The score of ``run``, or of the reference on all samples where the run equals it."""
        chosen = self._metric(run.vectors, metric)
        reason = self._unscorable(run, chosen)
        if chosen is None or reason:
            if explicit:
                raise UsageError(f"a score was asked for, but {reason}")
            return None
        judged, inherited = run, ""
        if same and self.reference is not None and self.data is not None and len(run) < len(self.data.test):
            judged = self.reference.run(run.model, self.data.test)
            inherited = judged.runner
        assert isinstance(judged.vectors, Samples)
        return self._measure(judged, judged.vectors, chosen, inherited)

    def _metric(self, vectors: Vectors, metric: MetricLike) -> metrics.Metric | None:
        if metric is not None:
            return metrics.find(metric)
        if self.data is not None and self.data.task != "classification":
            return metrics.METRICS["rmse"]
        labelled = isinstance(vectors, Samples) and vectors.y is not None
        return metrics.METRICS["accuracy" if labelled else "agreement"]

    def _unscorable(self, run: Run, metric: metrics.Metric | None) -> str:
        if run.model.random_calibration:
            return "the calibration was random: it gives footprints and exactness only"
        if not isinstance(run.vectors, Samples):
            return "the vectors are raw integers without labels"
        if run.vectors.y is None and metric is not None and metric.name == "accuracy":
            return "the vectors have no labels; metric='agreement' compares with the float model"
        if run.vectors.y is None and self._float(run.model, run.vectors) is None:
            return "there are neither labels nor a float model to agree with"
        return ""

    def _float(self, model: QuantizedModel, samples: Samples) -> Array | None:
        return self.float_outputs(model, samples) if self.float_outputs is not None else None

    def _measure(self, run: Run, samples: Samples, metric: metrics.Metric, inherited: str) -> Score:
        outputs = prepare.dequantize_output(run.model, run.outputs[0])
        floats = self._float(run.model, samples)
        truth = samples.y if samples.y is not None and metric.name != "agreement" else floats
        if truth is None:
            raise UsageError(f"{metric.name} needs a float model or labels; neither is there")
        pair = None
        if floats is not None and metric.per_sample is not None:
            pair = metrics.paired(metric.per_sample(floats, truth), metric.per_sample(outputs, truth))
        return Score(
            metric=metric,
            samples=len(samples),
            value=_scored(metric, outputs, truth),
            float_value=None if floats is None else _scored(metric, floats, truth),
            paired=pair,
            inherited=inherited,
        )


def _scored(metric: metrics.Metric, outputs: Array, truth: Array) -> float:
    """The score as a plain number, whatever kind of number a metric of the user's returns."""
    score = metric.score(outputs, truth)
    try:
        return float(score)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metric {metric.name} returned {type(score).__name__} {score!r}; one number is wanted"
        ) from error


def _check_arguments(exact: bool | None, max_lsb: int | None) -> None:
    if exact is not None and not isinstance(exact, bool):
        raise UsageError(f"exact={exact!r} is not known; allowed: True, False, None")
    if max_lsb is not None and (isinstance(max_lsb, bool) or not isinstance(max_lsb, int) or max_lsb < 0):
        raise UsageError(f"max_lsb={max_lsb!r} is out of range; allowed: a whole number from 0")


def _number(key: str, value: float | None) -> float | None:
    """A limit as a plain number. ``True`` would count as 1, which nobody means."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise UsageError(f"{key}={value!r} is out of range; allowed: a finite number, such as 0.01")
    return float(value)


def _check_range(key: str, value: float | None, metric: metrics.Metric) -> None:
    """A limit of 5 would let everything pass where 5 % is meant."""
    if value is not None and metric.fraction and not 0 <= value <= 1:
        raise UsageError(f"{key}={value:g} is out of range for {metric.name}; allowed: 0 to 1, such as 0.05")


def _confidence(value: float | None, max_drop: float | None) -> float | None:
    confidence = _number("confidence", value)
    if confidence is not None and not 0.5 <= confidence < 1:
        raise UsageError(f"confidence={value!r} is out of range; allowed: 0.5 up to below 1, such as 0.95")
    if confidence is not None and max_drop is None:
        raise UsageError("confidence= says how sure max_drop= must be; give both")
    return confidence


def _judge_exact(run: Run, reference: Run, same: bool, divergence: Divergence | None) -> Criterion:
    if same:
        return Criterion(
            "exact", True, f"{len(run)} outputs are those of {reference.runtime or reference.runner}"
        )
    if divergence is not None:
        return Criterion("exact", False, f"not the integers of {reference.runner}\n{divergence}")
    count = len(differing_samples(run, reference))
    return Criterion("exact", False, f"{count} of {len(run)} outputs are not those of {reference.runner}")


def _judge_lsb(run: Run, reference: Run, limit: int) -> Criterion:
    found = max(
        metrics.max_lsb(ours, theirs) for ours, theirs in zip(run.outputs, reference.outputs, strict=True)
    )
    return Criterion("max_lsb", found <= limit, f"{found} LSB from {reference.runner}, limit {limit}")


def _judge_score(
    score: Score | None, max_drop: float | None, min_score: float | None, confidence: float | None
) -> Iterable[Criterion]:
    if score is None:
        return
    _check_range("max_drop", max_drop, score.metric)
    _check_range("min_score", min_score, score.metric)
    if min_score is not None:
        better = score.metric.higher_is_better
        good = score.value >= min_score if better else score.value <= min_score
        limit = "at least" if better else "at most"
        text = f"{score.metric.name} {score.show(score.value)}, {limit} {score.show(min_score)} wanted"
        yield Criterion("min_score", good, text)
    if max_drop is None:
        return
    if score.drop is None:
        raise UsageError("max_drop= compares with the float model, but there is none")
    if confidence is not None:
        yield _judge_confidently(score, max_drop, confidence)
        return
    # Fractions of N samples are compared with a hair's slack, so that 0.01 allows 1 of 100.
    good = score.drop <= max_drop + 1e-12
    text = f"{score.metric.name} dropped by {score.show(score.drop)}, limit {score.show(max_drop)}"
    yield Criterion("max_drop", good, text)


def _judge_confidently(score: Score, max_drop: float, confidence: float) -> Criterion:
    if score.paired is None:
        raise UsageError(f"confidence= needs samples that are right or wrong; {score.metric.name} is not")
    low, high = score.paired.interval(confidence)
    found = f"the drop lies in {low:.2%} to {high:.2%} ({confidence:.0%} confidence), limit {max_drop:.2%}"
    if high <= max_drop:
        return Criterion("max_drop", True, found)
    if low > max_drop:
        return Criterion("max_drop", False, found)
    few = f"too few vectors ({score.samples}): {found}; give more vectors or a larger limit"
    return Criterion("max_drop", False, few)


def _indent(text: str) -> list[str]:
    first, *rest = text.splitlines()
    return [f"  {first}", *(f"    {line}" for line in rest)]
