"""TensorFlow in a process of its own: half a gigabyte and three seconds that a test process does not pay.

A model that crashes TensorFlow ends this process, not pytest's. Requests and answers are JSON lines; arrays
and bytes travel in files of a temporary folder. Run with ``python -m``, this module is the child.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck import errors
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.conversion.watch import Watch, memory_limit_mib, time_limit_s
from pytest_quantcheck.numerics.arrays import Array


class Worker:
    """A child process that calls the functions of ``converter.py``; started when first needed."""

    def __init__(self, timeout_s: float | None = None, memory_mib: int | None = None) -> None:
        """Limits that are not given are those of ``QC_CONVERSION_S`` and ``QC_CONVERSION_MIB``."""
        self._timeout_s, self._memory_mib = timeout_s, memory_mib
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def call(self, function: str, *, arrays: Sequence[Array] = (), content: bytes = b"", **how: Any) -> bytes:
        """Run one converter function, with ``content`` and ``arrays`` as its ``content`` and ``samples``.

        Returns its bytes, raises what it raised.
        """
        timeout_s = self._timeout_s or time_limit_s()
        memory_mib = self._memory_mib or memory_limit_mib()
        with self._lock:
            process, folder = self._running()
            (folder / "content").write_bytes(content)
            for i, array in enumerate(arrays):
                np.save(folder / f"{i}.npy", array, allow_pickle=False)
            request = {"function": function, "content": bool(content), "arrays": len(arrays), "how": how}
            answer = self._exchange(process, request, Watch(process, timeout_s, memory_mib))
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
            self._folder = tempfile.TemporaryDirectory(prefix="quantcheck-worker-")
            self._process = _start(Path(self._folder.name))
        return self._process, Path(self._folder.name)

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
            raise ModelError(f"TensorFlow did not finish {request['function']} within {watch.exceeded}")
        raise ModelError(
            f"TensorFlow crashed in {request['function']} (exit status {status}): the model is damaged, or "
            f"TensorFlow has a bug. Its last words: {log or 'none'}"
        )

    def _log(self) -> str:
        assert self._folder is not None
        lines = (Path(self._folder.name) / "log").read_text(errors="replace").splitlines()
        return " / ".join([line.strip() for line in lines if "rror" in line][-2:])


def _start(folder: Path) -> subprocess.Popen[str]:
    package_root = str(Path(__file__).resolve().parents[3])
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH")))),
        KERAS_BACKEND="tensorflow",
        TF_USE_LEGACY_KERAS="0",
        TF_CPP_MIN_LOG_LEVEL="3",
        CUDA_VISIBLE_DEVICES="-1",  # a graphics card would only change the last bits
    )
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest_quantcheck.models.conversion.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment,
            text=True,
            encoding="utf-8",
        )


def _serve() -> None:
    """The child: answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever TensorFlow prints goes to the log, never between the answers
    from pytest_quantcheck.models.conversion import converter

    for line in sys.stdin:
        request = json.loads(line)
        try:
            how = request["how"]
            if request["content"]:
                how["content"] = Path("content").read_bytes()
            if request["arrays"]:
                how["samples"] = [np.load(f"{i}.npy", allow_pickle=False) for i in range(request["arrays"])]
            Path("answer").write_bytes(getattr(converter, request["function"])(**how))
            answer = {}
        except errors.MissingExtraError as error:
            what = "Converting and quantizing models"
            answer = {"error": "MissingExtraError", "arguments": [error.package, error.extra, what]}
        except errors.QuantcheckError as error:
            answer = {"error": type(error).__name__, "arguments": [str(error)]}
        except Exception as error:
            answer = {"error": "ModelError", "arguments": [f"{type(error).__name__}: {error}"]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


_shared = Worker()
atexit.register(_shared.close)


def shared_worker() -> Worker:
    """The one worker of this process."""
    return _shared


if __name__ == "__main__":
    _serve()
