"""The demo on one board: every model streamed, and judged against the exact host reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.sabotage import broken_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.metrics.classification import accuracy
from pytest_quantcheck.verdict.verdict import Verdict

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class HostScore:
    """Accuracy of a model on all ``samples`` on the host; ``float_accuracy``: None without LiteRT and TFLM.

    ``runtime`` names the reference.
    """

    float_accuracy: float | None
    accuracy: float
    runtime: str
    samples: int


@dataclass
class Judge:
    """Judges models on boards. ``samples`` have labels. One judge may serve several threads once ``host``
    has been called for every model.
    """

    samples: Samples
    exact: Runner = field(default_factory=exact_runner)

    def __post_init__(self) -> None:
        self.reference = Remembering(self.exact)
        # One host runtime is enough to show; TFLM's float kernels need no second one.
        self.float_outputs = FloatOutputs(self.exact if self.exact.name == "tflm" else None)

    def host(self, model: QuantizedModel) -> HostScore:
        """Run the reference and the float model on all samples."""
        (labels,) = self.samples.truths
        run = self.reference.run(model, self.samples)
        outputs = prepare.dequantize_output(model, run.outputs[0])
        floats = self.float_outputs(model, self.samples)
        return HostScore(
            float_accuracy=None if floats is None else accuracy(floats[0], labels),
            accuracy=accuracy(outputs, labels),
            runtime=run.runtime,
            samples=len(self.samples),
        )

    def board(
        self,
        entry: BoardEntry,
        models: Sequence[QuantizedModel],
        *,
        vectors: int,
        log_dir: Path,
        fault: str = "",
        progress: Progress | None = None,
    ) -> Iterator[Verdict]:
        """One verdict per model, on the first ``vectors`` samples; ``fault`` breaks the board's images.

        Raises ``RigFault``, and ``MissingExtraError`` or ``UsageError`` when the board cannot be had here.
        """
        samples = self.samples if vectors >= len(self.samples) else self.samples.take(range(vectors))
        with BoardSession([entry], log_dir=log_dir, who="quantcheck demo", progress=progress) as session:
            makers = {"qcm": broken_image(fault)} if fault else {}
            runner = BoardRunner(session, makers=makers)
            for model in models:
                yield self._verdict(runner, model, samples)

    def _verdict(self, runner: BoardRunner, model: QuantizedModel, samples: Samples) -> Verdict:
        verdicts: list[Verdict] = []
        gate = Gate(
            reference=self.reference, device=runner, float_outputs=self.float_outputs, record=verdicts.append
        )
        run = runner.run(model, samples)
        with suppress(AssertionError):  # the verdict says it as well
            gate.check(run, exact=True)
        return verdicts[0]
