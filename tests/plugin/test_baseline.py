"""Baselines in a whole run: stored, compared, stale, unused; on the host, on boards, in workers, under CI."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host

Run = Callable[..., pytest.RunResult]
FILE = Path("baselines/test_it.json")
NETS = """
import numpy as np
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models
from pytest_quantcheck.formats.tflite_writer import TfliteWriter

def first():
    return demo_models()[0]

def second():
    return demo_models()[1]

def dataset():
    whole = demo_dataset()
    chosen = whole.test.take(range(40))
    x, y, ids = chosen.x.copy(), chosen.y.copy(), list(chosen.names)
    change(x, y, ids)
    test = Samples(x, y, ids)
    return Dataset(whole.calibration, test.take(order(len(test))))

def change(x, y, ids):
    pass

def order(count):
    return range(count)
"""
HEAD = """
import pytest
pytestmark = pytest.mark.quant(artefact="nets:first", data="nets:dataset")
"""
ACCURACY = """
def test_accuracy(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)
"""


class Project:
    """A folder with ``nets.py``, ``test_it.py`` and perhaps a rig; run as often as a test likes."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.nets()

    def nets(self, more: str = "") -> None:
        self.pytester.makepyfile(nets=NETS + more)

    def run(self, body: str, *options: str) -> pytest.RunResult:
        self.pytester.makepyfile(test_it=HEAD + body)
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", *options)

    def stored(self) -> dict[str, Any]:
        tests: dict[str, Any] = json.loads((self.path / FILE).read_text())["tests"]
        return tests

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
            cwd=self.path, check=True, capture_output=True,
        )  # fmt: skip


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("QC_RIG", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QC_LEASE_DIR", str(pytester.path / "leases"))
    return Project(pytester)


def test_new_warns_here_fails_in_ci_and_compares_once_stored(project: Project, monkeypatch) -> None:
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["baseline accuracy: not judged: accuracy is new*run with --qc-update-new, and commit the file*"]
    )
    assert not (project.path / FILE).exists()

    monkeypatch.setenv("CI", "true")
    result = project.run(ACCURACY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*baseline accuracy: FAILED: accuracy is new*"])
    for option in ("--qc-update", "--qc-update-new"):
        result = project.run(ACCURACY, option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"*{option}: the variable CI is set ('true'), where baselines are never*"]
        )
    assert not (project.path / FILE).exists()

    monkeypatch.delenv("CI")
    result = project.run(ACCURACY, "--qc-update-new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: baselines/test_it.json written*"])
    places = project.stored()["test_accuracy"]["nets"]
    assert list(places) == ["host"]
    assert places["host"]["accuracy"]["value"] > 0.9

    monkeypatch.setenv("CI", "true")
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 passed, 0 failed, 0 not judged, 0 rig faults"])


def test_a_regression_names_the_samples_that_flipped_and_what_to_do(project: Project) -> None:
    project.run(ACCURACY, "--qc-update-new").assert_outcomes(passed=1)
    worse = """
def test_accuracy(quantized_model, test_vectors, reference, gate):
    from dataclasses import replace
    import numpy as np
    run = reference.run(quantized_model, test_vectors)
    outputs = run.outputs[0].copy()
    outputs[:3] = np.roll(outputs[:3], 1, axis=-1)
    gate.check(replace(run, outputs=(outputs,)), baseline={tolerance})
"""
    result = project.run(worse.replace("{tolerance}", "True"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*baseline accuracy: FAILED: accuracy is worse: * stored, * now on 40 samples, 7.50 pp worse, "
            "tolerance 0; 3 lost: *; 0 gained: none. If that is intended, store the new value with --qc-update*"
        ]
    )
    project.run(worse.replace("{tolerance}", "{'accuracy': 0.08}")).assert_outcomes(passed=1)
    project.run(worse.replace("{tolerance}", "{'accuracy': '7.4pp'}")).assert_outcomes(failed=1)
    project.run(worse.replace("{tolerance}", "{'accuracy': None}"), "-rA").assert_outcomes(errors=1)
    result = project.run(worse.replace("{tolerance}", "{'accuracy': 8}"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*accuracy=8 is out of range for a fraction; allowed: 0 to 1, such as 0.005"]
    )
    project.run(worse.replace("{tolerance}", "True"), "--qc-update").assert_outcomes(passed=1)
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["nets: accuracy is better: *, 7.50 pp better, tolerance 0; 0 lost: none; 3 gained*"]
    )
