"""A process that takes damaged models through the commands, as users would, watched by its parent.

onnxruntime runs in it, and may take it down; TFLM and LiteRT run in worker processes of its own.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import re
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.cli import main
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.summary import TensorSummary

TARGETS = ("virtual-esp32c3", "virtual-stm32f405")
SECONDS = 10.0  # of the processor, for one command
PATIENCE = 300.0  # seconds until a command that does not answer is given up, on a machine with other work
BYTES = 1 << 30
SAMPLES = 3
_BUG = "this is a bug"
_MOST = 1 << 20  # elements of an input that is given


@dataclass(frozen=True)
class Answer:
    """What one command came to: exit code and text; the process's time in seconds, its memory in bytes.

    ``code`` is None where the process died, or was ended because it did not answer.
    """

    call: str
    code: int | None
    text: str
    seconds: float = 0.0
    peak: int = 0

    def __str__(self) -> str:
        spent = f"{self.seconds:.1f} s, {self.peak} bytes"
        return f"{self.call}: exit code {self.code}, {spent}\n{self.text}"

    @property
    def late(self) -> bool:
        """Ended because it did not answer."""
        return self.code is None and self.text == LATE

    @property
    def hung(self) -> bool:
        """More time or memory than any command may take."""
        return self.late or self.seconds > SECONDS or self.peak > BYTES

    @property
    def crashed(self) -> bool:
        """A traceback, or the death of the process."""
        return (self.code is None and not self.late) or _BUG in self.text

    @property
    def wrong_pass(self) -> bool:
        """Two runners that promise the same integers gave different ones, and no note says why."""
        return self.call == "compare tflm" and self.code == 1 and "\nnote: " not in self.text


LATE = "no answer"


class Victim:
    """The process; started anew where it died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Any = None
        self._line: Connection | None = None

    def attack(self, artefact: bytes, original: bytes) -> list[Answer]:
        """What the commands make of a damaged model; ``original`` says what inputs the user has at hand."""
        line = self._start()
        path = self.folder / f"m{'.onnx' if is_onnx(original) else '.tflite'}"
        path.write_bytes(artefact)
        line.send((path, original))
        answers: list[Answer] = []
        call = "the first command"
        while True:
            try:
                message = line.recv() if line.poll(PATIENCE) else Answer(call, None, LATE)
            except (EOFError, OSError):
                self._process.join()
                message = Answer(call, None, f"died with exit code {self._process.exitcode}")
            if message is None:
                return answers
            if isinstance(message, str):
                call = message
                continue
            answers.append(message)
            if message.code is None:
                self.close()
                return answers

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            assert self._line is not None
            self._line.close()
        self._process = self._line = None

    def _start(self) -> Connection:
        if self._line is None:
            context = multiprocessing.get_context("spawn")
            self._line, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            assert self._line.poll(120), "the process does not start"
            assert self._line.recv() == "ready"
        return self._line


def serve(line: Connection) -> None:
    """Attack after attack, until the other side closes."""
    line.send("ready")
    with contextlib.suppress(EOFError, OSError):
        while True:
            path, original = line.recv()
            for call, argv in _calls(path, original):
                line.send(call)
                line.send(_answer(call, argv))
            line.send(None)


def _calls(path: Path, original: bytes) -> Iterator[tuple[str, list[str]]]:
    inputs = str(_inputs(path, original))
    for target in TARGETS:
        yield f"check {target}", ["check", str(path), "--target", target]
    for other in ("onnxruntime",) if is_onnx(original) else ("tflm", "litert"):
        yield f"compare {other}", ["compare", str(path), "--a", other, "--b", "integer", "--inputs", inputs]


def _answer(call: str, argv: list[str]) -> Answer:
    for pid in _processes():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak; see proc(5)
    printed = io.StringIO()
    start = time.process_time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = main(argv)
        except BaseException:  # what gets past the command's own last resort
            code, _ = 2, printed.write(f"{_BUG}\n{traceback.format_exc()}")
    return Answer(call, code, printed.getvalue(), time.process_time() - start, max(map(_peak, _processes())))


def _processes() -> list[int]:
    """This process and its workers."""
    own = os.getpid()
    return [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())]


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) * 1024
    return 0  # it has just ended


def _inputs(path: Path, original: bytes) -> Path:
    """Random inputs as the damaged file wants them; where it says nothing sensible, as the sound one did."""
    rng = np.random.default_rng(0)
    try:
        arrays = [_random(rng, tensor) for tensor in read_summary(path.read_bytes()).input_tensors]
    except (QuantcheckError, ValueError, TypeError):
        arrays = [_random(rng, tensor) for tensor in read_summary(original).input_tensors]
    target = path.with_suffix(".npz")
    np.savez(target, *arrays)
    return target


def _random(rng: np.random.Generator, tensor: TensorSummary) -> Any:
    if not 0 < tensor.elements <= _MOST or min(tensor.shape, default=1) < 1:
        raise ValueError("no input of that shape")
    shape = (SAMPLES, *tensor.shape)
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
