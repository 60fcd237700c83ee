"""The history of stored values, read from real repositories."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.baselines.content import Content, Key
from pytest_quantcheck.baselines.repository import Repository
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.report import history as module
from pytest_quantcheck.report.history import NOW, history, joined
from pytest_quantcheck.report.html.trends import trends
from pytest_quantcheck.report.report import Trend

pytestmark = pytest.mark.host

FILE = "tests/baselines/test_kws.json"
HOST = Key("test_it", "kws-i8", "host")
BOARD = Key("test_it", "kws-i8", "virtual-esp32c3@quantcheck@instructions")


def git(folder: Path, *arguments: str) -> str:
    named = ("git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments)
    return subprocess.run(named, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def commit(project: Path, *values: tuple[Key, str, float], data: bytes = b"", file: str = FILE) -> str:
    """Store these values and no others; the first digits of the commit."""
    content = Content()
    for key, metric, value in values:
        content.values.setdefault(key, {})[metric] = Value(value, "m1")
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).write_bytes(data or content.render())
    git(project, "add", ".")
    git(project, "commit", "-q", "--allow-empty", "-m", "values")
    return git(project, "rev-parse", "HEAD")[:8]


def test_a_trend_has_a_point_for_each_change_and_one_for_now(project: Path) -> None:
    test = "tests/test_kws.py::test_it[kws-i8]"
    first = commit(project, (HOST, "accuracy", 0.91), (HOST, "arena", 4096), (BOARD, "instructions", 900))
    git(project, "commit", "-q", "--allow-empty", "-m", "something else")
    second = commit(project, (HOST, "accuracy", 0.95), (HOST, "arena", 4096), (BOARD, "instructions", 900))
    now = {(HOST, "accuracy"): 0.95, (HOST, "arena"): 4096.0, (BOARD, "instructions"): 950.0}
    assert history(project, {FILE: now}) == (
        Trend(test, "host", "accuracy", ((first, 0.91), (second, 0.95))),
        Trend(test, "virtual-esp32c3", "instructions", ((first, 900), (NOW, 950))),
    )


def test_what_was_removed_in_between_begins_anew(project: Path) -> None:
    commit(project, (HOST, "accuracy", 0.5))
    commit(project, (BOARD, "instructions", 7))
    third = commit(project, (HOST, "accuracy", 0.6))
    fourth = commit(project, (HOST, "accuracy", 0.7))
    (trend,) = history(project, {FILE: {}})
    assert trend.points == ((third, 0.6), (fourth, 0.7))


def test_a_damaged_version_is_left_out(project: Path) -> None:
    commit(project, (HOST, "accuracy", 0.5))
    commit(project, data=b"<<<<<<< HEAD\n{}")
    fourth = commit(project, (HOST, "accuracy", 0.7))
    assert history(project, {FILE: {(HOST, "accuracy"): 0.8}})[0].points == ((fourth, 0.7), (NOW, 0.8))


def test_no_more_commits_and_bytes_are_read_than_there_is_room_for(project: Path, monkeypatch) -> None:
    commits = [commit(project, (HOST, "accuracy", number / 100)) for number in range(6)]
    monkeypatch.setattr(module, "_COMMITS", 4)
    (trend,) = history(project, {FILE: {}})
    assert [revision for revision, _ in trend.points] == commits[-4:]
    size = (project / FILE).stat().st_size
    monkeypatch.setattr(module, "_BYTES", 3 * size)
    (trend,) = history(project, {FILE: {}})
    assert [revision for revision, _ in trend.points] == commits[-3:]
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    assert history(project, {FILE: {}}) == ()


def test_where_git_knows_nothing_there_is_no_history(tmp_path: Path, monkeypatch) -> None:
    assert history(tmp_path, {FILE: {}}) == ()
    git(tmp_path, "init", "-q")
    assert history(tmp_path, {FILE: {}, "../x/baselines/y.json": {}, "a\nb/baselines/c.json": {}}) == ()
    commit(tmp_path, (HOST, "accuracy", 0.5))
    commit(tmp_path, (HOST, "accuracy", 0.6))
    assert len(history(tmp_path, {FILE: {}})) == 1
    monkeypatch.setenv("PATH", "/nowhere")
    assert history(tmp_path, {FILE: {}}) == ()


def test_names_that_mean_something_to_git_are_only_names(project: Path) -> None:
    file = ":(top)/-x*/baselines/te st é.json"
    commit(project, (HOST, "accuracy", 0.5), file=file)
    commit(project, (HOST, "accuracy", 0.6), file=file)
    (trend,) = history(project, {file: {}})
    assert trend.test == ":(top)/-x*/te st é.py::test_it[kws-i8]"
    assert Repository(project).read("HEAD", file) == (project / file).read_bytes()
    nested = history(project / ":(top)", {file.partition("/")[2]: {}})
    assert nested == (replace(trend, test=trend.test.partition("/")[2]),)


def test_the_page_shows_the_line_and_the_last_values() -> None:
    found = Trend("t.py::test_it[a]", "host", "accuracy", tuple((f"c{n}", n / 10) for n in range(9)))
    page = trends((found,))
    assert page is not None
    assert "c5: 0.5, c6: 0.6, c7: 0.7, c8: 0.8" in page
    assert 'aria-label="from 0 to 0.8"' in page
    assert joined([(found,), (replace(found, points=()), replace(found, metric="arena"))]) == (
        found,
        replace(found, metric="arena"),
    )
