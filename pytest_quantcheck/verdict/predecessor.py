"""``Predecessor``: an older model, run beside the one under test on the same runner and the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import runner_of
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.runners.registry import HOST_RUNNERS, host_runner
from pytest_quantcheck.runners.run import Run, Runner
from pytest_quantcheck.verdict.baseline import measured
from pytest_quantcheck.verdict.measure import measure
from pytest_quantcheck.verdict.score import Score


@dataclass(frozen=True)
class Predecessor:
    """``model`` is the older one; ``float_outputs`` serve metrics that compare with the float model."""

    model: QuantizedModel
    float_outputs: FloatSource

    def values(
        self,
        run: Run,
        scores: Sequence[Score],
        task: Task,
        device: Runner | None,
        reference: Runner | None,
    ) -> dict[str, Value]:
        """What the older model scores and costs where ``run`` was made: by ``device`` on a board, else by the
        host runner of that name. Raises ``UsageError`` where it cannot be run there.
        """
        old = self._runner(run, device, reference).run(self.model, run.vectors)
        old_scores = self._scores(run, old, scores, task, reference)
        return {metric: each.value for metric, each in measured(old, old_scores).items()}

    def _runner(self, run: Run, device: Runner | None, reference: Runner | None) -> Runner:
        if run.device.board:
            if device is not None:
                return device
            raise UsageError(
                "--qc-compare runs the older model on the test's board: ask for the fixture board"
            )
        if reference is not None and runner_of(reference, run.model).name == run.runner:
            return reference
        if run.runner in HOST_RUNNERS:
            return host_runner(run.runner)
        raise UsageError(f"--qc-compare cannot run the older model on {run.runner}, which it does not know")

    def _scores(
        self, run: Run, old: Run, scores: Sequence[Score], task: Task, reference: Runner | None
    ) -> list[Score]:
        """The same scores as those of the run, over the same samples where that is possible."""
        if not scores or scores[0].of is None:
            return []
        samples = scores[0].of
        if (
            samples is not run.vectors
        ):  # the run inherited its score from the reference, on the whole test set
            assert isinstance(run.vectors, Samples)
            assert reference is not None
            part = reference.run(self.model, run.vectors)
            same = all(np.array_equal(a, b) for a, b in zip(old.outputs, part.outputs, strict=True))
            samples = samples if same else run.vectors
            old = reference.run(self.model, samples) if same else old
        floats = self.float_outputs(run.model, samples) if scores[0].metric.to_float else None
        found = measure(old, samples, task, scores[0].metric, floats)
        return [replace(each, output=score.output) for each, score in zip(found, scores, strict=False)]
