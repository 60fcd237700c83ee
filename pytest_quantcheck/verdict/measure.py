"""``measure``: the scores of a run, one for each output that has something to be compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, prod

import numpy as np

from pytest_quantcheck.data.clips import clips, samples_of_clips
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.tasks.task import CLIP, Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.metrics.bootstrap import Drops, paired_drops
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric, Observations, mean
from pytest_quantcheck.verdict.metrics.paired import paired
from pytest_quantcheck.verdict.score import Score
from pytest_quantcheck.verdict.table import Table


def measure(
    run: Run,
    samples: Samples,
    task: Task,
    metric: Metric,
    floats: tuple[Array, ...] | None,
    inherited: str = "",
    classes: Sequence[str] = (),
) -> tuple[Score, ...]:
    """A score for each output that has something to be compared with.

    That is the truth of ``samples``, or ``floats`` (the float model's outputs) where there is none or the
    metric compares with the float model. Truth for one output judges the first. ``classes`` name the labels.
    Raises ``UsageError`` where nothing fits, or a score is no finite number.
    """
    finish = run.model.finish or (lambda given: given)
    real = tuple(prepare.dequantize_output(run.model, raw, which) for which, raw in enumerate(run.scored))
    outputs = task.decode(finish(real), samples.inputs)
    references = task.decode(finish(floats), samples.inputs) if floats is not None else ()
    truths = references if metric.to_float or not samples.truths else samples.truths
    if not truths:
        raise UsageError(f"{metric.name} needs a float model or labels; neither is there")
    if len(truths) > len(outputs):
        raise UsageError(
            f"there is truth for {len(truths)} outputs (Samples.y), the model has {len(outputs)}"
        )
    names = output_names(run) if len(outputs) == len(run.outputs) > 1 else [""] * len(outputs)
    scoring = _Scoring(metric, samples, task, inherited, classes)
    return tuple(
        scoring.score(names[which], outputs[which], references[which] if references else None, truth)
        for which, truth in enumerate(truths)
    )


def output_names(run: Run) -> list[str]:
    """The names of a model's outputs as its file gives them."""
    return [tensor.name for tensor in prepare.summary_of(run.model.artefact).output_tensors]


def names_classes(output: Array) -> bool:
    """Whether each of N outputs is one class vector: one axis, and only one, is longer than 1."""
    return sum(size > 1 for size in output.shape[1:]) == 1 and prod(output.shape[1:]) > 1


@dataclass(frozen=True)
class _Scoring:
    """What the scores of all outputs have in common."""

    metric: Metric
    samples: Samples
    task: Task
    inherited: str
    classes: Sequence[str]

    def score(self, output: str, outputs: Array, floats: Array | None, truth: Array) -> Score:
        """The score of one output, called ``output``; ``floats`` are the float model's."""
        metric, seen = self.metric, self._observe(outputs, truth)
        of_float = None if floats is None else self._observe(floats, truth).outputs
        right = metric.per_sample(seen.outputs, seen.truth) if metric.per_sample is not None else None
        float_right: Bools | None = None
        pair, lost, gained = None, np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
        if of_float is not None and metric.per_sample is not None and right is not None:
            float_right = metric.per_sample(of_float, seen.truth)
            pair, lost, gained = paired(float_right, right), float_right & ~right, right & ~float_right
        return Score(
            metric=metric,
            samples=len(seen.names),
            vectors=len(self.samples),
            value=_value(metric, seen.outputs, seen.truth, right),
            float_value=None if of_float is None else _value(metric, of_float, seen.truth, float_right),
            paired=pair,
            inherited=self.inherited,
            output=output,
            right=right,
            of=self.samples if metric.gather is None else samples_of_clips(self.samples, seen.truth),
            lost=_chosen(seen.names, lost),
            gained=_chosen(seen.names, gained),
            observation=self._observation,
            tables=self._tables(seen),
            drops=None if of_float is None else self._drops(seen, of_float),
        )

    def _tables(self, seen: Observations) -> Callable[[], tuple[Table, ...]] | None:
        detail = self.metric.detail
        return None if detail is None else lambda: detail(seen.outputs, seen.truth, self.classes)

    def _observe(self, outputs: Array, truth: Array) -> Observations:
        names = self.samples.names
        if self.metric.gather is None:
            return Observations(outputs, truth, names)
        return self.metric.gather(outputs, truth, names)

    @property
    def _observation(self) -> str:
        """What one observation is called: samples of a task whose runs are paired by clip are no clips."""
        return self.metric.observation or ("sample" if self.task.paired == CLIP else self.task.paired)

    def _drops(self, seen: Observations, floats: Array) -> Callable[[], Drops]:
        """Draws clips, where the task pairs by clip and the metric has not made clips itself."""
        by_clip = self.task.paired == CLIP and self.metric.gather is None
        together = clips(seen.names).of if by_clip else None
        return lambda: paired_drops(self.metric, floats, seen.outputs, seen.truth, together)


def _chosen(names: Sequence[str], chosen: Bools) -> tuple[str, ...]:
    return tuple(names[int(at)] for at in np.flatnonzero(chosen))


def _value(metric: Metric, outputs: Array, truth: Array, right: Bools | None) -> float:
    """The score as a plain finite number; a user's metric may return any kind of number.

    Where observations are ``right`` or wrong it is their mean (see ``Metric``), and not computed again.
    """
    score = metric.score(outputs, truth) if right is None else mean(right)
    try:
        value = float(score)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"metric {metric.name} returned {type(score).__name__} {score!r}; one number is expected"
        ) from error
    if isnan(value) and metric.undefined:
        raise UsageError(f"metric {metric.name} has no value: {metric.undefined}")
    if not isfinite(value):
        raise UsageError(
            f"metric {metric.name} is {value}, which no limit can judge: look for values that are not finite "
            "in the model's outputs and in the truth"
        )
    return value
