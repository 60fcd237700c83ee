"""Baselines in a whole run: stored, compared, stale, unused; on the host, on boards, in workers, under CI."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Loaded before any run in this process: what a run imports is forgotten after it, and its classes come twice.
import pytest_quantcheck.demo.artefacts
import pytest_quantcheck.formats.tflite_writer
import pytest_quantcheck.plugin.fixtures
import pytest_quantcheck.plugin.session_state
import pytest_quantcheck.plugin.summary  # noqa: F401
from pytest_quantcheck.demo.artefacts import DATA as FILES
from pytest_quantcheck.demo.artefacts import FLOAT_MODEL, demo_models
from pytest_quantcheck.plugin.items import case_without_board, function_key
from pytest_quantcheck.plugin.settings import CI_SERVICES
from tests import report_picture
from tests.faults.baseline_kill import kill_often

pytestmark = pytest.mark.host

Run = Callable[..., pytest.RunResult]
FILE = Path("baselines/test_it.json")
NETS = """
import numpy as np
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models
from pytest_quantcheck.formats.tflite_writer import TfliteWriter

def first():
    return demo_models()[0]

def second():
    return demo_models()[1]

def dataset():
    whole = demo_dataset()
    chosen = whole.test.take(range(40))
    x, y, ids = chosen.x.copy(), chosen.y.copy(), list(chosen.names)
    change(x, y, ids)
    test = Samples(x, y, ids)
    return Dataset(whole.calibration, test.take(order(len(test))))

def change(x, y, ids):
    pass

def order(count):
    return range(count)
