"""``--qc-report`` in all its forms, from runs of pytest."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_quantcheck.report.forms import FORMS
from tests import documents

pytestmark = pytest.mark.host

Run = Callable[..., pytest.RunResult]
NETS = """
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def int8():
    return demo_models()[0]

def dataset():
    return demo_dataset()
"""
TESTS = """
import pytest

pytestmark = pytest.mark.quant(artefact="nets:int8", data="nets:dataset")


def test_good(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.5)


def test_bad(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.9999)


def test_wrong(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), exact=True)
"""
BAD_LINE = 1 + TESTS.splitlines().index(
    "def test_bad(quantized_model, test_vectors, reference, gate):"
)  # the function's own


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(*options)``: one test that passes, one that fails, one that is wrong."""
    for name in ("QC_RIG", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(nets=NETS, test_it=TESTS)
    pytester.path.joinpath("test_it.py").write_text(TESTS)

    def go(*options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--qc-vectors=40", *options)

    return go


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_every_form_is_written_by_the_controlling_process(
    run: Run, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    options = ("json=out/r.json", "md=out/r.md", "html=out/r.html", "figures=out/kws")
    result = run(*workers, "--junitxml=junit.xml", *(f"--qc-report={each}" for each in options))
    result.assert_outcomes(passed=1, failed=1, errors=1)
    out = pytester.path / "out"
    for name in ("r.json", "r.md", "r.html", "kws-metrics.md"):
        assert (out / name).is_file()
        result.stdout.fnmatch_lines([f"* report: {out / name}"])
    document = documents.read((out / "r.json").read_text())
    assert document["outcome"] == "regression"
    assert sorted(row["outcome"] for row in document["results"]) == ["error", "pass", "regression"]
    assert document["provenance"]["options"]["--qc-vectors"] == "40"
    assert "test_it.py:" + str(BAD_LINE) in (out / "r.html").read_text()
    cases = {
        case.get("name", "").partition("[")[0]: {
            each.get("name"): each.get("value") for each in case.iter("property")
        }
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    }
    assert cases["test_good"]["qc.outcome"] == "pass"
    assert cases["test_good"]["qc.runner"] == "tflm"
    assert cases["test_bad"]["qc.outcome"] == "regression"
    assert cases["test_bad"]["qc.failed"].startswith("min_score: FAILED")
    assert cases["test_wrong"]["qc.fault"] == "UsageError"


def test_the_terminal_says_why_below_what_failed(run: Run) -> None:
    result = run()
    result.stdout.fnmatch_lines(
        [
            "case * on * accuracy *verdict",
            "test_good?nets? *  ok",
            "test_bad?nets? *  FAILED min_score",
            "  min_score: accuracy *",
            "test_wrong?nets? *  error: UsageError",
            "  exact= compares with the reference, *",
        ]
    )


@pytest.mark.parametrize("form", ["json", "md", "html", "figures"])
def test_a_report_that_cannot_be_written_costs_that_report_only(
    run: Run, pytester: pytest.Pytester, form: str
) -> None:
    (pytester.path / "taken").write_text("a file, no folder")
    result = run(f"--qc-report={form}=taken/r", "--qc-report=json=r.json", "-k", "good")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines([f"{form} report NOT WRITTEN: *taken*"])
    assert documents.read((pytester.path / "r.json").read_text())["outcome"] == "pass"
    assert result.ret == 0


def test_a_form_whose_package_is_missing_ends_the_run_before_its_tests(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest("import sys\nsys.modules['matplotlib'] = None\n")
    result = run("--qc-report=figures=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ['*--qc-report figures=PREFIX needs * pip install "pytest-quantcheck?report?"']
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["pdf=x"], "unknown form 'pdf'; allowed: *json=FILE*github=auto|on|off*"),
        (["github=yes"], "--qc-report github=yes: allowed: github=auto|on|off"),
        (["json=r", "md=./r"], "*r is asked for twice; give each report its own file"),
        (["json"], "--qc-report json: allowed: *"),
    ],
)
def test_wrong_reports_are_usage_errors(run: Run, options: list[str], message: str) -> None:
    result = run(*(f"--qc-report={each}" for each in options))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])


def test_github_gets_annotations_and_a_summary_without_an_option(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    file = f"file={pytester.path.name}/test_it.py"
    run().stdout.fnmatch_lines(
        [
            f"::error {file},line={BAD_LINE},title=regression%3A test_bad?nets?::min_score: accuracy *",
            f"::error {file},line=*,title=error%3A test_wrong?nets?::exact= *",
        ]
    )
    assert summary.read_text().startswith("# quantcheck\n")
    assert "min_score: FAILED" in summary.read_text()
    summary.unlink()
    result = run("--qc-report=github=off")
    assert "::error" not in result.stdout.str()
    assert not summary.exists()


def test_outside_of_github_only_who_asks_for_it_gets_annotations(run: Run) -> None:
    assert "::error" not in run("--qc-report=github=auto").stdout.str()
    assert run("--qc-report=github=on").stdout.str().count("::error") == 2


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_a_writer_and_its_line_in_the_page_about_reports(name: str) -> None:
    assert callable(import_module(f"pytest_quantcheck.report.{FORMS[name].module}").write)
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
    target = re.escape(FORMS[name].target.replace("|", "\\|"))
    assert re.search(rf"^\| `{name}={target}` \|", page, re.MULTILINE)
