"""``python -m tests.faults.baseline_kill [--moments N]``: ``kill -9`` while a run stores its baselines.

Runs with two workers store values of two versions of the data in turn and are killed at seeded moments, half
of them while files are being written. Afterwards each file must be, byte for byte, that of the one version or
of the other, and an undisturbed run must store its own.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.kill import ROOT, VICTIMS, children, command

MODULES = 24
RUN_SECONDS = 300.0
VERSION = "QC_TEST_VERSION"
NETS = f"""
import os
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def net():
    return demo_models()[0]

def dataset():
    whole = demo_dataset()
    y = whole.test.y.copy()
    y[:100] += int(os.environ["{VERSION}"])
    return Dataset(whole.calibration, Samples(whole.test.x, y % 10, whole.test.names))
"""
TEST = """
import pytest

@pytest.mark.quant(artefact="nets:net", data="nets:dataset")
def test_it(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)
"""


@dataclass
class Moment:
    """One killed run: who was killed and when, how many files were new by then, which were neither."""

    victim: str
    when: str
    new: int
    wrong: list[str]

    def __str__(self) -> str:
        found = f"WRONG: {', '.join(self.wrong)}" if self.wrong else "all whole"
        return f"{self.victim:10} killed {self.when:28} {self.new:2} of {MODULES} files new, {found}"


class Project:
    """Many test modules with one test each, so that writing takes its time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.baselines = folder / "baselines"
        (folder / "nets.py").write_text(NETS)
        for number in range(MODULES):
            (folder / f"test_{number:02}.py").write_text(TEST)
        (folder / "pytest.ini").write_text(
            "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\n"
        )
        self.right: list[dict[str, bytes]] = []
        began = time.monotonic()
        for version in (0, 1):
            self.finish(self.start(version))
            self.right.append(self.files())
        self.length = (time.monotonic() - began) / 2
        assert all(a != b for a, b in zip(*(each.values() for each in self.right), strict=True))
        stamps = [path.stat().st_mtime for path in self.baselines.iterdir()]
        self.writing = max(stamps) - min(stamps)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.baselines.glob("*.json"))}

    def start(self, version: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, VERSION: str(version), "PYTHONPATH": str(ROOT), "QC_RIG": ""}
        environment.pop("CI", None)
        with (self.folder / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-n2", "--qc-update"],
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        if process.wait(RUN_SECONDS):
            raise AssertionError((self.folder / "output.txt").read_text())

    def kill(self, version: int, victim: str, luck: random.Random, *, while_writing: bool) -> Moment:
        """Store ``version``, and kill ``victim`` at a moment of the run, or of the writing at its end."""
        process = self.start(version)
        share = luck.random()
        began, stamp = time.monotonic(), self._stamp()
        while process.poll() is None and (
            self._stamp() == stamp if while_writing else time.monotonic() - began < share * self.length
        ):
            time.sleep(0.001)
        if while_writing:
            time.sleep(share * self.writing)
        if process.poll() is None:
            self._kill(process.pid, victim, luck)
        process.wait(RUN_SECONDS)
        when = (
            f"{share * self.writing * 1000:6.1f} ms into writing"
            if while_writing
            else f"at {share:.0%} of the run"
        )
        found, others = self.files(), self.right[1 - version]
        new = [name for name, content in found.items() if content == self.right[version][name]]
        whole = {name for name, content in found.items() if content == others[name]} | set(new)
        return Moment(victim, when, len(new), sorted(set(self.right[0]) - whole))

    @staticmethod
    def _kill(run: int, victim: str, luck: random.Random) -> None:
        """Only processes that are there now: the number of one that has ended may be another's by now."""
        workers = [pid for pid in children(run) if b"execnet" in command(pid)]
        killed = {"worker": [luck.choice(workers)] if workers else [], "controller": [run]}
        for pid in killed.get(victim, [run, *workers]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _stamp(self) -> int:
        """When a file of baselines was last put in its place."""
        return self.baselines.stat().st_mtime_ns


def kill_often(folder: Path, count: int, *, seed: int) -> Iterator[Moment]:
    """``count`` killed runs, then an undisturbed one, which raises where it does not store its own values."""
    project, luck = Project(folder), random.Random(seed)
    for number in range(count):
        yield project.kill(
            number % 2, VICTIMS[number // 2 % len(VICTIMS)], luck, while_writing=number % 2 == 1
        )
    last = count % 2
    project.finish(project.start(last))
    if project.files() != project.right[last]:
        raise AssertionError("an undisturbed run does not store its own values")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.baseline_kill", description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="quantcheck-faults-") as folder:
        wrong = 0
        for moment in kill_often(Path(folder), options.moments, seed=options.seed):
            print(moment, flush=True)
            wrong += bool(moment.wrong)
    print(f"{options.moments} runs killed, {wrong} left a file that is neither old nor new")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
