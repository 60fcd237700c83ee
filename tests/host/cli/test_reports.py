"""``quantcheck verdict``, ``diff`` and ``merge``: reports as exit codes, side by side, and joined."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.report.json import render
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row, ScoreRow
from tests import documents

pytestmark = pytest.mark.host

UNJUDGED = Criterion("latency_ms", None, "the board has no clock")


def row(test: str = "t.py::test_a", outcome: str = "pass", **more: Any) -> Row:
    facts: dict[str, Any] = {"case": test.partition("::")[2], "model_sha256": "ab" * 32, "runner": "tflm"}
    facts["data_sha256"] = "12" * 32
    return Row(test=test, outcome=outcome, **{**facts, **more})


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., str]:
    """``report(name, *rows)``: the path of a report with these rows."""

    def make(name: str, *rows: Row, revision: str = "", others: Sequence[str] = ()) -> str:
        path = tmp_path / name
        collected = dict.fromkeys(others, False) | {row.test: True for row in rows}
        path.write_text(render(Report(rows, Provenance(revision=revision), collected=collected)))
        return str(path)

    return make


@pytest.mark.parametrize(
    ("outcomes", "code", "strict"),
    [
        (["pass"], 0, 0),
        (["pass", "expected"], 0, 0),
        (["pass", "unjudged"], 0, 1),
        (["pass", "regression", "rig_fault", "error"], 1, 1),
        (["pass", "rig_fault", "error"], 3, 3),
        (["pass", "error"], 2, 2),
        (["unjudged"], 2, 1),
        ([], 2, 1),
    ],
)
def test_the_verdict_of_a_report_is_an_exit_code(report, capsys, outcomes, code, strict) -> None:
    path = report("r.json", *(row(f"t.py::test_{n}", outcome) for n, outcome in enumerate(outcomes)))
    assert main(["verdict", path]) == code
    assert "outcome: " in capsys.readouterr().out
    assert main(["verdict", path, "--strict"]) == strict


def test_a_single_criterion_that_was_not_judged_is_strict_business(report, capsys) -> None:
    path = report("r.json", row(criteria=(Criterion("exact", True, "equal"), UNJUDGED)))
    assert main(["verdict", path]) == 0
    assert main(["verdict", path, "--strict"]) == 1
    assert "--strict: what was not judged has not passed" in capsys.readouterr().out


def test_the_verdict_says_what_failed(report, capsys) -> None:
    failed = Criterion("max_drop", False, "accuracy dropped by 3.00%, limit 1.00%")
    main(["verdict", report("r.json", row(outcome="regression", criteria=(failed,)))])
    assert "t.py::test_a: max_drop: FAILED: accuracy dropped by 3.00%, limit 1.00%" in capsys.readouterr().out


def damaged(**changes: Any) -> str:
    document = json.loads(render(Report((row(),))))
    return json.dumps({**document, **changes})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON report"),
        ("[1, 2]", "is no report; allowed: what pytest --qc-report=json=FILE writes"),
        ("[" * 100_000, "is no JSON report"),
        (damaged(results={}), "is no report"),
        (damaged(schema=1), "has the schema 1, this version reads"),
        (damaged(schema=None), "has the schema None"),
        (damaged(provenance=3), "a result cannot be read"),
        (damaged(provenance={"revision": 3}), "the provenance's revision is 3"),
        (damaged(omitted={"reason": "many"}), "a result cannot be read"),
        (damaged(collected=["t.py::test_a"]), "a result cannot be read"),
        (damaged(outcome="regression"), "its outcome is 'regression', but its results make it 'pass'"),
        (damaged(results=[{"colour": "red"}]), "a result cannot be read: a result has the key 'colour'"),
        (damaged(results=[{"outcome": "fine"}]), "outcome='fine' is not known"),
        (damaged(results=[{"counter": "many", "outcome": "pass"}]), "a result cannot be read"),
        (damaged(results=[{"scores": 3, "outcome": "pass"}]), "a result's scores is 3; allowed: a list"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(tmp_path, capsys, text, words) -> None:
    (tmp_path / "r.json").write_text(text)
    assert main(["verdict", str(tmp_path / "r.json")]) == 2
    assert words in capsys.readouterr().err


def test_a_report_that_is_not_there_is_an_error(tmp_path, capsys) -> None:
    assert main(["verdict", str(tmp_path / "none.json")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_a_diff_says_what_is_new_gone_and_changed(report, capsys) -> None:
    score = ScoreRow("accuracy", 0.95, 540, percent=True)
    old = report(
        "old.json",
        row("t.py::test_a", scores=(score,), counter=1000, unit="instructions", arena=4096),
        row("t.py::test_gone"),
        row("t.py::test_same", counter=7, unit="cycles"),
        row("t.py::test_named", name="first"),
    )
    new = report(
        "new.json",
        row(
            "t.py::test_a",
            "regression",
            scores=(ScoreRow("accuracy", 0.91, 540, percent=True),),
            counter=1100,
            unit="instructions",
            arena=None,
            model_sha256="cd" * 32,
        ),
        row("t.py::test_same", counter=7, unit="cycles"),
        row("t.py::test_named", name="second", outcome="unjudged"),
    )
    assert main(["diff", old, new]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gone: t.py::test_gone (ok)"
    assert lines[1] == "gone: t.py::test_named (first) (ok)"
    changed = next(line for line in lines if line.startswith("changed: t.py::test_a: "))
    for words in (
        "ok -> FAILED",
        "accuracy 95.00% -> 91.00%",
        "instructions 1,000 -> 1,100 (+10.00%)",
        "arena 4,096 -> unknown",
        "model_sha256 abab",
    ):
        assert words in changed
    assert "new: t.py::test_named (second) (not judged)" in lines
    assert lines[-1] == "4 differences; 4 results before, 3 now"
    assert not any("test_same" in line for line in lines)
    assert main(["diff", old, old]) == 0
    assert capsys.readouterr().out == "0 differences; 4 results before, 4 now\n"


def test_shards_are_joined_into_one_report(report, tmp_path, capsys) -> None:
    one = report("1.json", row("t.py::test_a"), row("t.py::test_both"))
    two = report("2.json", row("t.py::test_both"), row("t.py::test_b", "rig_fault"))
    out, page = tmp_path / "all.json", tmp_path / "all.html"
    assert main(["merge", one, two, "-o", str(out), "--html", str(page)]) == 3
    assert all(f"t.py::test_{name}" in page.read_text() for name in ("a", "both", "b"))
    documents.read(out.read_text())
    assert "2 passed, 0 failed, 0 not judged, 1 rig faults" in capsys.readouterr().out
    assert [each["test"] for each in json.loads(out.read_text())["results"]] == [
        "t.py::test_a",
        "t.py::test_both",
        "t.py::test_b",
    ]
    assert main(["verdict", str(out)]) == 3


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row(outcome="regression"), "contradict each other: t.py::test_a is pass in the one and regression"),
        (row(outcome="rig_fault"), "contradict each other: t.py::test_a is pass in the one and rig_fault"),
        (row(model_sha256="cd" * 32), "are of different models: t.py::test_a ran abababababab in the one"),
        (row(data_sha256="cd" * 32), "are of different data: t.py::test_a ran 121212121212 in the one"),
    ],
)  # fmt: skip
def test_shards_that_contradict_each_other_are_refused(report, tmp_path, capsys, other, words) -> None:
    out = tmp_path / "all.json"
    assert main(["merge", report("1.json", row()), report("2.json", other), "-o", str(out)]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_shards_of_different_commits_are_refused(report, capsys) -> None:
    one, other = (
        report("1.json", row(), revision="a" * 40),
        report("2.json", row("t.py::b"), revision="b" * 40),
    )
    assert main(["merge", one, other]) == 2
    assert "1.json is of commit aaaaaaaaaaaa" in capsys.readouterr().err
    assert main(["merge", one, report("3.json", row("t.py::c"))]) == 0


def test_a_test_that_no_shard_ran_is_an_error(report, tmp_path, capsys) -> None:
    expected = tmp_path / "expected.txt"
    expected.write_text("t.py::test_a\nt.py::test_b[x]\n\n2 tests collected in 0.01s\n")
    path, out = report("1.json", row()), tmp_path / "all.json"
    assert main(["merge", path, "--expect", str(expected), "-o", str(out)]) == 2
    assert "t.py::test_b[x]: no report has a result of it" in capsys.readouterr().out
    assert main(["verdict", str(out)]) == 2
    assert main(["merge", path, report("2.json", row("t.py::test_b[x]")), "--expect", str(expected)]) == 0
    expected.write_text("nothing")
    assert main(["merge", path, "--expect", str(expected)]) == 2
    assert "names no test; allowed: one node id a line" in capsys.readouterr().err


def test_a_test_that_a_shard_left_to_others_is_an_error_where_none_ran_it(report, tmp_path, capsys) -> None:
    one = report("1.json", row(), others=["t.py::test_b", "t.py::test_c"])
    two = report("2.json", row("t.py::test_b"), others=["t.py::test_a", "t.py::test_c"])
    three, out = report("3.json", row("t.py::test_c")), tmp_path / "all.json"
    assert main(["merge", one, two, "-o", str(out)]) == 2
    assert "t.py::test_c: no report has a result of it" in capsys.readouterr().out
    assert [each["outcome"] for each in documents.read(out.read_text())["results"]] == [
        "pass",
        "pass",
        "error",
    ]
    assert main(["merge", one, two, three]) == 0
    assert main(["merge", one, two, "-o", str(out), "--expect", str(listed(tmp_path, "t.py::test_b"))]) == 0
    assert main(["merge", str(out), three]) == 0  # what was merged can be merged again


def listed(folder: Path, *tests: str) -> Path:
    path = folder / "expected.txt"
    path.write_text("\n".join(tests))
    return path


def test_a_score_that_is_no_finite_number_survives_a_merge(report, tmp_path) -> None:
    score = ScoreRow("snr", math.inf, 9)
    out = tmp_path / "all.json"
    assert main(["merge", report("1.json", row(scores=(score,))), "-o", str(out)]) == 0
    assert documents.read(out.read_text())["results"][0]["scores"][0]["value"] is None


def test_a_merge_overwrites_none_of_its_inputs(report, capsys) -> None:
    path = report("1.json", row())
    for option in ("-o", "--html"):
        assert main(["merge", path, option, path]) == 2
        assert "which it would overwrite" in capsys.readouterr().err
