"""``tflm``: TensorFlow Lite Micro's own kernels, the oracle for what a microcontroller computes.

The ``tflite_micro`` wheel trusts its models, so it runs in a worker process: a damaged model costs
the worker, and the caller gets a ``ModelError`` that names the signal.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError
from pytest_quantcheck.graph.from_tflite.fold import folded_operators
from pytest_quantcheck.graph.model import operator_index, source_of
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.batches import Records, run_in_batches
from pytest_quantcheck.runners.run import OperatorRecord, Run, Vectors, installed
from pytest_quantcheck.runners.tflm_worker import pack, receive, send, unpack

_SAMPLES_AT_ONCE = 32
_ARENA_OVERHEAD = 1 << 16


class TflmRunner:
    """Runs models in the worker process that all runners of this process share.

    ``deadline`` is in seconds, for up to 32 inferences.
    """

    name = "tflm"

    def __init__(self, deadline: float = 120.0) -> None:
        if find_spec("tflite_micro") is None:
            raise MissingExtraError("tflite_micro", "tflm", "the runner tflm")
        self.deadline = deadline

    @property
    def runtime(self) -> str:
        """Implementation and version."""
        return f"tflite_micro {installed('tflite_micro')}"

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """See ``Runner``. Raises ``ModelError`` when TFLM refuses the model or dies of it."""
        sources = source_outputs(model) if operators else ()
        wanted = [tensor for _, _, tensor in sources]

        def infer(inputs: list[Array]) -> tuple[list[Array], list[Records]]:
            *outputs, sums = self._infer(model, inputs, wanted, fetch=False)
            found = [
                tuple(
                    OperatorRecord(index, kind, int(c))
                    for (index, kind, _), c in zip(sources, row, strict=True)
                )
                for row in (sums if operators else ())
            ]
            return outputs, found

        return run_in_batches(
            model,
            vectors,
            infer,
            runner=self.name,
            runtime=self.runtime,
            size=_SAMPLES_AT_ONCE,
            exact=True,
        )

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """See ``Runner``."""
        one = prepare.one_inference(model, inputs)
        return self._infer(model, one, [written_by(model, operator)], fetch=True)[-1]

    def _infer(
        self, model: QuantizedModel, inputs: Sequence[Array], tensors: list[int], *, fetch: bool
    ) -> list[Array]:
        prepare.require_tflite(model.artefact, self.name)
        summary = prepare.summary_of(model.artefact)
        if summary.weights_only:
            raise ModelError(
                f"{model.name} has {summary.weights_only} weights, but computes in float32, for which TFLM "
                f"has no kernels; run it with litert, or quantize the float model with scheme int8"
            )
        activations = sum(4 * max(0, t.elements) for t in summary.tensors if t.data is None)
        request = {
            "verb": "run",
            "model": model.sha256,
            "tensors": tensors,
            "fetch": fetch,
            "outputs": len(summary.outputs),
            "arena": min(2 * activations + 2 * len(model.artefact) + _ARENA_OVERHEAD, 1 << 28),
            "deadline": self.deadline,
        }
        parts = shared_worker().infer(request, model.artefact, [pack(x) for x in inputs])
        return [unpack(part) for part in parts]


def source_outputs(model: QuantizedModel) -> tuple[tuple[int, str, int], ...]:
    """What can be compared, ``(operator_index, kind, tensor)``: all that operators write which do not fold
    into constants."""
    prepare.require_tflite(model.artefact, "tflm")
    summary = prepare.summary_of(model.artefact)
    folded = folded_operators(summary)
    return tuple(
        (operator_index(op.index, number), op.kind, tensor)
        for op in summary.operators
        if op.index not in folded
        for number, tensor in enumerate(op.outputs)
    )


def written_by(model: QuantizedModel, operator: int) -> int:
    """The tensor of an ``operator_index``. ``UsageError`` when the model has no such operator."""
    for index, _, tensor in source_outputs(model):
        if index == operator:
            return tensor
    raise UsageError(f"model {model.name} has no operator {source_of(operator)}")


class Worker:
    """One worker process; started on first use and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: Any = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id while the worker runs."""
        return self._process.pid if self._process is not None else None

    def infer(self, request: dict[str, Any], artefact: bytes, parts: Sequence[bytes]) -> list[bytes]:
        """Send one request and wait for its answer until the deadline."""
        with self._lock:
            header, answer = self._exchange(request, parts)
            if "unknown" in header:
                self._exchange({**request, "verb": "learn"}, [artefact])
                header, answer = self._exchange(request, parts)
        if "error" in header:
            reason = header["error"] + self._last_words()
            raise ModelError(f"TensorFlow Lite Micro refuses the model: {reason}")
        return answer

    def close(self) -> None:
        """End the worker: it leaves when its input closes."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        process.stdout.close()
        self._stderr.close()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest_quantcheck.runners.tflm_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        return self._process

    def _exchange(
        self, request: dict[str, Any], parts: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        self._stderr.seek(0)
        self._stderr.truncate()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(request["deadline"], give_up)
        timer.start()
        try:
            send(process.stdin, request, parts)
            return receive(process.stdout)
        except (EOFError, OSError):
            raise self._obituary(process, late.is_set(), request["deadline"]) from None
        finally:
            timer.cancel()

    def _obituary(self, process: subprocess.Popen[bytes], late: bool, deadline: float) -> ModelError:
        code = process.wait()
        words = self._last_words()
        self.close()
        if late:
            return ModelError(
                f"TensorFlow Lite Micro did not answer within {deadline:g} s and was ended{words}"
            )
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return ModelError(
            f"TensorFlow Lite Micro {how}: the model is damaged, "
            f"or asks for something that its kernels do not check{words}"
        )

    def _last_words(self) -> str:
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace").strip()
        return f"\nits last words: {text[-500:]}" if text else ""


_shared: dict[int, Worker] = {}


def shared_worker() -> Worker:
    """The worker of this process; a forked child gets one of its own."""
    if os.getpid() not in _shared:
        _shared.clear()
        _shared[os.getpid()] = worker = Worker()
        atexit.register(worker.close)
    return _shared[os.getpid()]