"""
HEAD = """
import pytest
pytestmark = pytest.mark.quant(artefact="nets:first", data="nets:dataset")
"""
ACCURACY = """
def test_accuracy(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)
"""


class Project:
    """A folder with ``nets.py``, ``test_it.py`` and perhaps a rig; run as often as a test likes."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.nets()

    def nets(self, more: str = "") -> None:
        self.pytester.makepyfile(nets=NETS + more)

    def run(self, body: str, *options: str) -> pytest.RunResult:
        self.pytester.makepyfile(test_it=HEAD + body)
        runs = [option for option in options if option.startswith("-n")]
        run = self.pytester.runpytest_subprocess if runs else self.pytester.runpytest_inprocess
        return run("-p", "no:cacheprovider", "-q", *options)

    def stored(self) -> dict[str, Any]:
        tests: dict[str, Any] = json.loads((self.path / FILE).read_text())["tests"]
        return tests

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
            cwd=self.path, check=True, capture_output=True,
        )  # fmt: skip


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("QC_RIG", "CI", *CI_SERVICES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QC_LEASE_DIR", str(pytester.path / "leases"))
    return Project(pytester)


def test_a_worse_score_comes_with_its_cause(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the new release the calibration samples are too dark; only the baseline asks for a score."""
    (project.path / "digits.py").write_text(report_picture.FILES["digits.py"])
    (project.path / FLOAT_MODEL).write_bytes((FILES / FLOAT_MODEL).read_bytes())
    body = f"pytestmark = pytest.mark.quant(model={FLOAT_MODEL!r}, data='digits:dark')\n{ACCURACY}"
    monkeypatch.setenv("RELEASE", "old")
    project.run(body, "--qc-update").assert_outcomes(passed=1)
    monkeypatch.setenv("RELEASE", "new")
    result = project.run(body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*baseline accuracy: FAILED: accuracy is worse: *",
            "*likely cause: calibration samples reach from 0 to 0.25, test samples from 0 to 1",
            "*evidence: the quantized network is right on *; with scales from these samples it is on 98.5%*",
            "*what to do: Preprocess calibration and test samples with the same function.",
        ]
    )


def test_new_warns_here_fails_in_ci_and_compares_once_stored(project: Project, monkeypatch) -> None:
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["baseline accuracy: not judged: accuracy is new*run with --qc-update-new, and commit the file*"]
    )
    assert not (project.path / FILE).exists()

    monkeypatch.setenv("JENKINS_URL", "http://ci")
    project.run(ACCURACY).assert_outcomes(failed=1)
    monkeypatch.delenv("JENKINS_URL")
    monkeypatch.setenv("CI", "true")
    result = project.run(ACCURACY)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*baseline accuracy: FAILED: accuracy is new*"])
    for option in ("--qc-update", "--qc-update-new"):
        result = project.run(ACCURACY, option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"*{option}: the variable CI is set ('true'), where baselines are never*"]
        )
    assert not (project.path / FILE).exists()

    monkeypatch.delenv("CI")
    result = project.run(ACCURACY, "--qc-update-new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: baselines/test_it.json written*"])
    places = project.stored()["test_accuracy"]["nets"]
    assert list(places) == ["host"]
    assert places["host"]["accuracy"]["value"] > 0.9

    monkeypatch.setenv("CI", "true")
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 passed, 0 failed, 0 not judged, 0 rig faults"])


def test_a_regression_names_the_samples_that_flipped_and_what_to_do(project: Project) -> None:
    project.run(ACCURACY, "--qc-update-new").assert_outcomes(passed=1)
    worse = """
def test_accuracy(quantized_model, test_vectors, reference, gate):
    from dataclasses import replace
    import numpy as np
    run = reference.run(quantized_model, test_vectors)
    outputs = run.outputs[0].copy()
    outputs[:3] = np.roll(outputs[:3], 1, axis=-1)
    gate.check(replace(run, outputs=(outputs,)), baseline={tolerance})
"""
    result = project.run(worse.replace("{tolerance}", "True"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*baseline accuracy: FAILED: accuracy is worse: * before, * now on 40 samples, 7.50 pp worse, "
            "tolerance 0; 3 lost: *; 0 gained: none. If that is intended, store the new value with --qc-upd*"
        ]
    )
    project.run(worse.replace("{tolerance}", "{'accuracy': 0.08}")).assert_outcomes(passed=1)
    project.run(worse.replace("{tolerance}", "{'accuracy': '7.4pp'}")).assert_outcomes(failed=1)
    project.run(worse.replace("{tolerance}", "{'accuracy': None}"), "-rA").assert_outcomes(errors=1)
    result = project.run(worse.replace("{tolerance}", "{'accuracy': 8}"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*accuracy=8 is out of range for a fraction; allowed: 0 to below 1, such as 0.005"]
    )
    project.run(worse.replace("{tolerance}", "True"), "--qc-update").assert_outcomes(passed=1)
    result = project.run(ACCURACY)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["test_accuracy[[]nets[]]: accuracy is better: *, 7.50 pp better, tolerance 0; 0 lost: none; 3*"]
    )


DATA = {  # what nets.py then says, and the words of the failure; none where the values compare
    "another order": ("def order(count):\n    return range(count - 1, -1, -1)\n", ""),
    "inputs": ("def change(x, y, ids):\n    x[5] = x[6]\n", "the inputs of 1 sample changed (*)"),
    "labels": (
        "def change(x, y, ids):\n    y[3] = (y[3] + 1) % 10\n    y[9] = (y[9] + 1) % 10\n",
        "the labels of 2 samples changed (*, *)",
    ),
    "names": (
        "def change(x, y, ids):\n    ids[:] = [f'new {n}' for n in ids]\n",
        "no sample of this run is among*",
    ),
    "weights": ("def first():\n    return second()\n", ""),
    "calibration": (
        "from dataclasses import replace\ndef first():\n    model = demo_models()[0]\n"
        "    return replace(model, artefact=model.artefact + bytes(16))\n",
        "",
    ),
}


@pytest.mark.parametrize("changed", DATA)
def test_what_changed_since_decides_whether_a_score_compares(project: Project, changed: str) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    more, words = DATA[changed]
    project.nets(more)
    result = project.run(ACCURACY.replace("True", "{'accuracy': 0.5}"), "-rA")
    result.assert_outcomes(failed=int(bool(words)), passed=int(not words))
    if words:
        result.stdout.fnmatch_lines(
            [f"*baseline accuracy: FAILED: accuracy: the stored *% is stale: {words}*"]
        )
        project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
        project.run(ACCURACY).assert_outcomes(passed=1)


def test_a_subset_is_compared_on_the_samples_that_both_have(project: Project) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    result = project.run(
        ACCURACY + "    assert gate.baselines.measured\n", "--qc-vectors=10", "--qc-report=json=r.json"
    )
    result.assert_outcomes(passed=1)
    (row,) = json.loads((project.path / "r.json").read_text())["results"]
    (change,) = row["changes"]
    assert (change["state"], change["samples"], change["metric"]) == ("same", 10, "accuracy")
    assert "30 stored samples not in this run" in change["text"]


def test_a_score_that_is_no_sum_over_samples_is_not_judged_on_a_part(project: Project) -> None:
    body = ACCURACY.replace("baseline=True", "baseline=True, metric=spread, allow_unjudged=True")
    body = "def spread(outputs, truth):\n    return float(outputs.std())\n" + body
    project.run(body, "--qc-update").assert_outcomes(passed=1)
    project.run(body).assert_outcomes(passed=1)
    result = project.run(body, "--qc-vectors=10")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["baseline spread: not judged: spread is stored over 40 samples and is no sum*"]
    )
    project.run(body, "--qc-vectors=10", "--qc-strict").assert_outcomes(failed=1)


def test_a_renamed_test_is_unused_and_new_and_an_update_settles_it(project: Project) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    renamed = ACCURACY.replace("test_accuracy", "test_renamed")
    result = project.run(renamed)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "baseline accuracy: not judged: accuracy is new*",
            "baselines: baselines/test_it.json: 1 unused (test_accuracy [[]nets[]] on host); --qc-*",
        ]
    )
    result = project.run(renamed, "--qc-update-new")
    result.stdout.fnmatch_lines(["baselines: *1 unused*", "baselines: baselines/test_it.json written: *"])
    assert list(project.stored()) == ["test_accuracy", "test_renamed"]
    result = project.run(renamed, "--qc-update")
    result.stdout.fnmatch_lines(["baselines: baselines/test_it.json written, 1 unused removed: *"])
    assert list(project.stored()) == ["test_renamed"]


CASES = """
@pytest.mark.parametrize("number", [1, 2, 3])
def test_accuracy(number, quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)

def test_other(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)
"""


def test_unused_is_judged_only_where_the_whole_function_ran(project: Project) -> None:
    project.run(CASES, "--qc-update").assert_outcomes(passed=4)
    assert list(project.stored()["test_accuracy"]) == ["nets-1", "nets-2", "nets-3"]
    fewer = CASES.replace("[1, 2, 3]", "[1, 2]")
    failing = fewer.replace("baseline=True)\n\n", "baseline=True)\n    assert number != 2\n\n")
    for body, *options in (
        (fewer, "-k", "nets-1"),
        (fewer, "test_it.py::test_accuracy[nets-1]"),
        (fewer, "test_it.py::test_other"),
        (fewer, "--maxfail=1", "--deselect=test_it.py::test_accuracy[nets-1]"),
        (fewer, "--qc-set=artefact=nets:second"),
        (failing,),
    ):
        result = project.run(body, *options)
        assert "unused" not in result.stdout.str(), (body, options)
    result = project.run(fewer)
    result.stdout.fnmatch_lines(["baselines: *1 unused (test_accuracy [[]nets-3[]] on host)*"])


def test_what_did_not_pass_is_not_stored(project: Project) -> None:
    body = ACCURACY.replace("baseline=True", "baseline=True, min_score=1.0")
    result = project.run(body, "--qc-update")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["baselines: nothing stored of 1 test that did not pass"])
    assert not (project.path / FILE).exists()


def test_two_checks_of_one_test_need_names(project: Project) -> None:
    twice = ACCURACY + ACCURACY.splitlines()[-1]
    result = project.run(twice)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*two checks of this test have one baseline, test_accuracy [[]nets[]] on host; tell*"]
    )
    named = ACCURACY + ACCURACY.splitlines()[-1].replace("baseline=True", "baseline=True, name='again'")
    project.run(named, "--qc-update").assert_outcomes(passed=1)
    assert list(project.stored()["test_accuracy"]) == ["nets", "nets (again)"]


def test_the_last_release_is_read_from_git_and_nothing_is_checked_out(project: Project) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    project.git("init", "-q")
    project.git("add", ".")
    project.git("commit", "-qm", "release")
    project.git("tag", "v1")
    content = json.loads((project.path / FILE).read_text())
    content["tests"]["test_accuracy"]["nets"]["host"]["accuracy"].update(right="f" * 10, value=1)
    (project.path / FILE).write_text(json.dumps(content))
    project.run(ACCURACY).assert_outcomes(failed=1)
    project.run(ACCURACY, "--qc-baseline=git:v1").assert_outcomes(passed=1)
    result = project.run(ACCURACY.replace("test_accuracy", "test_later"), "--qc-baseline=git:v1")
    result.stdout.fnmatch_lines(
        [
            "*accuracy is new*",
            "baselines: *test_it.json of git:v1: 1 unused (test_accuracy [[]nets[]] on host)",
        ]
    )
    for options, words in (
        (("--qc-baseline=git:v2",), "*git:v2: no commit of * is called so*git fetch --tags*"),
        (("--qc-baseline=git:last-tag",), "*git:last-tag: * has no tag before this commit*git fetch*"),
        (("--qc-baseline=git:--help",), "*git:--help: no commit of*"),
        (
            ("--qc-baseline=git:",),
            "*--qc-baseline git:: allowed: a folder such as another checkout, git:REF, or git:last*",
        ),
        (("--qc-baseline=nowhere",), "*nowhere: there is no such folder*"),
        (
            ("--qc-baseline=git:v1", "--qc-update"),
            "*--qc-update writes beside the tests, --qc-baseline only reads*",
        ),
        (("--qc-update", "--qc-update-new"), "*--qc-update stores new values as well*"),
    ):
        result = project.run(ACCURACY, *options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([words])


def test_a_case_that_takes_the_place_of_another_keeps_what_that_promised(project: Project) -> None:
    """Another value in the marker makes another case, whose stored value must not hide a loss."""
    check = """
import numpy as np
from dataclasses import replace

@pytest.mark.parametrize("way", [{ways}])
def test_accuracy(way, quantized_model, test_vectors, reference, gate):
    run = reference.run(quantized_model, test_vectors)
    outputs = run.outputs[0].copy()
    outputs[:len(way)] = np.roll(outputs[:len(way)], 1, axis=-1)
    gate.check(replace(run, outputs=(outputs,)), baseline=True)
"""
    project.run(check.replace("{ways}", "'a'"), "--qc-update").assert_outcomes(passed=1)
    commit_with_tag(project, "v1")
    worse, beside = check.replace("{ways}", "'abcd'"), check.replace("{ways}", "'a', 'abcd'")
    project.run(worse, "--qc-update").assert_outcomes(passed=1)
    result = project.run(worse, "--qc-baseline=git:v1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*accuracy is worse: * 5.00 pp worse*git:v1 has this test as nets-a*'accuracy': 0.05}*"]
    )
    allowed = worse.replace("baseline=True", "baseline={'accuracy': 0.05}")
    project.run(allowed, "--qc-baseline=git:v1").assert_outcomes(passed=1)
    project.run(check.replace("{ways}", "''"), "--qc-update").assert_outcomes(passed=1)
    project.run(check.replace("{ways}", "''"), "--qc-baseline=git:v1").assert_outcomes(passed=1)  # better
    project.run(beside, "--qc-update-new").assert_outcomes(passed=2)
    project.run(beside, "--qc-baseline=git:v1").assert_outcomes(passed=2)  # it takes nobody's place


def test_a_case_that_is_only_deselected_is_not_gone(project: Project) -> None:
    """Also of the second function that asks: the first one, which is whole, says nothing about it."""
    head = """
import numpy as np
from dataclasses import replace

def check(gate, run, wrong):
    outputs = run.outputs[0].copy()
    outputs[:wrong] = np.roll(outputs[:wrong], 1, axis=-1)
    gate.check(replace(run, outputs=(outputs,)), baseline=True)
"""
    function = """
@pytest.mark.parametrize("way", [{ways}])
def test_{name}(way, quantized_model, test_vectors, reference, gate):
    check(gate, reference.run(quantized_model, test_vectors), len(way))
"""
    old = head + function.format(name="second", ways="'x'")
    project.run(old, "--qc-update").assert_outcomes(passed=1)
    commit_with_tag(project, "v1")
    now = (
        head + function.format(name="first", ways="'x'") + function.format(name="second", ways="'x', 'abcd'")
    )
    project.run(now, "--qc-update").assert_outcomes(passed=3)
    for options, outcomes in (
        (("-k", "first or abcd"), {"passed": 2, "deselected": 1}),
        (("--deselect=test_it.py::test_second[nets-x]",), {"passed": 2, "deselected": 1}),
        (("test_it.py::test_first", "test_it.py::test_second[nets-abcd]"), {"passed": 2}),
    ):
        project.run(now, "--qc-baseline=git:v1", *options).assert_outcomes(**outcomes)
    gone = now.replace("'x', 'abcd'", "'abcd'")
    project.run(gone, "--qc-baseline=git:v1").assert_outcomes(passed=1, failed=1)


def commit_with_tag(project: Project, tag: str) -> None:
    if not (project.path / ".git").exists():
        project.git("init", "-q")
    project.git("add", ".")
    project.git("commit", "-qm", "release", "--allow-empty")
    project.git("tag", tag)


def test_the_last_tag_is_the_one_before_this_commit(project: Project, monkeypatch) -> None:
    monkeypatch.setenv("CI", "true")
    for tag in ("v1", "v2"):  # v2 has no baselines: compared with it, every value would be new
        commit_with_tag(project, tag)
    gate = "--qc-baseline=git:last-tag"
    project.run(ACCURACY, gate).assert_outcomes(failed=1)
    monkeypatch.delenv("CI")
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    monkeypatch.setenv("CI", "true")
    commit_with_tag(project, "v3")
    (project.path / FILE).unlink()
    project.run(ACCURACY, gate).assert_outcomes(failed=1)  # v3 is this commit's own
    commit_with_tag(project, "v4")
    project.run(ACCURACY, gate).assert_outcomes(passed=1)


def test_what_is_newer_than_the_release_is_compared_with_this_commit(project: Project, monkeypatch) -> None:
    """Else a new test, or other labels, would fail until the next release."""
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    commit_with_tag(project, "v1")
    both = ACCURACY + ACCURACY.replace("test_accuracy", "test_later")
    project.nets(DATA["labels"][0])
    monkeypatch.setenv("CI", "true")
    project.run(both, "--qc-baseline=git:v1").assert_outcomes(failed=2)
    monkeypatch.delenv("CI")
    project.run(both, "--qc-update").assert_outcomes(passed=2)
    monkeypatch.setenv("CI", "true")
    result = project.run(both, "--qc-baseline=git:v1", "--qc-report=json=r.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["baselines: 2 values new or stale beside git:v1: compared with the files of*"]
    )
    changes = [row["changes"][0] for row in json.loads((project.path / "r.json").read_text())["results"]]
    assert [(each["state"], each["newer"]) for each in changes] == [("same", True)] * 2
    assert "git:v1 does not compare (accuracy: the stored" in changes[0]["text"]
    assert "git:v1 has no such value" in changes[1]["text"]
    project.nets(DATA["labels"][0].replace("[9]", "[8]"))
    result = project.run(both, "--qc-baseline=git:v1")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*is stale: the labels of 2 samples changed*store the new value with --qc-update"]
    )


def test_a_loss_since_a_release_is_allowed_by_a_tolerance(project: Project) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    content = json.loads((project.path / FILE).read_text())
    content["tests"]["test_accuracy"]["nets"]["host"]["accuracy"].update(right="f" * 10, value=1)
    (project.path / FILE).write_text(json.dumps(content))
    commit_with_tag(project, "v1")
    result = project.run(ACCURACY, "--qc-baseline=git:v1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*allow it until the next release: baseline={'accuracy': 0.05}"])


def test_another_folder_can_hold_the_baselines(project: Project, tmp_path: Path) -> None:
    project.run(ACCURACY, "--qc-update").assert_outcomes(passed=1)
    (tmp_path / "old").mkdir()
    (project.path / "baselines").rename(tmp_path / "old" / "baselines")
    project.run(ACCURACY, f"--qc-baseline={tmp_path / 'old'}").assert_outcomes(passed=1)
    assert not (project.path / FILE).exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("accuracy = 0.08", ""),
        (
            "accuracy: 0.08",
            "*ini qc_baseline_tolerance: 'accuracy: 0.08': allowed: METRIC = TOLERANCE, one a line*",
        ),
        (
            "accuracy = much",
            "*ini qc_baseline_tolerance: accuracy='much' is no tolerance; allowed: a number from 0*",
        ),
    ],
)
def test_the_ini_file_gives_tolerances(project: Project, line: str, words: str) -> None:
    project.pytester.makeini(f"[pytest]\nqc_baseline_tolerance =\n    {line}\n")
    project.nets("def change(x, y, ids):\n    pass\n")
    result = project.run(ACCURACY, "--qc-update")
    if words:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([words])
        return
    content = json.loads((project.path / FILE).read_text())
    content["tests"]["test_accuracy"]["nets"]["host"]["accuracy"].update(right="f" * 10, value=1)
    (project.path / FILE).write_text(json.dumps(content))
    project.run(ACCURACY).assert_outcomes(passed=1)
    project.run(ACCURACY.replace("True", "{'accuracy': 0}")).assert_outcomes(failed=1)


def test_a_damaged_file_is_named_and_never_overwritten(project: Project) -> None:
    (project.path / "baselines").mkdir()
    (project.path / FILE).write_text("<<<<<<< HEAD\n{}\n")
    result = project.run(ACCURACY, "--qc-update")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*baselines/test_it.json is no JSON: *Look for marks of a merge conflict*"])
    assert (project.path / FILE).read_text() == "<<<<<<< HEAD\n{}\n"


def test_workers_measure_and_the_controlling_process_writes(project: Project) -> None:
    project.run(CASES, "--qc-update", "-n2").assert_outcomes(passed=4)
    parallel = (project.path / FILE).read_bytes()
    (project.path / FILE).unlink()
    project.run(CASES, "--qc-update").assert_outcomes(passed=4)
    assert (project.path / FILE).read_bytes() == parallel
    result = project.run(CASES.replace("[1, 2, 3]", "[1, 2]"), "-n2")
    result.stdout.fnmatch_lines(["baselines: *1 unused (test_accuracy [[]nets-3[]] on host)*"])


def test_a_folder_that_cannot_be_written_fails_the_run(project: Project) -> None:
    (project.path / "baselines").write_text("not a folder")
    result = project.run(ACCURACY, "--qc-update")
    result.stdout.fnmatch_lines(["*NOT WRITTEN*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


BOARD = """
def test_board(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors), baseline={'instructions': '1%', 'cycles': '200%'})
"""
DESK = """
[[board]]
name = "{}"
family = "posix"
target = "posix"
port = "desk"
"""


def test_a_board_is_known_by_target_runtime_and_unit_and_bound_to_its_firmware(project: Project) -> None:
    rig = project.path / "boards.toml"
    rig.write_text(DESK.format("desk-1"))
    project.run(BOARD, "--qc-update", "--qc-vectors=5").assert_outcomes(passed=1)
    content = json.loads((project.path / FILE).read_text())
    (place,) = content["tests"]["test_board"]["nets"]
    assert place == "posix@quantcheck@cycles"
    metrics = content["tests"]["test_board"]["nets"][place]
    assert set(metrics) == {"accuracy", "arena", "cycles", "image"}
    assert metrics["cycles"]["firmware"]

    rig.write_text(DESK.format("desk-2"))  # another board of the bench, called by its name
    result = project.run(BOARD, "--qc-vectors=5", "--qc-each-board", "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_board[[]nets-desk-2[]]*"])
    assert "unused" not in result.stdout.str()

    metrics["cycles"]["firmware"] = "another"
    metrics["arena"]["value"] -= 16
    (project.path / FILE).write_text(json.dumps(content))
    result = project.run(BOARD, "--qc-vectors=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*2 of 6 criteria failed*",
            "*baseline cycles: FAILED: cycles: the stored * cycles is stale: the firmware was another, is *",
            "*baseline arena: FAILED: arena is worse: 4,0* bytes before, 4,0* bytes now, 16 bytes worse*",
            "*baseline instructions: not judged: posix counts cycles",
        ]
    )


def test_the_key_has_no_board_however_the_ids_are_made(project: Project) -> None:
    """Targets that are words of other parts of the id, and parameters before and behind."""
    (project.path / "boards.toml").write_text(
        DESK.format("desk-1") + DESK.format("desk-2").replace('target = "posix"', 'target = "nets"')
    )
    project.pytester.makepyfile(
        test_it=HEAD
        + """
@pytest.mark.parametrize("word", ["posix", "nets"])
def test_x(word, board, quantized_model):
    pass

class TestA:
    def test_y(self, board, quantized_model): pass
    def test_z(self, board): pass
    def test_host(self, quantized_model): pass
    def test_plain(self, gate): pass
"""
    )
    items, _ = project.pytester.inline_genitems("-p", "no:cacheprovider")
    keys = {
        item.nodeid.partition("::")[2]: (function_key(item)[1], case_without_board(item)) for item in items
    }
    assert {function_key(item)[0] for item in items} == {"baselines/test_it.json"}
    assert keys["TestA::test_y[nets-nets]"] == keys["TestA::test_y[nets-posix]"] == ("TestA::test_y", "nets")
    assert keys["TestA::test_z[posix]"] == keys["TestA::test_z[nets]"] == ("TestA::test_z", "")
    assert keys["TestA::test_host[nets]"] == ("TestA::test_host", "nets")
    assert keys["TestA::test_plain"] == ("TestA::test_plain", "")
    cases = {key: case for key, (name, case) in keys.items() if name == "test_x"}
    assert len(cases) == 4
    assert len(set(cases.values())) == 2, cases


def test_a_killed_run_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    moments = list(kill_often(tmp_path, 3, seed=5))
    assert len(moments) == 3
    assert [str(moment) for moment in moments if moment.wrong] == []


def test_an_older_model_is_run_beside_each_one_on_the_same_board(project: Project) -> None:
    (project.path / "boards.toml").write_text(DESK.format("desk-1"))
    (project.path / "old.tflite").write_bytes(demo_models()[1].artefact)
    body = BOARD + ACCURACY.replace("baseline=True", "min_score=0.5")
    result = project.run(body, "--qc-compare=old.tflite", "--qc-vectors=5", "--qc-report=json=r.json")
    rows = json.loads((project.path / "r.json").read_text())["results"]
    found = {
        change["metric"]: change for row in rows if row["target"] == "posix" for change in row["changes"]
    }
    assert set(found) == {"accuracy", "arena", "cycles", "image"}
    assert found["accuracy"]["samples"] == 40
    assert all("the model's bytes changed" in change["text"] for change in found.values())
    result.stdout.fnmatch_lines_random(
        [
            "beside old.tflite: test_board[[]nets-posix[]]: accuracy *% before, *% now on 40 samples*",
            "beside old.tflite: test_accuracy[[]nets[]]: accuracy *% before, *% now on 5 samples*",
        ]
    )
    assert "unused" not in result.stdout.str()
    assert not (project.path / FILE).exists()
    for options, words in (
        (("--qc-compare=none.tflite",), "*none.tflite: there is no such file; allowed: a quantized model"),
        (
            ("--qc-compare=old.tflite", "--qc-update"),
            "*--qc-compare and --qc-update both say what to compare with*",
        ),
    ):
        result = project.run(ACCURACY, *options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([words])


def test_a_change_to_the_older_model_fails_where_a_baseline_is_asked_for(project: Project) -> None:
    (project.path / "old.tflite").write_bytes(demo_models()[0].artefact)
    project.run(ACCURACY, "--qc-compare=old.tflite").assert_outcomes(passed=1)
    worse = """
def test_accuracy(quantized_model, test_vectors, reference, gate):
    from dataclasses import replace
    import numpy as np
    run = reference.run(quantized_model, test_vectors)
    outputs = run.outputs[0].copy()
    outputs[:3] = np.roll(outputs[:3], 1, axis=-1)
    gate.check(replace(run, outputs=(outputs,)), baseline=True)
"""
    result = project.run(worse, "--qc-compare=old.tflite")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*baseline accuracy: FAILED: accuracy is worse: *7.50 pp worse*3 lost: *"])
