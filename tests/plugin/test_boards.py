"""Boards in tests: markers, targets, leases, order, faults. The boards are processes (family ``posix``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_quantcheck.rig.inventory import read
from pytest_quantcheck.rig.lease import acquire

pytestmark = pytest.mark.host

Run = Callable[..., pytest.RunResult]
NETS = """
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def first():
    return demo_models()[0]

def second():
    return demo_models()[1]

def dataset():
    return demo_dataset()
"""
HEAD = """
import pytest
from pytest_quantcheck.demo.sabotage import broken_image
from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.runners.board import BoardRunner

pytestmark = pytest.mark.quant(artefact="nets:first", data="nets:dataset")
"""
DESK = """
[[board]]
name = "desk-{number}"
family = "posix"
target = "posix"
port = "desk-{number}"
"""


@pytest.fixture
def rig(pytester: pytest.Pytester) -> Callable[[int], Path]:
    """``rig(n)``: a ``boards.toml`` in rootdir with n boards of one target."""

    def make(count: int) -> Path:
        path = pytester.path / "boards.toml"
        path.write_text("".join(DESK.format(number=number + 1) for number in range(count)))
        return path

    return make


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(body, *options)``: the tests in ``body`` on five vectors, with locks of their own."""
    monkeypatch.delenv("QC_RIG", raising=False)
    monkeypatch.setenv("QC_LEASE_DIR", str(pytester.path / "leases"))
    pytester.makepyfile(nets=NETS)

    def go(body: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + body)
        return pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "--strict-markers", "--qc-vectors=5", *options
        )

    return go


def test_a_board_runs_the_model_and_a_failure_names_the_serial_log(run: Run, rig, pytester) -> None:
    rig(1)
    result = run(
        """
@pytest.mark.budget(cycles=1e9, instructions=5, arena_kib=64)
def test_good(board, quantized_model, test_vectors, gate, request):
    assert request.node.get_closest_marker("hw")
    verdict = gate.check(board.run(quantized_model, test_vectors), max_drop=0.01)
    assert verdict.exact
    assert verdict.score.samples == 540
    assert verdict.score.inherited == "tflm"
    assert [c.name for c in verdict.not_judged] == ["instructions"]

@pytest.mark.budget(arena_kib=1)
def test_bad(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))

def test_host(quantized_model, request):
    assert request.node.get_closest_marker("host")
""",
        "-v",
    )
    result.assert_outcomes(passed=2, failed=1)
    log = ".quantcheck/test_it/test_bad-nets-posix.log"
    result.stdout.fnmatch_lines(
        [
            "*test_good[[]nets-posix[]] PASSED*",
            "*arena_kib: FAILED: 4.0 KiB of arena exceed the limit of 1.0 KiB of arena: 4.0 times as much*",
            f"*serial log: */{log}*",
            "*1 passed, 1 failed, 1 not judged, 0 rig faults*",
        ]
    )
    assert (pytester.path / log).stat().st_size > 0
    assert (pytester.path / ".quantcheck/test_it/test_good-nets-posix.log").is_file()


def test_a_wrong_model_on_the_board_is_located(run: Run, rig) -> None:
    rig(1)
    result = run(
        """
@pytest.fixture
def board(board):
    return BoardRunner(board.session, makers={"qcm": broken_image("zero-point")})

def test_it(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))
""",
        "--qc-vectors=20",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*exact: FAILED: not the integers of tflm*",
            "*first diverging: operator 5 (CONV_2D)*",
            "*likely cause: input zero point -127 instead of -128*",
        ]
    )


FAULT = """
@pytest.mark.xfail(reason="an xfail hides no rig fault")
def test_dies(board, quantized_model, test_vectors, gate):
    board.session.board.misbehave("die")
    gate.check(board.run(quantized_model, test_vectors))

def test_next(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))
"""


def test_a_fault_of_the_rig_is_an_error_and_quarantines_the_board(run: Run, rig, pytester) -> None:
    rig(1)
    result = run(FAULT, "--qc-infra-retries=0", "--junitxml=junit.xml")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_dies*",
            "RigFault (during the call): * fault on desk-1: *",
            "*ERROR at setup of test_next*",
            "RigFault: *every board of this target is in quarantine after earlier faults:*",
            "*0 passed, 0 failed, 0 not judged, 2 rig faults*",
        ]
    )
    cases = ElementTree.parse(pytester.path / "junit.xml").findall(".//testcase")
    assert [[child.tag for child in case if child.tag != "properties"] for case in cases] == [
        ["error"],
        ["error"],
    ]
    faults = {p.get("name"): p.get("value") for p in cases[0].iter("property")}
    assert faults["qc.outcome"] == "rig_fault"
    assert faults["qc.fault"] == "board"


def test_after_a_quarantine_another_board_of_the_target_goes_on(run: Run, rig) -> None:
    rig(2)
    result = run(FAULT, "--qc-infra-retries=0")
    result.assert_outcomes(errors=1, passed=1)


def test_a_fault_is_retried_before_it_counts_and_the_report_tells(run: Run, rig, pytester) -> None:
    rig(1)
    result = run(
        FAULT.replace("@pytest.mark.xfail", "@pytest.mark.filterwarnings#"), "--qc-report=json=r.json"
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*ok* (after 1 retry)", "*2 passed, 0 failed, * 0 rig faults, 1 retries*"])
    rows = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))["results"]
    assert [(row["retries"], len(row.get("faults", []))) for row in rows] == [(1, 1), (0, 0)]
    assert " fault on desk-1: " in rows[0]["faults"][0]


def test_a_busy_board_is_a_lease_fault_that_names_the_holder(run: Run, rig) -> None:
    with acquire(read(rig(1)).boards, who="a colleague's test"):
        result = run("def test_it(board): pass", "--qc-lease-timeout=0.2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "RigFault: lease fault on desk-1: no free board after waiting 0.2 s:",
            "*desk-1 is held by process * for a colleague's test since *",
            "*rig fault: lease*",
        ]
    )


def test_two_workers_share_two_boards(run: Run, rig) -> None:
    rig(2)
    result = run(
        """
@pytest.mark.parametrize("number", range(4))
def test_it(number, board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))
""",
        "-n2",
    )
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*4 passed, 0 failed, 0 not judged, 0 rig faults*"])


def test_items_of_one_board_and_image_stand_together(run: Run, rig) -> None:
    rig(2)
    result = run(
        """
@pytest.mark.quant(artefact=["nets:first", "nets:second"], data="nets:dataset")
@pytest.mark.parametrize("number", [1, 2])
def test_it(number, board, quantized_model):
    pass

def test_host(quantized_model):
    pass

def test_board_alone(board):
    pass
""",
        "--qc-each-board",
        "--collect-only",
        "-q",
    )
    assert [line.partition("::")[2] for line in result.outlines if "::" in line] == [
        "test_host[nets]",
        "test_it[nets.first-desk-1-1]",
        "test_it[nets.first-desk-1-2]",
        "test_it[nets.second-desk-1-1]",
        "test_it[nets.second-desk-1-2]",
        "test_board_alone[desk-1]",
        "test_it[nets.first-desk-2-1]",
        "test_it[nets.first-desk-2-2]",
        "test_it[nets.second-desk-2-1]",
        "test_it[nets.second-desk-2-2]",
        "test_board_alone[desk-2]",
    ]
