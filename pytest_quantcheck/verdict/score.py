"""``Score``: what a metric says about one output of a run, beside the float model on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.verdict.metrics.bootstrap import Drops
from pytest_quantcheck.verdict.metrics.metric import Bools, Metric
from pytest_quantcheck.verdict.metrics.paired import Paired
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
    run, got right. ``tables`` computes ``detail``. ``drops`` draws the drop many times, where
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
    tables: Callable[[], tuple[Table, ...]] | None = field(default=None, repr=False, compare=False)
    drops: Callable[[], Drops] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def detail(self) -> tuple[Table, ...]:
        """The numbers behind ``value``, computed when they are first asked for."""
        return self.tables() if self.tables is not None else ()

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
