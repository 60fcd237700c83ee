"""Both packages say that they are typed, in the tree and in the wheel that users install."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pytest_quantcheck

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PACKAGES = ("pytest_quantcheck", "rigs")


def test_the_wheel_holds_py_typed_for_both_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("hatchling.build", reason="hatchling is not installed: extra dev")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)


USER = """
import pytest_quantcheck
from pytest_quantcheck import (
    Calibration, Dataset, Device, Finding, FloatModel, Gate, Metric, ModelError, QuantcheckError, QuantConfig,
    QuantizedModel, Raw, RigFault, Row, Run, Runner, Samples, Score, Task, UsageError, Verdict, host_runner,
    load, quantize,
)


def no_worse(gate: Gate, run: Run) -> Verdict:
    one = Metric("one", lambda outputs, truth: 1.0)
    verdict = gate.check(run, max_drop=0.01, min_score=0.9, max_differing=0.1, metric=one)
    score: Score | None = verdict.score
    row: Row = verdict.row()
    assert row.outcome in ("pass", "regression") and score is not None and score.value > 0
    return verdict


def judged(path: str, data: Dataset) -> Verdict:
    config = QuantConfig(granularity="per_tensor", calibration="10%")
    model: QuantizedModel = quantize(path, config, data)
    source: FloatModel = load(path)
    runner: Runner = host_runner("tflm")
    assert source.source and Calibration.parse("10%") == config.calibration
    try:
        return no_worse(Gate(reference=runner, data=data), runner.run(model, data.test))
    except RigFault as fault:
        raise QuantcheckError(fault.kind) from fault


def shown(run: Run, verdict: Verdict, row: Row, score: Score) -> None:
"""
TYPES = {"run": "Run", "verdict": "Verdict", "row": "Row", "score": "Score"}


def test_a_users_project_is_typed_through_and_through(tmp_path: Path) -> None:
    """Every attribute of what users look at has a type that says something."""
    revealed = [
        f"    reveal_type({name}.{attribute})\n"
        for name, kind in TYPES.items()
        for attribute in vars_of(getattr(pytest_quantcheck, kind))
    ]
    assert len(revealed) > 60
    project = tmp_path / "project.py"
    project.write_text(USER + "".join(revealed))
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11", str(project)]
    environment = {**os.environ, "MYPYPATH": "", "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    notes = [line for line in result.stdout.splitlines() if "Revealed type is" in line]
    assert len(notes) == len(revealed), result.stdout + result.stderr
    assert result.returncode == 0, result.stdout
    arrays = r"tuple\[Any, \.\.\.\]|generic\[Any\]"  # NumPy's arrays of any number of axes and of any type
    assert not [line for line in notes if "Any" in re.sub(arrays, "", line)]


def vars_of(kind: type) -> list[str]:
    """The fields and properties of a dataclass."""
    properties = [name for name, value in vars(kind).items() if isinstance(value, property)]
    return sorted({field.name for field in dataclasses.fields(kind)} | set(properties))
