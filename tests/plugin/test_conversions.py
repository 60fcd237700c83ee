"""Eight workers of pytest-xdist convert a model once, and processes agree on what they make."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL

pytestmark = pytest.mark.host

WORKERS = 8

# Every conversion is a call of the worker process; each test also waits until all others have begun.
CONFTEST = """
import os
from pathlib import Path

from pytest_quantcheck.models.conversion.worker import Worker

LOG = Path(__file__).with_name("conversions.log")
call = Worker.call

def logged(self, function, **how):
    with LOG.open("a") as log:
        log.write(function + "\\n")
    return call(self, function, **how)

Worker.call = logged
"""

MODULE = f"""
import time
from pathlib import Path

import pytest

from pytest_quantcheck.demo.artefacts import demo_samples
from pytest_quantcheck.data.dataset import Dataset

HERE = Path(__file__).parent

def data():
    samples = demo_samples()
    return Dataset(samples, samples.take(range(5)), input_range=(0, 1))

pytestmark = pytest.mark.quant(model={str(DATA / FLOAT_MODEL)!r}, data="test_it:data", calibration="count:4")

@pytest.fixture
def together(tmp_path_factory, worker_id):
    (HERE / f"begun-{{worker_id}}").touch()
    end = time.monotonic() + 60
    while len(list(HERE.glob("begun-*"))) < {WORKERS} and time.monotonic() < end:
        time.sleep(0.05)

@pytest.mark.parametrize("n", range({WORKERS}))
def test_it(together, quantized_model, n, worker_id):
    (HERE / f"made-{{worker_id}}").write_text(quantized_model.sha256)
"""


def test_eight_workers_that_want_the_same_model_convert_it_once(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=MODULE)
    options = ["-n", str(WORKERS), "--qc-cache", "cache"]
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=WORKERS)
    made = [path.read_text() for path in pytester.path.glob("made-*")]
    assert len(made) == WORKERS
    assert len(set(made)) == 1
    log = (pytester.path / "conversions.log").read_text().split()
    assert log == ["calibrate_tflite", "quantize_calibrated"]


SCHEMES = ("int8", "int16x8")
PROGRAM = f"""
import sys
from pytest_quantcheck.cli import main
for scheme in {SCHEMES}:
    assert main(["quantize", *sys.argv[1:], "--scheme", scheme, "-o", scheme + ".tflite"]) == 0
"""


def test_cold_conversions_in_two_processes_give_the_same_models(tmp_path: Path) -> None:
    running = []
    for hash_seed in ("0", "12345"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        options = ["--calibration", "random:5", "--input-range", "0", "1", "--cache", str(folder / "cache")]
        command = [sys.executable, "-c", PROGRAM, str(DATA / FLOAT_MODEL), *options]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        running.append((subprocess.Popen(command, cwd=folder, env=environment), folder))
    assert [process.wait(timeout=300) for process, _ in running] == [0, 0]
    for scheme in SCHEMES:
        first, second = ((folder / f"{scheme}.tflite").read_bytes() for _, folder in running)
        assert first == second
