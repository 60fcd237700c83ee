"""How the lab runs a model: by TensorFlow, sample after sample, each inference timed alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.models.conversion.converter import keras_version, tensorflow_version
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.prepare import dequantize_output
from pytest_quantcheck.runners.run import Run, Vectors

TIMING = "pytest_quantcheck.models.conversion.timing"
BATCH = 32


@dataclass(frozen=True, eq=False)
class Timed:
    """A run, and how long each of its N inferences took, in seconds. ``parameters`` is 0 where the file does
    not say how many it has.
    """

    run: Run
    seconds: npt.NDArray[np.float64]
    parameters: int = 0

    @property
    def kept_ms(self) -> npt.NDArray[np.float64]:
        """Milliseconds of all inferences but the first, which also sets the runtime up; of one alone that."""
        return 1000 * (self.seconds[1:] if len(self.seconds) > 1 else self.seconds)

    @property
    def outputs(self) -> Array:
        """The first output in the float domain, (N, ...)."""
        return dequantize_output(self.run.model, self.run.outputs[0])


def run_keras(path: Path, sha256: str, model: QuantizedModel, samples: Samples) -> Timed:
    """The Keras file that ``model``, a float ``.tflite``, was converted from. Raises ``ModelError``."""

    def call(inputs: Sequence[Array]) -> bytes:
        worker = shared_worker(TIMING, "TensorFlow")
        return worker.call("time_keras", arrays=inputs, path=str(path.resolve()), sha256=sha256)

    return _timed(model, samples, call, "keras", f"Keras {keras_version()}")


def run_tflite(model: QuantizedModel, samples: Vectors, threads: int) -> Timed:
    """A ``.tflite`` artefact on ``threads`` threads. Raises ``ModelError``."""

    def call(inputs: Sequence[Array]) -> bytes:
        worker = shared_worker(TIMING, "TensorFlow")
        return worker.call("time_tflite", content=model.artefact, arrays=inputs, threads=threads)

    return _timed(model, samples, call, "tf.lite", f"TensorFlow {tensorflow_version()}")


def _timed(
    model: QuantizedModel,
    samples: Vectors,
    call: Callable[[Sequence[Array]], bytes],
    runner: str,
    runtime: str,
) -> Timed:
    seconds: list[npt.NDArray[np.float64]] = []
    parameters = 0

    def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
        nonlocal parameters
        with np.load(io.BytesIO(call(inputs)), allow_pickle=False) as made:
            seconds.append(made["seconds"])
            parameters = int(made["parameters"]) if "parameters" in made.files else 0
            return [made[f"o{n}"] for n in range(sum(name[0] == "o" for name in made.files))], []

    run = run_in_batches(model, samples, infer, runner=runner, runtime=runtime, size=BATCH)
    return Timed(run, np.concatenate(seconds), parameters)


class FloatRow:
    """The float model's outputs, as the row ``tflite-fp32`` gives them: a ``verdict`` compares with it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._kept: dict[tuple[str, bytes], Timed] = {}

    def __call__(self, model: QuantizedModel, samples: Samples) -> tuple[Array, ...]:
        """See ``runners.float_outputs.FloatSource``."""
        return self.timed(QuantizedModel(model.name, model.float_model), samples).run.outputs

    def missing(self, model: QuantizedModel) -> str:
        """See ``runners.float_outputs.FloatSource``."""
        return "" if model.float_model else "there is no float model"

    def timed(self, model: QuantizedModel, samples: Samples) -> Timed:
        """A float ``.tflite``, run once for the same samples."""
        key = model.sha256, samples.digest
        if key not in self._kept:
            self._kept[key] = run_tflite(model, samples, self._threads)
        return self._kept[key]
