"""What reports say of a test is what pytest says of it in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.host

Results = Callable[..., dict[str, list[dict[str, object]]]]
HEAD = """
import pytest
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def model():
    return demo_models()[0]

def data():
    return demo_dataset()

pytestmark = pytest.mark.quant(artefact="test_it:model", data="test_it:data")
"""


@pytest.fixture
def results(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Results:
    """``results(tests, *options)``: rows of the JSON report by the name of their test function."""
    monkeypatch.delenv("QC_RIG", raising=False)

    def go(tests: str, *options: str) -> dict[str, list[dict[str, object]]]:
        pytester.makepyfile(test_it=HEAD + tests)
        report = ("--qc-report=json=qc.json", "--junitxml=junit.xml", "--qc-vectors=20")
        pytester.runpytest_subprocess("-p", "no:cacheprovider", *report, *options)
        document = json.loads((pytester.path / "qc.json").read_text())
        rows: dict[str, list[dict[str, object]]] = {"": [document]}
        for row in document["results"]:
            rows.setdefault(row["test"].partition("::")[2].partition("[")[0], []).append(row)
        return rows

    return go


TESTS = """
def check(gate, reference, model, vectors, **how):
    return gate.check(reference.run(model, vectors), **{"min_score": 0.5, **how})

def test_passes(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors)

def test_fails_after(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors)
    assert 1 + 1 == 3, "arithmetic"

def test_fails_before(quantized_model, gate):
    assert not quantized_model

def test_breaks_down(request, quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors)
    request.addfinalizer(lambda: 1 / 0)

def test_skips_after(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors)
    pytest.skip("changed my mind")

@pytest.mark.xfail
def test_expected(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors, min_score=1.0)

@pytest.mark.xfail(strict=True)
def test_unexpected_pass(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors)

def test_judges_nothing(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors))

def test_first_good_then_bad(quantized_model, test_vectors, reference, gate):
    check(gate, reference, quantized_model, test_vectors, name="lenient")
    check(gate, reference, quantized_model, test_vectors, name="strict", metric=lambda o, t: 0.1)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_follow_what_pytest_says_in_the_end(results: Results, pytester, workers: int) -> None:
    rows = results(TESTS, f"-n{workers}")
    outcomes = {name: [row["outcome"] for row in found] for name, found in rows.items() if name}
    assert outcomes == {
        "test_passes": ["pass"],
        "test_fails_after": ["regression"],
        "test_fails_before": ["regression"],
        "test_breaks_down": ["error"],
        "test_skips_after": ["unjudged"],
        "test_expected": ["expected"],
        "test_unexpected_pass": ["regression"],
        "test_judges_nothing": ["error"],
        "test_first_good_then_bad": ["pass", "regression"],
    }
    assert rows["test_fails_after"][0]["reason"] == "call failed after its check: AssertionError: arithmetic"
    assert rows["test_breaks_down"][0]["reason"].startswith(
        "teardown failed after its check: ZeroDivisionError"
    )
    assert [row["name"] for row in rows["test_first_good_then_bad"]] == ["lenient", "strict"]
    assert rows["test_passes"][0]["case"] == "test_passes[test_it]"
    assert rows[""][0]["outcome"] == "regression"
    junit = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    }
    assert junit["test_fails_after[test_it]"]["qc.outcome"] == "regression"
    assert junit["test_passes[test_it]"]["qc.outcome"] == "pass"


def test_a_check_that_is_not_made_or_whose_error_is_caught_fails_its_test(results: Results) -> None:
    rows = results(
        """
from threading import Thread
kept = []

def bad(gate, reference, model, vectors):
    gate.check(reference.run(model, vectors), min_score=1.0, metric=lambda o, t: 0.1)

def test_never_asked(gate):
    kept.append(gate)

def test_skipped(gate):
    pytest.skip("nothing to check here")

def test_caught(quantized_model, test_vectors, reference, gate):
    for attempt in range(2):
        try:
            bad(gate, reference, quantized_model, test_vectors)
        except Exception:
            pass

def test_caught_typing_error(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.5)
    with pytest.raises(Exception):
        gate.check(reference.run(quantized_model, test_vectors), min_scor=0.5)

def test_thread(quantized_model, test_vectors, reference, gate):
    other = Thread(target=bad, args=(gate, reference, quantized_model, test_vectors))
    other.start()
    other.join()

@pytest.mark.xfail(strict=True)
def test_wanted(quantized_model, test_vectors, reference, gate):
    bad(gate, reference, quantized_model, test_vectors)

def test_gate_of_another_test(quantized_model, test_vectors, reference):
    kept[0].check(reference.run(quantized_model, test_vectors), min_score=0.5)
"""
    )
    document = rows.pop("")[0]
    found = {name: (each[0]["outcome"], each[0]["reason"]) for name, each in rows.items()}
    words = {
        "test_never_asked": ("error", "passed without a gate.check"),
        "test_caught": ("regression", ""),
        "test_caught_typing_error": ("error", "gate.check(min_scor=...) is not known"),
        "test_thread": ("regression", ""),
        "test_wanted": ("expected", ""),
        "test_gate_of_another_test": ("error", "the test of this gate is over"),
    }
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        name: outcome for name, (outcome, _) in words.items()
    }
    assert all(text in found[name][1] for name, (_, text) in words.items())
    assert document["outcome"] == "regression"


def test_a_test_that_passes_when_run_again_has_passed(results: Results) -> None:
    pytest.importorskip("pytest_rerunfailures", reason="pytest-rerunfailures is not installed: extra dev")
    rows = results(
        """
attempts = []

@pytest.mark.flaky(reruns=2)
def test_flaky(quantized_model, test_vectors, reference, gate):
    attempts.append(1)
    run = reference.run(quantized_model, test_vectors)
    gate.check(run, min_score=0.5, metric=lambda o, t: len(attempts) / 3)

@pytest.mark.flaky(reruns=1)
def test_hopeless(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=1.0, metric=lambda o, t: 0.1)
"""
    )
    assert [(row["outcome"], row["reruns"]) for row in rows["test_flaky"]] == [("pass", 1)]
    assert [(row["outcome"], row["reruns"]) for row in rows["test_hopeless"]] == [("regression", 1)]


def test_a_report_that_cannot_be_written_costs_only_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=HEAD + TESTS)
    (pytester.path / "file").write_text("no folder")
    result = pytester.runpytest_subprocess(
        "-p",
        "no:cacheprovider",
        "--qc-report=json=file/qc.json",
        "--qc-report=md=qc.md",
        "--junitxml=junit.xml",
    )
    result.stdout.fnmatch_lines(["*json report NOT WRITTEN: *file*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "test_fails_after" in (pytester.path / "qc.md").read_text()
    assert Path(pytester.path / "junit.xml").is_file()


def test_hw_tests_that_another_plug_in_skips_did_not_run(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="quarantined"))
        """
    )
    pytester.makepyfile(test_it="def test_it(board): pass\ndef test_host(reference): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--qc-rig=virtual", "--qc-require-hw")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["--qc-require-hw: 0 hw tests ran, * were skipped"])


def test_an_item_that_two_workers_run_has_the_rows_of_both(results: Results) -> None:
    rows = results(
        """
import os

def test_of_one_worker(quantized_model, test_vectors, reference, gate):
    good = os.environ["PYTEST_XDIST_WORKER"] == "gw0"
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.5, metric=lambda o, t: float(good))
""",
        "-n2",
        "--dist=each",
    )
    assert sorted(row["outcome"] for row in rows["test_of_one_worker"]) == ["pass", "regression"]
    assert rows[""][0]["outcome"] == "regression"
