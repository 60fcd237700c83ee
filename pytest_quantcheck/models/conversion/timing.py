"""Models run one sample at a time, each inference timed alone; runs in the converter's process (``worker``).

Both functions return an ``.npz``: ``seconds`` (N,) of wall time, and the outputs ``o0``, ``o1``, ...,
(N, ...) each. The last model is kept, so that samples may come in several calls.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.models.conversion import converter
from pytest_quantcheck.numerics.arrays import Array


def time_keras(path: str, sha256: str, samples: Sequence[Array]) -> bytes:
    """A Keras file of that hash by ``predict_on_batch``, in batches of one. Raises ``ModelError``.

    The ``.npz`` also holds ``parameters``, the number of them in the file.
    """
    model = _keras(path, sha256)

    def infer(inputs: list[Array]) -> Any:
        return model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])

    def outputs(answer: Any) -> list[Array]:
        return list(answer) if isinstance(answer, (list, tuple)) else [answer]

    return _timed(samples, lambda inputs: inputs, infer, outputs, parameters=int(model.count_params()))


def time_tflite(content: bytes, threads: int, samples: Sequence[Array]) -> bytes:
    """A ``.tflite`` file by TensorFlow's own interpreter, of which ``invoke`` alone is timed.

    ``samples`` (N, ...) have the types of the file's inputs. Raises ``ModelError``.
    """
    interpreter, inputs, outputs = _interpreter(content, threads)

    def put(arrays: list[Array]) -> None:
        for index, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(index, array)

    def get(_: None) -> list[Array]:
        return [interpreter.get_tensor(index) for index in outputs]

    return _timed(samples, put, lambda _: interpreter.invoke(), get)


@lru_cache(maxsize=1)
def _keras(path: str, _sha256: str) -> Any:
    return converter.load_keras(path)


@lru_cache(maxsize=1)
def _interpreter(content: bytes, threads: int) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    summary = read_tflite_summary(content)
    try:
        made = converter.tensorflow().lite.Interpreter(model_content=content, num_threads=threads)
        made.allocate_tensors()
    except Exception as error:  # a RuntimeError or a ValueError, by the part that refuses
        raise ModelError(f"TensorFlow's interpreter refuses the model: {error}") from error
    return made, summary.inputs, summary.outputs


def _timed(
    samples: Sequence[Array],
    before: Callable[[list[Array]], Any],
    infer: Callable[[Any], Any],
    after: Callable[[Any], list[Array]],
    **more: Any,
) -> bytes:
    """Each sample through all three, of which only ``infer`` counts; ``more`` is stored beside."""
    seconds: list[float] = []
    found: list[list[Array]] = []
    for i in range(len(samples[0])):
        ready = before([array[i] for array in samples])
        start = time.perf_counter()
        try:
            answer = infer(ready)
        except Exception as error:  # layers raise whatever they raise
            raise ModelError(f"TensorFlow cannot run the model: {error}") from error
        seconds.append(time.perf_counter() - start)
        found.append([np.array(output) for output in after(answer)])
    stored = io.BytesIO()
    arrays: dict[str, Any] = {f"o{n}": np.stack(values) for n, values in enumerate(zip(*found, strict=True))}
    np.savez(stored, seconds=np.asarray(seconds), **more, **arrays)
    return stored.getvalue()
