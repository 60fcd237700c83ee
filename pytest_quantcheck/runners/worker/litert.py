"""LiteRT in its worker process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.numerics.arrays import Array


class LitertInterpreter:
    """See ``process.Interpreter``. Tensors go by index: a damaged name cannot be read."""

    def __init__(self, data: bytes, request: dict[str, Any], preserve: bool) -> None:
        self._inputs, self._outputs = request["inputs"], request["outputs"]
        self._again = (data, request, preserve) if request["state"] else None
        self._start(data, request, preserve)

    def begin(self) -> None:
        """See ``process.Interpreter``. Its reset_all_variables() keeps what ASSIGN_VARIABLE left."""
        if self._again is not None:
            self._start(*self._again)

    def _start(self, data: bytes, request: dict[str, Any], preserve: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        with warnings.catch_warnings():
            # LiteRT warns that all tensors cannot be kept under its default delegate; it keeps them.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = Interpreter(
                model_content=data,
                experimental_op_resolver_type=OpResolverType[request["kernels"]],
                experimental_preserve_all_tensors=preserve,
                num_threads=1,
            )
        self._interpreter.allocate_tensors()

    @staticmethod
    def load() -> None:
        """See ``process.Interpreter``."""
        import ai_edge_litert.interpreter  # noqa: F401

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``process.Interpreter``."""
        for index, x in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, x)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_tensor(index)) for index in self._outputs]

    def tensor(self, index: int) -> Array | None:
        """See ``process.Interpreter``."""
        try:
            return np.array(self._interpreter.get_tensor(index))
        except ValueError:  # LiteRT does not compute tensors that nobody reads
            return None
