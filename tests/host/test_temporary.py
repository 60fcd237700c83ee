"""Temporary folders of killed processes go with the next run; everybody else's stay."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_quantcheck import temporary
from pytest_quantcheck.temporary import OwnFolder, sweep

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
FOLDER = "from pytest_quantcheck.temporary import OwnFolder; made = OwnFolder('mine')"
WORKER = "from pytest_quantcheck.models.conversion.worker import Worker; worker = Worker(); worker._running()"


def start(temporary_folder: Path, code: str) -> subprocess.Popen[str]:
    """A process that has its folder, and waits."""
    script = f"{code}\nprint('ready', flush=True)\nimport time; time.sleep(600)"
    environment = {**os.environ, "TMPDIR": str(temporary_folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("code", [FOLDER, WORKER], ids=["folder", "worker"])
def test_what_a_killed_process_leaves_goes_with_the_next_one(
    tmp_path: Path, code: str, number: signal.Signals
) -> None:
    process = start(tmp_path, code)
    (left,) = tmp_path.iterdir()
    (left / "below").mkdir()
    (left / "below" / "__autograph_generated_file_x.py").write_text("")
    assert sweep(tmp_path) == 0  # its owner lives
    assert left.exists()
    end(process, number)
    assert left.exists()
    end(start(tmp_path, FOLDER), signal.SIGKILL)  # another run, which sweeps before it makes its own
    assert not left.exists()


def test_what_is_not_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end(start(tmp_path, FOLDER), signal.SIGKILL)
    (ours,) = tmp_path.iterdir()
    theirs = [tmp_path / name for name in ("quantcheck-leases", "quantcheck-logs-1", "other")]
    for folder in theirs:
        folder.mkdir()
    (tmp_path / "quantcheck-link").symlink_to(ours)
    (tmp_path / "__autograph_generated_file1.py").write_text("")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert sweep(tmp_path) == 0  # another user's
    monkeypatch.undo()
    assert sweep(tmp_path) == 1
    assert not ours.exists()
    assert all(folder.exists() for folder in theirs)
    assert (tmp_path / "__autograph_generated_file1.py").exists()


def test_a_folder_goes_at_the_end_and_sweeping_happens_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    swept: list[Path] = []
    monkeypatch.setattr(temporary, "sweep", swept.append)
    with OwnFolder("a") as name, OwnFolder("b"):
        assert Path(name).parent == tmp_path
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []
    assert swept == [tmp_path]


def test_no_other_temporary_folder_is_made() -> None:
    """Besides those inside the worker's own folder, and the one for logs, which a user shall read."""
    makers = {
        str(file.relative_to(ROOT))
        for package in ("pytest_quantcheck", "rigs")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("mkdtemp", "TemporaryDirectory", "mkstemp")
    }
    assert makers == {
        "pytest_quantcheck/temporary.py",
        "pytest_quantcheck/rig/serial_log.py",
        "pytest_quantcheck/models/conversion/converter.py",
        "pytest_quantcheck/quantizers/onnx/convert.py",
        "pytest_quantcheck/quantizers/espdl/convert.py",
    }
