"""``Score``: what a metric says about one output of a run, beside the float model on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric, Observations
from pytest_quantcheck.verdict.metrics.paired import Paired, paired
from pytest_quantcheck.verdict.table import Table
from pytest_quantcheck.wording import counted


@dataclass(frozen=True)
class Score:
    """``value`` over ``samples`` observations, and ``float_value``, the float model's on the same ones.

    An ``observation`` is a sample, or what the metric makes of several of all ``vectors``, such as a clip.
    ``output`` names the output where the model has several. ``inherited`` names the host reference where the
    run's vectors are a part of the test set and its outputs are the reference's: the score is then over the
    whole test set. ``of`` are the observations; ``right`` says per observation whether it was right, where
    the metric knows; ``lost`` and ``gained`` are the names of those that only the float model, or only this
    run, got right. ``detail`` holds the numbers behind ``value``. ``drops`` draws the drop many times, where
    there is a float model. ``judged``: limits are for it; a task's further metrics are only shown.
    """

    metric: Metric
    samples: int
    value: float
    float_value: float | None = None
    paired: Paired | None = None
    inherited: str = ""
    output: str = ""
    right: Bools | None = field(default=None, repr=False, compare=False)
    of: Samples | None = field(default=None, repr=False, compare=False)
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    judged: bool = True
    vectors: int = 0
    observation: str = "sample"
    detail: tuple[Table, ...] = field(default=(), repr=False)
    drops: Callable[[], Drops] | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``accuracy``, or ``accuracy of boxes`` where the model has several outputs."""
        return f"{self.metric.name} of {self.output}" if self.output else self.metric.name

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
        text = f"{self.name} {self.show(self.value)} on {counted(self.samples, self.observation)}"
        if self.inherited:
            text += f" (as {self.inherited}, whose outputs are the same)"
        if self.float_value is not None and not self.metric.to_float:
            text += f", float {self.show(self.float_value)}"
        if self.paired is not None and not self.metric.to_float:
            text += (
                f"; {self.paired.lost} lost, {self.paired.gained} gained, p = {self.paired.p_value:.3g}, "
                f"one {self.observation} is {1 / self.samples:.3%}"
            )
        return text


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
    real = tuple(prepare.dequantize_output(run.model, raw, which) for which, raw in enumerate(run.outputs))
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
    return tuple(
        _score(
            metric,
            _observe(metric, outputs[which], truth, samples),
            _observe(metric, references[which], truth, samples).outputs if references else None,
            samples,
            task,
            inherited=inherited,
            output=names[which],
            classes=classes,
        )
        for which, truth in enumerate(truths)
    )


def output_names(run: Run) -> list[str]:
    """The names of a model's outputs as its file gives them."""
    return [tensor.name for tensor in prepare.summary_of(run.model.artefact).output_tensors]


def names_classes(output: Array) -> bool:
    """Whether each of N outputs is one class vector: one axis, and only one, is longer than 1."""
    return sum(size > 1 for size in output.shape[1:]) == 1 and prod(output.shape[1:]) > 1


def _observe(metric: Metric, outputs: Array, truth: Array, samples: Samples) -> Observations:
    if metric.gather is None:
        return Observations(outputs, truth, samples.names)
    return metric.gather(outputs, truth, samples.names)


def _score(
    metric: Metric,
    seen: Observations,
    floats: Array | None,
    samples: Samples,
    task: Task,
    *,
    inherited: str,
    output: str,
    classes: Sequence[str],
) -> Score:
    right = metric.per_sample(seen.outputs, seen.truth) if metric.per_sample is not None else None
    pair = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    if floats is not None and metric.per_sample is not None and right is not None:
        float_right = metric.per_sample(floats, seen.truth)
        pair = paired(float_right, right)
        lost, gained = (_ids(seen.names, float_right & ~right), _ids(seen.names, right & ~float_right))
    return Score(
        metric=metric,
        samples=len(seen.names),
        vectors=len(samples),
        value=_number(metric, seen.outputs, seen.truth),
        float_value=None if floats is None else _number(metric, floats, seen.truth),
        paired=pair,
        inherited=inherited,
        output=output,
        right=right,
        of=samples if metric.gather is None else samples_of_clips(samples, seen.truth),
        lost=lost,
        gained=gained,
        observation=_observation(metric, task),
        detail=metric.detail(seen.outputs, seen.truth, classes) if metric.detail is not None else (),
        drops=None if floats is None else _drops(metric, seen, floats, task),
    )


def _observation(metric: Metric, task: Task) -> str:
    """What one observation is called: the samples of a task whose runs are paired by clip are no clips."""
    return metric.observation or ("sample" if task.paired == CLIP else task.paired)


def _drops(metric: Metric, seen: Observations, floats: Array, task: Task) -> Callable[[], Drops]:
    """Draws clips, where the task pairs by clip and the metric has not made clips of the samples itself."""
    together = clips(seen.names).of if task.paired == CLIP and metric.gather is None else None
    return lambda: paired_drops(metric, floats, seen.outputs, seen.truth, together)


def _ids(names: Sequence[str], chosen: Bools) -> tuple[str, ...]:
    return tuple(names[int(at)] for at in np.flatnonzero(chosen))


def _number(metric: Metric, outputs: Array, truth: Array) -> float:
    """The score as a plain finite number; a user's metric may return any kind of number."""
    score = metric.score(outputs, truth)
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
