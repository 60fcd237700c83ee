"""TensorFlow Lite Micro in its worker process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.numerics.arrays import Array

_LARGEST_ARENA = 1 << 29


class TflmInterpreter:
    """See ``process.Interpreter``."""

    def __init__(self, data: bytes, request: dict[str, Any], preserve: bool) -> None:
        self._outputs = len(request["outputs"])
        self._again = (data, preserve, request["arena"]) if request["state"] else None
        self._interpreter = _interpreter(data, preserve, request["arena"])

    @staticmethod
    def load() -> None:
        """See ``process.Interpreter``."""
        from tflite_micro.python.tflite_micro import runtime  # noqa: F401

    def begin(self) -> None:
        """See ``process.Interpreter``. Its reset() fills variables with zero points, not with their first
        values, so a new interpreter begins.
        """
        if self._again is not None:
            self._interpreter = _interpreter(*self._again)

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``process.Interpreter``."""
        for index, x in enumerate(inputs):
            self._interpreter.set_input(x, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(index)) for index in range(self._outputs)]

    def tensor(self, index: int) -> Array | None:
        """See ``process.Interpreter``."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])


def _interpreter(data: bytes, preserve: bool, arena: int) -> Any:
    from tflite_micro.python.tflite_micro import runtime

    config = runtime.InterpreterConfig
    kind = config.kPreserveAllTensors if preserve else config.kAllocationRecording
    while True:
        try:
            return runtime.Interpreter.from_bytes(data, arena_size=arena, intrepreter_config=kind)
        except Exception:
            # TFLM gives one answer for an arena that is too small and for a model it refuses.
            arena *= 8
            if arena > _LARGEST_ARENA:
                raise
