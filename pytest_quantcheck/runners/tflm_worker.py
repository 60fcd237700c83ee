"""The process in which TensorFlow Lite Micro runs: it may crash, its parent must not.

Messages in both directions: the number of parts (u32), then each part with its length (u64); the first
part is JSON, the others are arrays in NumPy's ``.npy`` form or the model's bytes. No pickle.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import zlib
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LARGEST_ARENA = 1 << 29


def send(stream: IO[bytes], header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Write one message."""
    blobs = [json.dumps(header).encode(), *parts]
    stream.write(struct.pack("<I", len(blobs)))
    for blob in blobs:
        stream.write(struct.pack("<Q", len(blob)))
        stream.write(blob)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; ``EOFError`` when the other side is gone."""
    (count,) = struct.unpack("<I", _read(stream, 4))
    blobs = [_read(stream, struct.unpack("<Q", _read(stream, 8))[0]) for _ in range(count)]
    header = json.loads(blobs[0])
    assert isinstance(header, dict)
    return header, blobs[1:]


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def pack(array: Array) -> bytes:
    """An array as ``.npy`` bytes."""
    target = io.BytesIO()
    np.save(target, array, allow_pickle=False)
    return target.getvalue()


def unpack(data: bytes) -> Array:
    """The array of ``.npy`` bytes."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


class _Models:
    """Interpreters by model hash and kind; the last few are kept."""

    KEEP = 8

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}
        self._ready: dict[tuple[str, bool], Any] = {}

    def learn(self, name: str, data: bytes) -> None:
        while len(self._bytes) >= self.KEEP:
            oldest = next(iter(self._bytes))
            del self._bytes[oldest]
            self._ready = {key: value for key, value in self._ready.items() if key[0] != oldest}
        self._bytes[name] = data

    def knows(self, name: str) -> bool:
        return name in self._bytes

    def interpreter(self, name: str, preserve: bool, arena: int) -> Any:
        if (name, preserve) not in self._ready:
            self._ready[name, preserve] = _interpreter(self._bytes[name], preserve, arena)
        return self._ready[name, preserve]


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


def _run(models: _Models, request: dict[str, Any], inputs: Sequence[Array]) -> list[bytes]:
    """Outputs, then either CRC-32 values (N, tensors) or the one tensor asked for."""
    wanted: list[int] = request["tensors"]
    interpreter = models.interpreter(request["model"], bool(wanted), request["arena"])
    outputs: list[list[Array]] = [[] for _ in range(request["outputs"])]
    sums = np.zeros((len(inputs[0]), len(wanted)), np.uint32)
    tensor = np.zeros(0)
    for sample in range(len(inputs[0])):
        for index, x in enumerate(inputs):
            interpreter.set_input(x[sample], index)
        interpreter.invoke()
        for index, values in enumerate(outputs):
            values.append(np.array(interpreter.get_output(index)))
        for column, index in enumerate(wanted):
            tensor = np.array(interpreter.GetTensor(index, 0)["tensor_data"])
            sums[sample, column] = zlib.crc32(np.ascontiguousarray(tensor).tobytes())
    last = tensor if request["fetch"] else sums
    return [*(pack(np.stack(values)) for values in outputs), pack(last)]


def main() -> None:
    """Serve requests until the parent closes the pipe, which it also does by dying."""
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ prints must not end up between messages
    models = _Models()
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
            try:
                send(target, {"ok": True}, _run(models, request, [unpack(part) for part in parts]))
            except Exception as error:
                send(target, {"error": f"{type(error).__name__}: {error}"})
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    main()
