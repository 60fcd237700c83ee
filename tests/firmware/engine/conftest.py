"""The C engine as a process: compiled with sanitizers, once per session and variant."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytest_quantcheck.graph.model import QuantGraph

ROOT = Path(__file__).parents[3]
ENGINE = ROOT / "firmware" / "engine"
FLAGS = [
    "-std=c11",
    "-O2",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
VARIANTS = {"portable": [], "packed": ["-DQC_SIMULATE_DSP"]}


@dataclass(frozen=True)
class Answer:
    """What one request came to. ``operators`` holds (source index, output bytes) in order."""

    status: int
    operators: list[tuple[int, bytes]] = field(default_factory=list)
    outputs: bytes = b""


class Engine:
    """One engine process. A request that kills it raises AssertionError with its last words."""

    def __init__(self, program: Path, log: Path) -> None:
        self._program, self._log = program, log
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, image: bytes, inputs: Sequence[bytes] = (), *, withhold: int = 0, stop_after: int = 0xFFFFFFFF
    ) -> Answer:
        if self._process is None:
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log.open("wb")
            )
        data = b"".join(inputs)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(struct.pack("<4I", len(image), len(data), withhold, stop_after))
            self._process.stdin.write(image + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()
        status = self._word()
        if status:
            return Answer(status)
        operators = []
        for _ in range(self._word()):
            index, size = self._word(), self._word()
            operators.append((index, self._read(size)))
        return Answer(0, operators, self._read(self._word()))

    def run_graph(self, graph: QuantGraph, image: bytes, inputs: Sequence[npt.NDArray[Any]]) -> Answer:
        assert len(inputs) == len(graph.inputs)
        return self.run(image, [np.ascontiguousarray(x).tobytes() for x in inputs])

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            process.wait(10)

    def _word(self) -> int:
        return int(struct.unpack("<I", self._read(4))[0])

    def _read(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            self._died()
        return data

    def _died(self) -> None:
        self.close()
        raise AssertionError(f"the engine died:\n{self._log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session", params=list(VARIANTS))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine under AddressSanitizer and UndefinedBehaviorSanitizer, in both kernel variants."""
    compiler = shutil.which("cc")
    assert compiler, "the engine's tests need a C compiler named cc (Debian: apt install gcc)"
    folder = tmp_path_factory.mktemp(f"engine-{request.param}")
    sources = [*sorted(ENGINE.rglob("*.c")), Path(__file__).with_name("driver.c")]
    includes = [f"-I{ENGINE}", f"-I{ROOT / 'firmware' / 'include'}"]
    program = folder / "engine"
    subprocess.run(
        [compiler, *FLAGS, *VARIANTS[request.param], *includes, *map(str, sources), "-o", str(program)],
        check=True,
    )
    running = Engine(program, folder / "stderr.txt")
    yield running
    running.close()
