"""``WorkerRunner``: what runners have in common whose interpreter lives in a worker process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors
from pytest_quantcheck.runners.source_outputs import source_outputs, written_by
from pytest_quantcheck.runners.worker.messages import pack, unpack
from pytest_quantcheck.runners.worker.parent import WorkerDiedError, shared_worker


class WorkerRunner:
    """Runs ``.tflite`` files in the worker process that all runners of this process and kind share.

    ``deadline`` is in seconds, for up to ``samples_at_once`` inferences.
    """

    name: str
    title: str  # what messages call the interpreter
    interpreter: str  # its name in ``worker.process.INTERPRETERS``
    kernels = ""  # which of its sets of kernels, where it has several
    exact = False
    samples_at_once = 32

    def __init__(self, deadline: float = 120.0) -> None:
        self.deadline = deadline

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        raise NotImplementedError

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``. Raises ``ModelError`` when the interpreter refuses the model or dies of it."""
        prepare.require_tflite(model.artefact, self.title)
        sources = source_outputs(model) if operators else ()
        wanted = [tensor for _, _, tensor in sources]
        done = 0

        def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
            nonlocal done
            try:
                *outputs, sums = self._infer(model, inputs, wanted, fetch=False)
            except WorkerDiedError as error:
                raise self._explained(model, vectors, inputs, done, error) from None
            done += len(inputs[0])
            self._check_sizes(model, outputs, math.prod(prepare.steps_of(model, inputs)))
            found = [
                tuple(
                    OperatorRecord(index, kind, int(c) if c >= 0 else None, step=step)
                    for step, row in enumerate(rows)
                    for (index, kind, _), c in zip(sources, row, strict=True)
                )
                for rows in (sums if operators else ())
            ]
            return outputs, found

        return run_in_batches(
            model,
            vectors,
            infer,
            runner=self.name,
            runtime=self.runtime,
            size=self.samples_at_once,
            exact=self.exact,
        )

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        prepare.require_tflite(model.artefact, self.title)
        one = prepare.one_inference(model, inputs)
        return self._infer(model, one, [written_by(model, operator)], fetch=True)[-1]

    def _request(self, model: QuantizedModel) -> dict[str, Any]:
        """What the interpreter needs to know besides the model's bytes."""
        summary = prepare.summary_of(model.artefact)
        return {
            "verb": "run",
            "model": model.sha256,
            "kernels": self.kernels,
            "inputs": list(summary.inputs),
            "outputs": list(summary.outputs),
            "state": summary.has_state,
            "deadline": self.deadline,
        }

    def _infer(
        self, model: QuantizedModel, inputs: Sequence[Array], tensors: list[int], *, fetch: bool
    ) -> list[Array]:
        steps = bool(prepare.steps_of(model, inputs))
        request = {**self._request(model), "tensors": tensors, "fetch": fetch, "steps": steps}
        worker = shared_worker(self.interpreter, self.title)
        return [unpack(part) for part in worker.infer(request, model.artefact, [pack(x) for x in inputs])]

    def _check_sizes(self, model: QuantizedModel, outputs: Sequence[Array], steps: int) -> None:
        """The interpreter computes shapes itself; the file may say something else."""
        tensors = prepare.summary_of(model.artefact).output_tensors
        for tensor, values in zip(tensors, outputs, strict=True):
            if values[0].size != steps * tensor.elements:
                raise ModelError(
                    f"output '{tensor.name}' is {tensor.shape} by the file, but {self.title} gives "
                    f"{values.shape[1:]}; convert the model again"
                )

    def _explained(
        self,
        model: QuantizedModel,
        vectors: Vectors,
        inputs: Sequence[Array],
        first: int,
        error: WorkerDiedError,
    ) -> ModelError:
        """The same death, with the sample that causes it and what the reader of the file noted."""
        lines = [str(error)]
        for place in range(len(inputs[0])):
            try:
                self._infer(model, [x[place : place + 1] for x in inputs], [], fetch=False)
            except WorkerDiedError:
                number = first + place
                name = vectors.names[number] if isinstance(vectors, Samples) else number
                lines.append(f"the first sample that it crashes on: {name}")
                break
        with suppress(ModelError):
            lines += model.graph.notes
        return WorkerDiedError("\n".join(lines))
