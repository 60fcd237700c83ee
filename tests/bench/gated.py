"""What the plug-in costs a gated test: a thousand with it, beside a thousand with fixtures that do nothing.

``python -m tests.bench.gated [PAIRS]``. Runs alternate. Start-up is part of it. Both times are printed: the
processor's, which other programs disturb less, and the clock's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS, PAIRS = 1000, 5
FILES = {
    "nets.py": """
from pytest_quantcheck import Dataset
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def net():
    return demo_models()[0]

def dataset():
    whole = demo_dataset()
    return Dataset(whole.calibration, whole.test.take(range(20)))
""",
    "test_it.py": f"""
import pytest

@pytest.mark.quant(artefact="nets:net", data="nets:dataset")
@pytest.mark.parametrize("number", range({TESTS}))
def test_it(number, quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.5)
""",
    "nothing.py": """
import pytest

class Nothing:
    def run(self, *_): pass
    def check(self, *_, **__): pass

def fixture():
    return Nothing()

for name in ("quantized_model", "test_vectors", "reference", "gate"):
    globals()[name] = pytest.fixture(fixture, name=name)

def pytest_configure(config):
    config.addinivalue_line("markers", "quant(model=): nothing")
""",
    "pytest.ini": "[pytest]\n",
}
WITH, WITHOUT = (), ("-p", "no:quantcheck", "-p", "nothing")


def run(folder: Path, *options: str) -> tuple[float, float]:
    """Processor's and clock's seconds of one run, in which every test passes."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder), "QC_RIG": "", "PYTHONDONTWRITEBYTECODE": ""}
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    after, clock = os.times(), time.perf_counter() - began
    assert f"{TESTS} passed" in done.stdout
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, clock


def measure(pairs: int = PAIRS) -> tuple[list[float], list[float]]:
    """What a test costs more with the plug-in, in seconds: by the processor, by the clock; one per pair."""
    with tempfile.TemporaryDirectory(prefix="quantcheck-gated-") as name:
        folder = Path(name)
        for file, content in FILES.items():
            (folder / file).write_text(content)
        run(folder, *WITH), run(folder, *WITHOUT)  # what is compiled or read for the first time
        spent, clock = [], []
        for _ in range(pairs):
            (with_cpu, with_wall), (cpu, wall) = run(folder, *WITH), run(folder, *WITHOUT)
            spent.append((with_cpu - cpu) / TESTS)
            clock.append((with_wall - wall) / TESTS)
        return spent, clock


def main(pairs: int = PAIRS) -> None:
    spent, clock = measure(pairs)
    for name, found in (("processor", spent), ("clock", clock)):
        middle, least, most = (each * 1e3 for each in (statistics.median(found), min(found), max(found)))
        print(
            f"gated tests, {TESTS} with and without the plug-in, {pairs} alternating pairs, {name}: "
            f"median {middle:.2f} ms per test ({least:.2f} .. {most:.2f} ms)"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
