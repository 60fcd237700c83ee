"""MLPerf Tiny's side of the line, written from its specification: what its runner sends, and how it reads.

It shares no code with the host side in ``pytest_quantcheck/rig/mlperf``. A command and its ``%`` go in two
writes, samples in lines of 31 bytes, an answer ends at a line that contains ``m-ready``.
"""

from __future__ import annotations

import re
import time
from typing import Any

_CHUNK = 31


class MlperfRunner:
    """Talks through an open port, which is read in small pieces as they come."""

    def __init__(self, port: Any, *, patience: float = 20.0) -> None:
        self._port = port
        self._patience = patience
        self._received = b""

    def command(self, body: str) -> list[str]:
        """The lines of the answer, the last one with ``m-ready``."""
        self._port.write(body.encode("ascii"))
        self._port.write(b"%")
        lines: list[str] = []
        while not lines or "m-ready" not in lines[-1]:
            lines.append(self._line(body))
        return lines

    def wake(self, tries: int = 10) -> None:
        """Ask ``name`` until a device that is just starting has answered."""
        patience, self._patience = self._patience, 2.0
        for number in range(tries):
            try:
                assert self.command("name")[0].startswith("m-name-dut-[")
                break
            except AssertionError:
                if number + 1 == tries:
                    raise
        self._patience = patience

    def download(self, sample: bytes) -> None:
        self.command(f"db load {len(sample)}")
        for start in range(0, len(sample), _CHUNK):
            said = self.command(f"db {sample[start : start + _CHUNK].hex()}")
        assert said == ["m-load-done", "m-ready"]

    def infer(self, iterations: int = 1, warmups: int = 0) -> tuple[list[float], int]:
        """Results, and the time between the two stamps in microseconds."""
        text = "\n".join(self.command(f"infer {iterations} {warmups}"))
        start, end = map(int, re.findall(r"^m-lap-us-(\d+)$", text, re.MULTILINE))
        results = re.search(r"^m-results-\[([^]]+)\]$", text, re.MULTILINE)
        assert results is not None
        return [float(each) for each in results[1].split(",")], end - start

    def _line(self, body: str) -> str:
        end = time.monotonic() + self._patience
        while b"\n" not in self._received:
            assert time.monotonic() < end, f"no answer to {body!r}: {self._received!r}"
            self._received += self._port.read(1)
        line, _, self._received = self._received.partition(b"\n")
        return line.replace(b"\r", b"").replace(b"\0", b"").decode("ascii")
