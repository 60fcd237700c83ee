"""``python -m tests.faults.kill [--moments N]``: ``kill -9`` in the middle of a run, at seeded moments.

Killed are in turn one worker of pytest, the controlling process, and both with all workers. Afterwards
no process may be left, no board locked, no cache entry or log half written, and the next run works.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_quantcheck import cache
from pytest_quantcheck.rig import inventory, lease

VICTIMS = ("worker", "controller", "run")
MARK = "QC_KILLED_RUN"
ROOT = Path(__file__).parents[2]
END_SECONDS = 15.0  # until everything that belonged to a killed run must be gone
RUN_SECONDS = 120.0
DESKS = """
[[board]]
name = "desk-{0}"
family = "posix"
target = "posix"
port = "desk-{0}"
"""
VIRTUAL = """
[[board]]
name = "{0}"
family = "{1}"
target = "{0}"
"""
NETS = """
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def first():
    return demo_models()[0]

def dataset():
    return demo_dataset()
"""
TESTS = """
import pytest
from pytest_quantcheck.cache import Cache

@pytest.mark.quant(artefact="nets:first", data="nets:dataset")
@pytest.mark.parametrize("number", range(4))
def test_board(number, board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))

@pytest.mark.parametrize("number", range(4))
def test_cache(number):
    payload = bytes([number]) * (4 << 20)
    assert Cache().get_or_make({"number": number}, lambda: payload) == payload
"""


@dataclass
class Moment:
    """One killed run, and what was left of it."""

    victim: str
    after: float
    ended: float
    left: list[str]

    def __str__(self) -> str:
        found = "; ".join(self.left) if self.left else "nothing left, the next run works"
        mark = "WRONG: " if self.left else ""
        gone = f"{self.victim:10} killed after {self.after:5.2f} s, gone {self.ended:4.1f} s later"
        return f"{gone}: {mark}{found}"


class Project:
    """A folder with tests, a rig, locks, a cache and logs of its own."""

    def __init__(self, folder: Path, virtual: Sequence[tuple[str, str]] = ()) -> None:
        self.folder = folder
        self.rig = folder / "boards.toml"
        self.rig.write_text(
            DESKS.format(1) + DESKS.format(2) + "".join(VIRTUAL.format(*each) for each in virtual)
        )
        (folder / "nets.py").write_text(NETS)
        (folder / "test_it.py").write_text(TESTS)
        (folder / "pytest.ini").write_text(
            "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\n"
        )
        (folder / "tmp").mkdir()
        self.token = uuid.uuid4().hex
        self.environment = {
            **os.environ,
            MARK: self.token,
            "QC_CACHE": str(folder / "cache"),
            lease.DIRECTORY_VARIABLE: str(folder / "leases"),
            "QC_RIG": "",
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """pytest, with its output in ``output.txt``."""
        with (self.folder / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "--qc-vectors=5", *options],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, victim: str, after: float, luck: random.Random, *, run_again: bool) -> Moment:
        """Run, kill ``victim`` ``after`` so many seconds, look what is left, run again."""
        process = self.start("-n2")
        time.sleep(after)
        workers: list[int] = []
        while not workers and process.poll() is None:
            workers = [pid for pid in children(process.pid) if b"execnet" in command(pid)]
            if victim != "worker":
                break
        killed = {"worker": [luck.choice(workers)] if workers else [], "controller": [process.pid]}
        for pid in killed.get(victim, [process.pid, *workers]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        left = []
        try:
            process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            left.append("the run hangs")
        ended = time.monotonic()
        while (orphans := self.processes()) and time.monotonic() - ended < END_SECONDS:
            time.sleep(0.05)
        gone = time.monotonic() - (began if victim != "worker" else ended)
        left += [f"process {pid}: {command(pid)[:60]!r}" for pid in orphans]
        left += [*self.locked(), *self.half_written(), *(self.next_run() if run_again else ())]
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return Moment(victim, after, gone, left)

    def processes(self) -> list[int]:
        """Whatever carries this project's mark in its environment."""
        mark = f"{MARK}={self.token}".encode()
        return [pid for pid in _processes() if mark in _read(f"/proc/{pid}/environ").split(b"\0")]

    def locked(self) -> Iterator[str]:
        os.environ[lease.DIRECTORY_VARIABLE] = self.environment[lease.DIRECTORY_VARIABLE]
        for entry in inventory.read(self.rig):
            if (holder := lease.holder(entry)) is not None:
                yield f"{entry.name} is locked by {holder}"

    def half_written(self) -> Iterator[str]:
        for entry in (self.folder / "cache").glob(f"*/*{cache.SUFFIX}"):
            header, _, payload = entry.read_bytes().partition(b"\n")
            told = json.loads(header)
            named_for = hashlib.sha256(told["made_from"].encode()).hexdigest()
            if (told["sha256"], entry.stem) != (hashlib.sha256(payload).hexdigest(), named_for):
                yield f"cache entry {entry.name} is damaged"
        for log in (self.folder / ".quantcheck").rglob("*.log"):
            if (text := log.read_bytes()) and not text.endswith(b"\n"):
                yield f"log {log.name} ends in mid-line"

    def next_run(self) -> Iterator[str]:
        process = self.start("-k", "0 or 1")
        try:
            if process.wait(RUN_SECONDS):
                yield "the next run fails: " + (self.folder / "output.txt").read_text()[-1500:]
        except subprocess.TimeoutExpired:
            process.kill()
            yield "the next run hangs"


def children(parent: int) -> list[int]:
    return [pid for pid in _processes() if f"\nPPid:\t{parent}\n".encode() in _read(f"/proc/{pid}/status")]


def command(pid: int) -> bytes:
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(path: str) -> bytes:
    """A process that has ended, or is ending, has nothing to say."""
    with suppress(OSError):
        return Path(path).read_bytes()
    return b""


def kill_often(
    folder: Path,
    count: int,
    *,
    seed: int,
    virtual: Sequence[tuple[str, str]] = (),
    each_next_run: bool = True,
) -> Iterator[Moment]:
    """``count`` runs in ``folder``, each killed at a moment drawn from the length of an undisturbed one.

    ``each_next_run``: after each of them the next run has to work; else after the last.
    """
    project = Project(folder, virtual)
    luck = random.Random(seed)
    began = time.monotonic()
    first = project.start("-n2")
    if first.wait(RUN_SECONDS):
        raise AssertionError((folder / "output.txt").read_text())
    length = time.monotonic() - began
    for number in range(count):
        victim, after = VICTIMS[number % len(VICTIMS)], luck.uniform(0.1, length)
        run_again = each_next_run or number + 1 == count
        yield project.kill(victim, after, luck, run_again=run_again)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--posix", action="store_true", help="without the virtual boards: much quicker")
    options = parser.parse_args(arguments)
    virtual = [] if options.posix else [("virtual-stm32f405", "stm32"), ("virtual-esp32c3", "esp32")]
    with tempfile.TemporaryDirectory(prefix="quantcheck-faults-", ignore_cleanup_errors=True) as folder:
        wrong = 0
        for moment in kill_often(Path(folder), options.moments, seed=options.seed, virtual=virtual):
            print(moment, flush=True)
            wrong += bool(moment.left)
        folders = len(list((Path(folder) / "tmp").glob("quantcheck-*")))
    print(
        f"{options.moments} runs killed, {wrong} left something; {folders} temporary folders of theirs remain"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
