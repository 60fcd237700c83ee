"""What a report says about its own making."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_quantcheck.report.provenance import Provenance, gather, without_user
from pytest_quantcheck.version import __version__

pytestmark = pytest.mark.host


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_repositorys_revision_and_whether_it_was_modified(tmp_path: Path) -> None:
    git(tmp_path, "init")
    assert gather(tmp_path, {}).revision == "", "there is no commit yet"
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "v1.0", "-m", "tag")
    revision = git(tmp_path, "rev-parse", "HEAD")
    clean = gather(tmp_path, {})
    assert (clean.revision, clean.modified) == (revision, False)
    (tmp_path / "file").write_text("2")
    (tmp_path / "folder").mkdir()
    dirty = gather(tmp_path / "folder", {})
    assert (dirty.revision, dirty.modified) == (revision, True)


def test_without_a_repository_or_git_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = gather(tmp_path, {})
    assert (outside.revision, outside.modified) == ("", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gather(Path(__file__).parent, {}).revision == ""
    assert gather(tmp_path / "is not there", {}).revision == ""


def test_versions_and_date() -> None:
    found = gather(Path(__file__).parent, {})
    assert found.quantcheck == __version__
    assert found.packages["pytest"] == pytest.__version__
    age = datetime.now(timezone.utc) - datetime.fromisoformat(found.date)
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert Provenance().date == ""


def test_options_that_were_not_given_and_secrets_are_left_out() -> None:
    given = {"--a": None, "--b": "", "--c": [], "--d": False, "--e": 0, "--f": True, "--g": ["x", "y"]}
    uri = "mlflow=https://me:secret@host:5000/x"
    found = gather(Path(__file__).parent, {**given, "--qc-report": [uri, "json=r.json"]})
    assert found.options == {
        "--e": "0", "--f": "True", "--g": "x, y",
        "--qc-report": "mlflow=https://***@host:5000/x, json=r.json",
    }  # fmt: skip
    assert without_user("a@b.c https://x/y@z") == "a@b.c https://x/y@z"
