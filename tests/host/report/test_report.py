"""The forms of a report."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.baselines.change import STATES, Change
from pytest_quantcheck.report import json as json_report
from pytest_quantcheck.report import junit, markdown, terminal
from pytest_quantcheck.report.cells import HEADINGS
from pytest_quantcheck.report.convergence import convergence_svg, convergence_table
from pytest_quantcheck.report.forms import FORMS
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.convergence import ConvergenceRow
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row, ScoreRow, count, overall
from tests.full_disk import room_for
from tests.host.report import rows

pytestmark = pytest.mark.host

GOOD = Row(
    test="test_it.py::test_it[a]",
    case="a",
    runner="board",
    target="virtual-esp32c3",
    scores=(ScoreRow("accuracy", 0.98148, 540, percent=True, float_value=0.98333, drop=0.0019),),
    exact=True,
    counter=123456.0,
    unit="instructions",
    arena=8192,
    image=14336,
    outcome="pass",
    criteria=(
        Criterion("exact", True, "540 outputs are those of tflm"),
        Criterion("latency_ms", None, "virtual-esp32c3 counts instructions"),
    ),
)
BAD = Row(
    case="b",
    runner="tflm",
    scores=(ScoreRow("rmse", 0.1234567, 9, drop=0.05),),
    exact=False,
    outcome="regression",
    criteria=(
        Criterion("exact", False, "3 of 9 | outputs\nfirst diverging: operator 3"),
        Criterion("lsb", False, "4"),
    ),
)
FAULT = Row(case="c", target="esp32c3", outcome="rig_fault", fault="link")
EMPTY = Row(case="d", runner="tflm", outcome="unjudged")
EXPECTED = Row(case="e", runner="tflm", outcome="expected")


def test_the_table_is_aligned_and_in_the_users_units() -> None:
    lines = terminal.table([replace(GOOD, target="esp32c3"), BAD, FAULT])
    assert lines == [
        "case  on                 score  to float  exact                  cost    arena     image  verdict",
        "a     esp32c3  98.15% accuracy  -0.19 pp  yes    123,456 instructions  8.0 KiB  14.0 KiB  "
        "ok (1 not judged)",
        "b     tflm         0.1235 rmse     -0.05  NO                        -        -         -  "
        "FAILED exact, lsb",
        "c     esp32c3                -         -  -                         -        -         -  "
        "rig fault: link",
    ]


def test_a_metric_that_all_scores_have_is_their_heading() -> None:
    assert terminal.table([GOOD, FAULT])[0].split()[:4] == ["case", "on", "accuracy", "to"]
    assert terminal.table([GOOD, FAULT])[1].split()[2] == "98.15%"


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ((), None),
        (("same", "same"), "same"),
        (("same", "improvement"), "better m1"),
        (("regression", "improvement", "regression"), "worse m0, m2"),
        (("unknown", "same"), "not compared m0"),
        (("stale",), "stale m0"),
        (("new", "new"), "new"),
    ],
)
def test_the_table_says_what_became_of_stored_values(states: tuple[str, ...], words: str | None) -> None:
    changes = tuple(Change(f"m{n}", state, "", stored=n / 2) for n, state in enumerate(states))
    head, line = terminal.table([replace(FAULT, changes=changes)])
    assert ("baseline" in head) == (words is not None)
    assert words is None or f"  {words}  " in line
    found = dict(junit.properties(replace(FAULT, changes=changes)))
    if words is None:
        assert not any("baseline" in key for key in found)
    else:
        assert found["qc.baseline"] == min(states, key=STATES.index)
        assert found["qc.m0.baseline"] == "0.0"


def test_the_table_says_that_values_were_stored() -> None:
    changes = tuple(Change(f"m{n}", state, "", written=True) for n, state in enumerate(("new", "regression")))
    assert "  stored  " in terminal.table([replace(FAULT, changes=changes)])[1]


def test_a_failure_says_why_below_its_line() -> None:
    head, good, bad, *rest = terminal.explained([rows.GOOD, rows.BAD, rows.FAULT])
    assert [head, good, bad] == terminal.table([rows.GOOD, rows.BAD, rows.FAULT])[:3]
    assert rest[:5] == [
        "  exact: 9 of 100 outputs differ, the first for sample test-17",
        "  max_drop: accuracy 88.00%, drop 5.00%, limit 1.00%",
        "  first diverging: operator 3 (CONV_2D); likely cause: input zero point -127 instead of -128",
        "  2 samples lost against the float model: test-17, test-4",
        "  serial log: .quantcheck/virtual-esp32c3.log",
    ]
    assert rest[6:] == [
        "  link fault on bench-2: no answer to HELLO within 5 s",
        "  serial log: logs/bench-2.log",
    ]
    many = terminal.explained([rows.FAULT] * 100)
    assert (len(many), sum(line.startswith("  ") for line in many)) == (1 + 100 + 2 * 20, 2 * 20)


def test_each_board_says_which_runtime_made_its_numbers_and_what_it_went_through() -> None:
    assert terminal.boards([rows.GOOD, rows.GOOD, rows.BAD, rows.HOST, rows.FAULT]) == [
        "board virtual-esp32c3: quantcheck 0.1.0, build b1d: 2 verdicts, 2 retries, 4 erased sectors",
        "board bench-1 (stm32f405xg): quantcheck 0.1.0, build b1d: 1 verdict, 2 erased sectors",
        "board bench-2 (esp32c3): 1 verdict, 1 rig fault",
    ]


def test_nothing_hostile_reaches_the_terminal() -> None:
    lines = terminal.explained([rows.HOSTILE])
    assert not set("\x00\x1b\u202e\ud800\r") & set("".join(lines))
    assert len(lines[1].splitlines()) == 1


def test_nothing_hostile_means_something_in_markdown() -> None:
    text = markdown.render(Report((rows.HOSTILE, replace(rows.BAD, reason="```` <b>"))))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {len(HEADINGS) + 1}
    outside = re.sub(r"^(`{3,})$.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"(?<!\\)[<`]", outside)
    assert not set("\x00\x1b\u202e\ud800\r") & set(text)


def test_columns_without_any_value_are_left_out() -> None:
    assert terminal.table([FAULT]) == ["case  on       verdict", "c     esp32c3  rig fault: link"]


def test_milliseconds_are_shown_where_there_is_a_clock() -> None:
    assert "9.870 ms" in terminal.table([replace(GOOD, latency_ms=9.87)])[1]


def test_the_last_line_counts_what_was_not_judged() -> None:
    assert terminal.last_line([GOOD, BAD, FAULT, EMPTY]) == "1 passed, 1 failed, 2 not judged, 1 rig faults"
    assert (
        terminal.last_line([EXPECTED])
        == "0 passed, 0 failed, 0 not judged, 0 rig faults, 1 expected failures"
    )


def test_a_pass_tells_what_the_rig_went_through() -> None:
    shaken = replace(GOOD, criteria=GOOD.criteria[:1], retries=2, faults=("crash", "link"), erased_sectors=7)
    assert terminal.table([shaken])[1].endswith("ok (after 2 retries)")
    assert terminal.last_line([GOOD, shaken]) == (
        "2 passed, 0 failed, 1 not judged, 0 rig faults, 2 retries, 7 erased sectors"
    )
    assert dict(junit.properties(shaken))["qc.faults"] == "crash; link"


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([], "unjudged"),
        ([EMPTY], "unjudged"),
        ([EMPTY, GOOD], "pass"),
        ([GOOD, FAULT], "rig_fault"),
        ([GOOD, FAULT, BAD], "regression"),
        ([GOOD, EXPECTED], "pass"),
    ],
)
def test_one_word_tells_a_pipeline_what_to_do(rows: list[Row], outcome: str) -> None:
    assert overall(rows) == outcome
    assert json.loads(json_report.render(Report(tuple(rows))))["outcome"] == outcome


def test_json_holds_every_row_and_the_counts() -> None:
    document = json.loads(json_report.render(Report((GOOD, BAD))))
    assert [Row.from_dict(row) for row in document["results"]] == [GOOD, BAD]
    assert document["counts"] == count([GOOD, BAD])


def test_numbers_of_numpy_are_written_like_pythons_own() -> None:
    assert junit.properties(replace(GOOD, counter=np.float64(123456))) == junit.properties(GOOD)


def test_markdown_keeps_table_cells_whole_and_shows_what_failed() -> None:
    cause = Cause("preprocessing", "divide by 255", "65% before, 99% after", "Do it once.")
    text = markdown.render(Report((GOOD, replace(BAD, causes=(cause,)))))
    assert str(cause) in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {line.replace("\\|", "").count("|") for line in table} == {len(HEADINGS) + 1}
    assert "first diverging: operator 3" in text


def test_junit_properties_are_texts_without_the_unknown() -> None:
    properties = dict(junit.properties(GOOD))
    assert properties["qc.target"] == "virtual-esp32c3"
    assert properties["qc.not_judged"].startswith("latency_ms")
    assert "qc.latency_ms" not in properties
    assert all(isinstance(value, str) for value in properties.values())


def test_warnings_of_the_audit_are_one_line_a_code_in_the_summary_and_in_markdown() -> None:
    rows = [
        replace(GOOD, case="a", findings=("leak: two samples.", "scale: one.")),
        replace(GOOD, case="a", findings=("leak: two samples.",)),
        replace(GOOD, case="b", findings=("leak: three samples.",)),
        BAD,
    ]
    lines = ["warning: leak: two samples. (2 cases, 1 more of the kind)", "warning: scale: one. (1 case)"]
    assert terminal.findings(rows) == lines
    text = markdown.render(Report(tuple(rows)))
    assert "\n".join(f"- {line}" for line in lines) + "\n\n**" in text


def test_a_calibration_that_never_settles_and_a_score_that_cannot_be_had_are_told() -> None:
    rows = [ConvergenceRow(5, 0.2, 0.1, "17 (relu;batch_norm;conv)", None), ConvergenceRow(9, 0, 0, "", None)]
    lines = convergence_table(rows, "accuracy")
    assert lines[1].endswith("  17 (relu)")
    assert lines[-2] == "no fewer than all 9 bring every scale within 5%: give more samples"
    assert lines[-1] == "no accuracy: it needs labelled test samples, and a .tflite artefact"
    settled = convergence_table([ConvergenceRow(5, 0.01, 0, "", 0.9), rows[1]], "accuracy")
    assert settled[-1] == "from 5 samples on every scale is within 5% of that with all 9"


def test_the_last_size_on_the_axis_is_not_overprinted() -> None:
    rows = [ConvergenceRow(size, 0.1, 0.1, "t", None) for size in (1, 10, 1000, 1200)]
    figure = convergence_svg(rows, "accuracy")
    assert [f">{row.samples}</text>" in figure for row in rows] == [True, True, False, True]


@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if form.target == "FILE"])
def test_a_full_disk_leaves_the_report_of_before_whole(tmp_path, form):
    target = tmp_path / "report"
    report = Report(rows=(GOOD,) * 20)
    FORMS[form].write(report, str(target))
    before = target.read_bytes()
    assert len(before) > 500
    with room_for(500), pytest.raises(OSError, match="report"):
        FORMS[form].write(report, str(target))
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
