"""``python -m pytest_quantcheck.runners.worker.process INTERPRETER``: it may crash alone."""

from __future__ import annotations

import os
import signal
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, Protocol

import numpy as np

from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.runners.worker.litert import LitertInterpreter
from pytest_quantcheck.runners.worker.messages import pack, receive, send, unpack
from pytest_quantcheck.runners.worker.tflm import TflmInterpreter

NOT_COMPUTED = -1  # in place of a CRC-32


class Interpreter(Protocol):
    """One model, ready to run; ``preserve`` keeps the values of all tensors for ``tensor``."""

    def __init__(self, data: bytes, request: dict[str, Any], preserve: bool) -> None: ...

    @staticmethod
    def load() -> None:
        """Import the library."""

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of one inference; ``inputs`` have the model's shapes and dtypes."""

    def tensor(self, index: int) -> Array | None:
        """What the last inference left in a tensor; None where it was not computed."""

    def begin(self) -> None:
        """From here on nothing is left of earlier inferences."""


INTERPRETERS: dict[str, type[Interpreter]] = {"tflm": TflmInterpreter, "litert": LitertInterpreter}


class _Models:
    """Interpreters by model hash and settings; the last few models are kept."""

    KEEP = 8

    def __init__(self, kind: type[Interpreter]) -> None:
        self._kind = kind
        self._bytes: dict[str, bytes] = {}
        self._ready: dict[tuple[str, str, bool], Interpreter] = {}

    def learn(self, name: str, data: bytes) -> None:
        while len(self._bytes) >= self.KEEP:
            oldest = next(iter(self._bytes))
            del self._bytes[oldest]
            self._ready = {key: value for key, value in self._ready.items() if key[0] != oldest}
        self._bytes[name] = data

    def knows(self, name: str) -> bool:
        return name in self._bytes

    def interpreter(self, request: dict[str, Any]) -> Interpreter:
        name, preserve = request["model"], bool(request["tensors"])
        key = (name, request["kernels"], preserve)
        if key not in self._ready:
            self._ready[key] = self._kind(self._bytes[name], request, preserve)
        return self._ready[key]


def _answer(target: IO[bytes], models: _Models, request: dict[str, Any], inputs: Sequence[Array]) -> None:
    doing = "refuses"
    try:
        interpreter = models.interpreter(request)
        doing = "cannot run"
        parts = _run(interpreter, request, inputs)
    except Exception as error:
        send(target, {"error": f"{doing} the model: {type(error).__name__}: {error}"})
    else:
        send(target, {"ok": True}, parts)


def _run(interpreter: Interpreter, request: dict[str, Any], inputs: Sequence[Array]) -> list[bytes]:
    """Outputs, then either CRC-32 values (N, T, tensors) or the one tensor asked for (T: steps, or 1)."""
    wanted: list[int] = request["tensors"]
    outputs: list[list[Array]] = [[] for _ in request["outputs"]]
    steps = inputs[0].shape[1] if request["steps"] else 1
    sums = np.full((len(inputs[0]), steps, len(wanted)), NOT_COMPUTED, np.int64)
    tensor: Array | None = None
    for sample, step in np.ndindex(len(inputs[0]), steps):
        if step == 0:
            interpreter.begin()
        one = [x[sample, step] if request["steps"] else x[sample] for x in inputs]
        for values, value in zip(outputs, interpreter.infer(one), strict=True):
            values.append(value)
        for column, index in enumerate(wanted):
            tensor = interpreter.tensor(index)
            if tensor is not None:
                sums[sample, step, column] = zlib.crc32(np.ascontiguousarray(tensor).tobytes())
    if request["fetch"] and tensor is None:
        raise ValueError(f"tensor {wanted} is read by no operator, and not computed")
    last = tensor if request["fetch"] and tensor is not None else sums
    shape = (len(inputs[0]), steps) if request["steps"] else (len(inputs[0]),)
    return [*(pack(np.stack(values).reshape(*shape, *values[0].shape)) for values in outputs), pack(last)]


def main(kind: str) -> None:
    """Serve requests until the parent closes the pipe, which it also does by dying."""
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ prints must not end up between messages
    models = _Models(INTERPRETERS[kind])
    with suppress(Exception):  # a broken installation is told where a model needs it
        INTERPRETERS[kind].load()  # the parent is still busy with what it will ask
    while True:
        try:
            request, parts = receive(source)
        except EOFError:
            return
        if hasattr(signal, "alarm"):
            # An inference that never ends would outlive a parent that was killed.
            signal.alarm(int(request["deadline"]) + 10)
        if request["verb"] == "learn":
            models.learn(request["model"], parts[0])
            send(target, {"ok": True})
        elif not models.knows(request["model"]):
            send(target, {"unknown": True})
        else:
            _answer(target, models, request, [unpack(part) for part in parts])
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1])
