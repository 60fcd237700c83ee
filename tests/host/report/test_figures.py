"""``PREFIX-metrics.md`` and ``PREFIX-confusion-matrix.png``."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest

from pytest_quantcheck.report import figures
from pytest_quantcheck.report.html.page import render
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import ScoreRow
from pytest_quantcheck.verdict.table import Table
from tests.host.report.rows import BAD, CONFUSION, DETAILED, GOOD, HOSTILE, NASTY

pytestmark = pytest.mark.host


def test_scores_and_the_tables_behind_them_name_what_made_them(tmp_path: Path) -> None:
    lines = figures.write(Report((GOOD, BAD, DETAILED)), str(tmp_path / "out" / "kws"))
    assert lines == [
        f"figures report: {tmp_path}/out/kws-metrics.md",
        f"figures report: {tmp_path}/out/kws-confusion-matrix.png",
    ]
    text = (tmp_path / "out" / "kws-metrics.md").read_text()
    assert (
        "| kws-i8-virtual-esp32c3 | accuracy | 92.50% | 93.00% | 0.50% | 540 | "
        "tflm, whose outputs are the same as virtual-esp32c3 (quantcheck 0.1.0)'s |"
    ) in text
    head = "## detailed: confusion matrix\n\n| truth / predicted | cat | dog |\n| --- | --- | --- |\n"
    assert f"{head}| cat | 90 | 10 |" in text
    assert "| cat | 90.0% | - |" in text


def test_without_a_confusion_matrix_there_is_no_picture(tmp_path: Path) -> None:
    assert len(figures.write(Report((GOOD,)), str(tmp_path / "x"))) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x-metrics.md"]


def test_the_picture_shows_every_matrix_once_and_darker_where_more_are() -> None:
    other = replace(CONFUSION, rows=((1, 1), (1, 1)))
    rows = [DETAILED, replace(DETAILED, case="the same")]
    rows.append(replace(DETAILED, scores=(ScoreRow("a", 1, 4, detail=(other,)),)))
    found = figures.matrices(Report(tuple(rows)))
    assert [table for _, table in found] == [CONFUSION, other]
    wide = matplotlib.image.imread(io.BytesIO(figures.picture(found)), format="png")
    one = matplotlib.image.imread(io.BytesIO(figures.picture(found[:1])), format="png")
    assert (wide.shape[0], wide.shape[1]) == (one.shape[0], 2 * one.shape[1])
    shades = {tuple(round(float(part), 2) for part in pixel[:3]) for line in one[::9] for pixel in line[::9]}
    assert any(blue > red + 0.3 for red, _, blue in shades)


@pytest.mark.filterwarnings("error")
def test_hostile_and_huge_matrices_are_drawn() -> None:
    names = (NASTY, "$\\frac{$")
    hostile = Table("confusion matrix", names, names, ((1, 2), (0, 0)))
    many = tuple(f"class-{n}" for n in range(120))
    huge = Table("confusion matrix", many, many, ((0,) * 120,) * 120)
    row = replace(HOSTILE, scores=(ScoreRow(NASTY, 0.5, 3, detail=(hostile, huge)),))
    report = Report((row,) * 3)
    assert figures.picture(figures.matrices(report)).startswith(b"\x89PNG")
    assert not set("\x00\x1b\u202e\ud800") & set(figures.metrics(report))


def test_the_page_shades_counts_and_shows_fractions_as_percentages() -> None:
    page = render(Report((DETAILED, replace(DETAILED, case="the same"))))
    assert page.count("confusion matrix: ") == 1
    assert "truth / predicted" in page
    assert "and 1 other case, made by tflm (tflite_micro 0.1)" in page
    assert '<td class="h8">90</td><td class="h1">10</td>' in page
    assert '<td class="h9">7</td>' in page
    assert "<td>90.0%</td>" in page
    many = tuple(f"class-{n}" for n in range(200))
    huge = Table("confusion matrix", many, many, ((3,) * 200,) * 200)
    page = render(Report((replace(DETAILED, scores=(ScoreRow("a", 1, 4, detail=(huge,)),)),)))
    assert "200 × 200 values: in the JSON report" in page
    assert len(page) < 100_000
