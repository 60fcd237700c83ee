"""A converter in a process of its own: the 0.5 GB and 3 s of TensorFlow are not a test process's.

A model that crashes the converter, or keeps it busy for ever, ends this process, not pytest's. Requests and
answers are JSON lines; arrays and bytes travel in files of a temporary folder. Run with ``python -m`` and the
name of a module, this module is the child.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from pytest_quantcheck import errors
from pytest_quantcheck.data.lazy import BLOCK, Lazy
from pytest_quantcheck.data.progress import tracked
from pytest_quantcheck.errors import ModelError, ProcessEndedError, UsageError
from pytest_quantcheck.models.conversion.watch import Watch, memory_limit_mib, time_limit_s
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.temporary import OwnFolder

CONVERTER = "pytest_quantcheck.models.conversion.converter"


class Worker:
    """A child process that calls the functions of ``module``; started when first needed.

    ``library`` is what messages call the code that does the work.
    """

    def __init__(
        self,
        timeout_s: float | None = None,
        memory_mib: int | None = None,
        *,
        module: str = CONVERTER,
        library: str = "TensorFlow",
    ) -> None:
        """Limits that are not given are those of ``QC_CONVERSION_S`` and ``QC_CONVERSION_MIB``."""
        self._module, self._library = module, library
        self._timeout_s, self._memory_mib = timeout_s, memory_mib
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folder: OwnFolder | None = None

    def call(self, function: str, *, arrays: Sequence[Array] = (), content: bytes = b"", **how: Any) -> bytes:
        """Run one function of the module, with ``content`` and ``arrays`` as its ``content`` and ``samples``.

        Returns its bytes, raises what it raised.
        """
        timeout_s = self._timeout_s or time_limit_s()
        memory_mib = self._memory_mib or memory_limit_mib()
        with self._lock:
            process, folder = self._running()
            with _written_to(folder):
                (folder / "content").write_bytes(content)
                for i, array in enumerate(arrays):
                    if not isinstance(array, Lazy):
                        np.save(folder / f"{i}.npy", array, allow_pickle=False)
            lengths = [len(array) if isinstance(array, Lazy) else None for array in arrays]
            request = {"function": function, "content": bool(content), "arrays": lengths, "how": how}
            request["seconds"] = timeout_s
            answer = self._exchange(process, request, Watch(process, timeout_s, memory_mib))
            steps = sum(-(-(length or 0) // BLOCK) for length in lengths)
            progress = tracked(range(steps), steps, f"reading samples for {self._library}")
            while "rows" in answer:  # the child goes through an array whose rows are made when asked for
                next(progress, None)
                number, start, stop = answer["rows"]
                try:
                    (folder / f"{number}.npy").unlink(missing_ok=True)  # the child still looks at the old one
                    block = arrays[number][start:stop]
                    with _written_to(folder):
                        np.save(folder / f"{number}.npy", block, allow_pickle=False)
                except BaseException:
                    self.close()  # it waits for these rows
                    raise
                more = {"function": function, "seconds": timeout_s}
                answer = self._exchange(process, more, Watch(process, timeout_s, memory_mib))
            if "error" in answer:
                raise getattr(errors, answer["error"])(*answer["arguments"])
            return (folder / "answer").read_bytes()

    def close(self) -> None:
        """End the child and remove its folder; the next call starts another one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._process, self._folder = None, None

    def _running(self) -> tuple[subprocess.Popen[str], Path]:
        if self._process is None or self._process.poll() is not None or self._folder is None:
            self.close()
            self._folder = OwnFolder("worker")
            self._process = _start(self._module, self._folder.path)
        return self._process, self._folder.path

    def _exchange(
        self, process: subprocess.Popen[str], request: dict[str, Any], watch: Watch
    ) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with watch:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        status, log = process.wait(), self._log()
        self.close()
        if watch.exceeded:
            raise ModelError(f"{self._library} did not finish {request['function']} within {watch.exceeded}")
        if ProcessEndedError.applies_to(status):
            raise ProcessEndedError(self._library, -status)
        raise ModelError(
            f"{self._library} crashed in {request['function']} (exit status {status}): the model is damaged, "
            f"or {self._library} has a bug. Its last output: {log or 'none'}"
        )

    def _log(self) -> str:
        assert self._folder is not None
        lines = (self._folder.path / "log").read_text(errors="replace").splitlines()
        return " / ".join([line.strip() for line in lines if "rror" in line][-2:])


@contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    """What cannot be written to the temporary folder is an error that says so."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the temporary folder {folder} cannot be written ({error.strerror or error}); make room there, "
            "or name another place with the variable TMPDIR"
        ) from error


def _start(module: str, folder: Path) -> subprocess.Popen[str]:
    package_root = str(Path(__file__).resolve().parents[3])
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH")))),
        KERAS_BACKEND="tensorflow",
        TF_USE_LEGACY_KERAS="0",
        TF_CPP_MIN_LOG_LEVEL="3",
        CUDA_VISIBLE_DEVICES="-1",  # a graphics card would only change the last bits
        TMPDIR=str(folder),  # what the library leaves there, such as AutoGraph's files, goes with the folder
    )
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest_quantcheck.models.conversion.worker", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment,
            text=True,
            encoding="utf-8",
        )


def _serve(module: str) -> None:
    """The child: answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the library prints goes to the log, never between the answers
    functions = importlib.import_module(module)
    while line := sys.stdin.readline():
        request = json.loads(line)
        _watch(request["seconds"])
        requests = _Requests(answers)
        try:
            how = request["how"]
            if request["content"]:
                how["content"] = Path("content").read_bytes()
            if request["arrays"]:
                how["samples"] = [_samples(i, length, requests) for i, length in enumerate(request["arrays"])]
            Path("answer").write_bytes(getattr(functions, request["function"])(**how))
            answer = {}
        except errors.MissingExtraError as error:
            what = "Converting and quantizing models"
            answer = {"error": "MissingExtraError", "arguments": [error.package, error.extra, what]}
        except errors.QuantcheckError as error:
            answer = {"error": type(error).__name__, "arguments": [str(error)]}
        except Exception as error:
            answer = {"error": "ModelError", "arguments": [f"{type(error).__name__}: {error}"]}
        requests.finish()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


class _Requests:
    """In the child: blocks of rows that the parent was asked for, answered in this order."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._open: list[int] = []

    def ask(self, number: int, start: int, stop: int) -> None:
        """Ask for rows of the array ``number``; the parent makes them meanwhile."""
        self._answers.write(json.dumps({"rows": [number, start, stop]}) + "\n")
        self._answers.flush()
        self._open.append(number)

    def wait(self, number: int) -> None:
        """Until what was asked of this array is there."""
        while number in self._open:
            _watch(json.loads(sys.stdin.readline())["seconds"])
            self._open.pop(0)

    def finish(self) -> None:
        """Until nothing is on its way: the next line is another request."""
        while self._open:
            self.wait(self._open[-1])


class _Rows:
    """In the child: an array that the parent makes block by block, for code that goes from front to back.

    While one block is worked on the parent makes the next.
    """

    def __init__(self, number: int, length: int, requests: _Requests) -> None:
        self._number, self._length, self._requests = number, length, requests
        self._start, self._block = 0, np.zeros((0, 0))
        self._ahead = 0, 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: slice) -> Array:
        if not self._start <= rows.start <= rows.stop <= self._start + len(self._block):
            self._fetch(rows)
        return self._block[rows.start - self._start : rows.stop - self._start]

    def _fetch(self, rows: slice) -> None:
        """The block that begins with ``rows``; the file of the one before is gone, not what is mapped."""
        self._requests.wait(self._number)
        if not (self._ahead[0] == rows.start and rows.stop <= self._ahead[1]):
            self._ask(rows.start, max(rows.stop, rows.start + BLOCK))
            self._requests.wait(self._number)
        self._block = np.load(f"{self._number}.npy", mmap_mode="r", allow_pickle=False)
        self._start, following = self._ahead
        if following < self._length:
            self._ask(following, following + BLOCK)

    def _ask(self, start: int, stop: int) -> None:
        self._ahead = start, min(stop, self._length)
        self._requests.ask(self._number, *self._ahead)


def _samples(number: int, length: int | None, requests: _Requests) -> Any:
    """An array of the request: from a file, or row by row."""
    if length is not None:
        return _Rows(number, length, requests)
    return np.load(f"{number}.npy", allow_pickle=False)


def _watch(seconds: float) -> None:
    """Nobody else ends this process when the parent is killed meanwhile."""
    if hasattr(signal, "alarm"):
        signal.alarm(int(seconds) + 10)


_shared: dict[str, Worker] = {}


def shared_worker(module: str = CONVERTER, library: str = "TensorFlow") -> Worker:
    """The one worker of this process for a module."""
    if module not in _shared:
        _shared[module] = Worker(module=module, library=library)
        atexit.register(_shared[module].close)
    return _shared[module]


if __name__ == "__main__":
    _serve(sys.argv[1])
