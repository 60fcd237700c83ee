"""GitHub's annotations and job summary."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from pytest_quantcheck.report import github
from pytest_quantcheck.report.report import Place, Report
from tests.host.report.rows import BAD, ERROR, EVERY, EXPECTED, FAULT, GOOD, HOSTILE, UNJUDGED

pytestmark = pytest.mark.host

COMMAND = re.compile(r"::(error|notice) ([^:]*)::(.*)")


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner reads it: kind, properties, message."""
    found = COMMAND.fullmatch(line)
    assert found, line
    pairs = (each.partition("=") for each in found[2].split(","))
    return found[1], {key: unquote(value) for key, _, value in pairs}, unquote(found[3])


def test_failures_and_errors_point_at_the_line_of_their_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", "/home/runner")
    report = Report(EVERY, root="/home/runner/python", places={BAD.test: Place("tests/test_kws.py", 31)})
    regression, fault, error = map(read, github.commands(report))
    assert regression[:2] == (
        "error",
        {
            "file": "python/tests/test_kws.py",
            "line": "31",
            "title": "regression: kws-i8-tensor-stm32f405xg on bench-1",
        },
    )
    assert "max_drop: accuracy 88.00%, drop 5.00%, limit 1.00%\n" in regression[2]
    assert fault[1:] == (
        {"title": "rig fault: kws-i8-esp32c3 on bench-2"},
        "link fault on bench-2: no answer to HELLO within 5 s\nserial log: logs/bench-2.log",
    )
    assert error[1:] == ({"title": "error: broken"}, "broken.tflite is no TFLite file")


def test_what_did_not_fail_has_no_annotation() -> None:
    assert github.commands(Report((GOOD, EXPECTED, UNJUDGED))) == []


def test_regressions_come_first_and_what_github_would_not_show_is_counted() -> None:
    rows = (*[replace(FAULT, case=f"c{n}") for n in range(12)], BAD)
    *errors, rest = map(read, github.commands(Report(rows)))
    assert len(errors) == github.ERRORS_PER_STEP
    assert errors[0][1]["title"].startswith("regression")
    assert rest == ("notice", {"title": "quantcheck"}, "3 other failures: see the summary")


def test_nothing_hostile_is_a_command_of_its_own() -> None:
    places = {HOSTILE.test: Place("a,b:c%\n::error::d.py", 1)}
    (line,) = github.commands(Report((HOSTILE,), places=places))
    assert len(line.splitlines()) == 1
    kind, properties, message = read(line)
    assert (kind, properties["file"]) == ("error", "a,b:c%\n::error::d.py")
    assert len(properties["title"]) <= 200
    assert len(message) <= 3000
    huge = replace(ERROR, reason="x" * 100_000)
    assert len(read(github.commands(Report((huge,)))[0])[2]) == 3000


def test_the_summary_is_appended_to_and_stays_below_githubs_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "summary.md"
    file.write_text("another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    github.write(Report(EVERY), "on")
    assert file.read_text().startswith("another step\n# quantcheck\n")
    github.write(Report(tuple(replace(BAD, case=f"{n}") for n in range(5000))), "on")
    assert 900_000 < file.stat().st_size <= github.SUMMARY_BYTES
    assert file.read_text().endswith("The report is longer than GitHub shows.\n")


@pytest.mark.parametrize("room", range(0, 130, 3))
def test_what_is_cut_ends_with_a_whole_line_and_closes_its_block(room: int) -> None:
    text = "# one\n\n```\ninside é\nthe block\n```\n\n````\nagain\n```\nstill\n````\nend\n" + "x" * 200
    cut = github.limited(text, room)
    assert len(cut.encode()) <= room
    fences = re.findall("^`{3,}$", cut, re.MULTILINE)
    assert fences.count("````") % 2 == 0
    assert not cut or cut.endswith("The report is longer than GitHub shows.\n")


def test_without_a_summary_file_there_are_still_annotations() -> None:
    assert len(github.write(Report((BAD,)), "on")) == 1
