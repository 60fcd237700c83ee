"""``Remembering``: a runner that keeps its last runs, so that one reference run serves several checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.run import Run, Runner, Vectors

KEEP = 16  # a session looks at few models at a time


class Remembering:
    """Keeps the last ``KEEP`` runs of ``runner`` by what went in: the artefact and the vectors' content."""

    def __init__(self, runner: Runner) -> None:
        self.name = runner.name
        self.runner = runner
        self._runs: dict[tuple[str, bytes], Run] = {}
        self._lock = Lock()

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """As the runner's own ``run``; the same model and vectors are run once (not with ``operators``)."""
        if operators or not isinstance(
            vectors, (Samples, Raw)
        ):  # the runner refuses others with its own message
            return self.runner.run(model, vectors, operators=operators)
        key = (model.sha256, vectors.digest)
        with self._lock:
            if key not in self._runs:
                while len(self._runs) >= KEEP:
                    del self._runs[next(iter(self._runs))]
                self._runs[key] = _kept(self.runner.run(model, vectors))
            run = self._runs[key]
            return (
                run if run.model is model else replace(run, model=model)
            )  # of equal content, perhaps with another name

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """As the runner's own ``tensor``."""
        return self.runner.tensor(model, inputs, operator)


def _kept(run: Run) -> Run:
    """The run with arrays that nobody can change: they are what later runs are compared with."""
    for array in (*run.inputs, *run.outputs):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return run
