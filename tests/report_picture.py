"""``python -m tests.report_picture FILE.png``: the HTML report of a release with two faults, in a browser.

Baselines are stored with sound models first. Then one board's image holds a wrong zero point, and one
configuration is calibrated with samples that are too dark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from pytest_quantcheck.demo import artefacts
from tests.browser import browser

WIDTH, HEIGHT = 1180, 1420
FILES = {
    "digits.py": """
import os
from pytest_quantcheck import Dataset, Samples
from pytest_quantcheck.demo.artefacts import CLASSES, demo_samples

def dataset():
    samples = demo_samples()
    return Dataset(samples.take(range(100)), samples.take(range(100, 300)), classes=CLASSES)

def dark():
    sound = dataset()
    if os.environ["RELEASE"] == "old":
        return sound
    x = sound.calibration.inputs[0] * 0.25
    return Dataset(Samples(x, sound.calibration.y), sound.test, classes=CLASSES)
""",
    "conftest.py": """
import os
import pytest
from pytest_quantcheck.demo.sabotage import broken_image
from pytest_quantcheck.runners.board import BoardRunner

@pytest.fixture
def board(board, request):
    broken = board.target == "virtual-stm32f405" and "per_channel" in request.node.name
    if os.environ["RELEASE"] == "old" or not broken:
        return board
    return BoardRunner(board.session, makers={"qcm": broken_image("zero-point")})
""",
    "test_release.py": """
import pytest

pytestmark = pytest.mark.quant(model="digits.tflite", calibration="all")

@pytest.mark.quant(data="digits:dataset")
def test_per_channel(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors), baseline=True)

@pytest.mark.quant(data="digits:dark", granularity="per_tensor")
def test_per_tensor(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors), baseline=True)
""",
    "pytest.ini": "[pytest]\n",
}


def make(folder: Path) -> Path:
    """Both runs; the report of the second one."""
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / artefacts.FLOAT_MODEL).write_bytes((artefacts.DATA / artefacts.FLOAT_MODEL).read_bytes())
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qc-rig", "virtual"]
    for release, options in (("old", ["--qc-update"]), ("new", ["--qc-report", "html=report.html"])):
        environment = {**os.environ, "RELEASE": release, "PYTHONPATH": str(folder)}
        done = subprocess.run([*pytest, *options], cwd=folder, env=environment)
        assert done.returncode == (release == "new"), f"the {release} release ended with {done.returncode}"
    return folder / "report.html"


def main(target: str) -> None:
    with tempfile.TemporaryDirectory(prefix="quantcheck-picture-") as name:
        page = make(Path(name))
        with browser(Path(name) / "profile") as window:
            window.open(page, width=WIDTH, height=HEIGHT)
            window.screenshot(Path(target))
    with Image.open(target) as drawn:  # a quarter of the size, and the eye sees no difference
        drawn.convert("RGB").quantize(128).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
