"""Fixtures and verdicts of host tests, on the digits that ship with the demo."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL

pytestmark = pytest.mark.host

Run = Callable[..., pytest.RunResult]
NETS = """
from dataclasses import replace

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def int8():
    return demo_models()[0]

def edges():
    return demo_models()[3]

def random():
    model = demo_models()[0]
    return replace(model, config=replace(model.config, calibration=Calibration.parse("random")))

def broken():
    return b"not a model"

def dataset():
    return demo_dataset()

def sorted_by_class():
    data = demo_dataset()
    return replace(data, test=data.test.take(sorted(range(len(data.test)), key=data.test.labels.__getitem__)))

def nothing():
    return None
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(body, *options)``: the tests in ``body``, with ``nets.py`` beside them."""
    monkeypatch.delenv("QC_RIG", raising=False)
    pytester.makepyfile(nets=NETS)

    def go(body: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(
            test_it="import pytest\nfrom pytest_quantcheck.runners.litert import LitertRunner\n" + body
        )
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", *options)

    return go


HEAD = """
@pytest.mark.quant(artefact={artefact!r}, data="nets:dataset")
"""


def test_good_bad_and_unjudgeable_models_in_one_run(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
pytestmark = pytest.mark.quant(artefact=["nets:int8", "nets:edges"], data="nets:dataset")

def test_good(quantized_model, test_vectors, reference, gate):
    verdict = gate.check(reference.run(quantized_model, test_vectors), max_drop=0.02, min_score=0.9)
    assert verdict.score.paired is not None

def test_bad(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.999, max_drop=0, confidence=0.99)

def test_marks(request):
    assert request.node.get_closest_marker("host") is None

def test_host_mark(request, reference):
    assert request.node.get_closest_marker("host") is not None
""",
        "--junitxml=junit.xml",
        "--qc-report=json=out/qc.json",
        "--qc-report=md=qc.md",
    )
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: digits*on tflm: 2 of 2 criteria failed*",
            "*min_score: FAILED: accuracy 9?.??%, at least 99.90% wanted*",
            "*max_drop: FAILED: too few vectors (540): the drop lies in * (99 % sure *), limit 0.00%*",
            "*accuracy 9?.??% on 540 samples, float 9?.??%; * lost, * gained, p = *, one sample is *",
            "*= quantcheck =*",
            "*2 passed, 2 failed, 0 not judged, 0 rig faults*",
        ]
    )
    properties = {
        p.get("name"): p.get("value") for p in ElementTree.parse(pytester.path / "junit.xml").iter("property")
    }
    assert properties["qc.runner"] == "tflm"
    document = json.loads((pytester.path / "out" / "qc.json").read_text())
    assert document["outcome"] == "regression"
    assert [row["outcome"] for row in document["results"]] == ["pass", "pass", "regression", "regression"]
    assert (pytester.path / "qc.md").read_text().count("| test_") == 4


def test_rows_reach_the_summary_from_parallel_workers(run: Run) -> None:
    result = run(
        HEAD.format(artefact="nets:int8")
        + """
@pytest.mark.parametrize("number", [1, 2, 3])
def test_it(number, quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.9, name=f"check {number}")
""",
        "-n2",
        "--qc-vectors=20",
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random([f"*test_it*{number}* (check {number}) *" for number in (1, 2, 3)])
    result.stdout.fnmatch_lines(["3 passed, 0 failed, 0 not judged, 0 rig faults"])


def test_other_runtimes_are_judged_in_steps(run: Run) -> None:
    result = run(
        HEAD.format(artefact="nets:int8")
        + """
def test_it(quantized_model, test_vectors, gate):
    run = LitertRunner().run(quantized_model, test_vectors)
    assert gate.check(run, allow_unjudged=True).exact is None
    assert gate.check(run, max_lsb=40).passed
    assert gate.check(run, max_differing=0.99).passed

@pytest.mark.xfail(strict=True, raises=AssertionError)
@pytest.mark.quant(artefact="nets:int8", data="nets:dataset")
def test_exact(quantized_model, test_vectors, gate):
    gate.check(LitertRunner().run(quantized_model, test_vectors), exact=True, max_lsb=40)
"""
    )
    result.assert_outcomes(passed=1, xfailed=1)


def test_what_was_asked_for_but_cannot_be_judged_is_an_error(run: Run) -> None:
    result = run(
        """
pytestmark = pytest.mark.quant(artefact="nets:random", data="nets:dataset")

def test_footprint_and_exactness_only(quantized_model, test_vectors, reference, gate):
    verdict = gate.check(reference.run(quantized_model, test_vectors), allow_unjudged=True)
    assert [c.name for c in verdict.not_judged] == ["accuracy"]

def test_accuracy(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), max_drop=0.5)

def test_itself(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), exact=True)
""",
        "--qc-vectors=20",
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_accuracy*",
            "UsageError (during the call): a score was asked for, but the calibration was random*",
            "UsageError (during the call): exact= compares with the reference, but*",
            "0 passed, 0 failed, 1 not judged, 0 rig faults, 2 errors",
        ]
    )


def test_a_few_vectors_are_of_all_classes_though_the_data_are_sorted(run: Run) -> None:
    result = run(
        """
@pytest.mark.quant(artefact="nets:int8", data="nets:sorted_by_class")
def test_it(quantized_model, test_vectors, reference, gate):
    assert set(test_vectors.labels) == set(range(10))
    assert len(gate.check(reference.run(quantized_model, test_vectors), min_score=0.5).run) == 20
""",
        "--qc-vectors=20",
    )
    result.assert_outcomes(passed=1)
    said = "--qc-vectors: at most 20 vectors of each test set, chosen by id across all classes"
    assert said in result.outlines


def test_an_unused_budget_is_an_error(run: Run) -> None:
    result = run(
        """
pytestmark = [pytest.mark.quant(artefact="nets:int8", data="nets:dataset"), pytest.mark.budget(arena_kib=32)]

def test_unused(gate):
    pass

def test_used(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), min_score=0.5)

def test_none_of_ours():
    pass
""",
        "--qc-vectors=5",
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["the budget marker was not used: no gate.check judged it in this test"])


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("speed=3", "*test_wrong: budget(speed=3): unknown key 'speed'; allowed: latency_ms*"),
        ("arena_kib=-1", "*test_wrong: budget(arena_kib=-1): -1 is no limit; allowed: a positive number*"),
        ("", "*test_wrong: budget() limits nothing; allowed keys: latency_ms*"),
        ("latency_ms={'stm23': 5}", "*test_wrong: budget(latency_ms={'stm23': 5}): no such target; known: *"),
        ("5", "*test_wrong: budget(5): keys only, such as budget(latency_ms=...)*"),
    ],
)
def test_a_wrong_budget_is_an_error_before_anything_runs(run: Run, marker, words) -> None:
    result = run(
        f"""
@pytest.mark.quant(artefact="nets:int8", data="nets:dataset")
@pytest.mark.budget({marker})
def test_wrong(quantized_model, gate):
    raise AssertionError("ran")
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words])


def test_errors_of_ours_are_short_and_can_be_expected(run: Run, pytester: pytest.Pytester) -> None:
    os.mkfifo(pytester.path / "pipe.tflite")
    with (pytester.path / "endless.tflite").open("wb") as file:
        file.truncate(13 << 30)
    result = run(
        """
@pytest.mark.quant(artefact="nets:broken")
def test_broken(quantized_model, reference):
    reference.run(quantized_model, None)

@pytest.mark.xfail(strict=True)
@pytest.mark.quant(artefact="nets:nothing")
def test_expected(quantized_model):
    pass

@pytest.mark.quant(artefact="nets:int8", data="nets:nothing")
def test_no_dataset(test_vectors):
    pass

@pytest.mark.quant(artefact="nets:int8")
def test_no_data(test_vectors):
    pass

@pytest.mark.quant(artefact="no.tflite")
def test_no_file(quantized_model):
    pass

@pytest.mark.quant(artefact="pipe.tflite")
def test_pipe(quantized_model):
    pass

@pytest.mark.quant(artefact="endless.tflite")
def test_endless(quantized_model):
    pass

@pytest.mark.quant()
def test_no_model(quantized_model):
    pass
"""
    )
    result.assert_outcomes(errors=7, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "ModelError (during the call): *",
            "UsageError: data='nets:nothing' returned a NoneType; allowed: a Dataset, such as *",
            "UsageError: there are no data: give quant(data=*",
            "UsageError: artefact='no.tflite': there is no file */no.tflite",
            "ModelError: */pipe.tflite is a pipe; only regular files are read*",
            "ModelError: */endless.tflite has 13958643712 bytes; at most * are read",
            "UsageError: there is no model: give quant(model=*",
        ]
    )
    result.stdout.no_fnmatch_line("*fixtures.py*")


def test_host_tests_need_no_sound_rig(run: Run) -> None:
    run("def test_it(reference): pass", "--qc-rig=nowhere.toml").assert_outcomes(passed=1)


def test_model_and_data_fixtures_can_be_overridden(run: Run) -> None:
    result = run(
        """
from nets import dataset

@pytest.fixture
def quant_data():
    return dataset()

@pytest.mark.quant(artefact="nets:int8")
def test_it(quantized_model, test_vectors, reference, gate):
    assert gate.check(reference.run(quantized_model, test_vectors), min_score=0.9).score.samples == 540

@pytest.fixture
def board():
    return "a board of the user's own"

def test_board(board, request):
    assert board == "a board of the user's own"
    assert not list(request.node.iter_markers())
"""
    )
    result.assert_outcomes(passed=2)


def test_a_quant_config_of_the_users_own_decides_the_quantization(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
import pytest
from pytest_quantcheck import QuantConfig

@pytest.fixture
def quant_config(request):
    return QuantConfig(scheme="dynamic") if request.node.originalname == "test_it" else "dynamic"
"""
    )
    (pytester.path / FLOAT_MODEL).write_bytes((DATA / FLOAT_MODEL).read_bytes())
    result = run(
        f"""
pytestmark = pytest.mark.quant(model={FLOAT_MODEL!r}, scheme="float16")

def test_it(quantized_model):
    assert quantized_model.config.scheme == "dynamic"

def test_wrong(quantized_model):
    pass
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["UsageError: the fixture quant_config gave a str; allowed: a QuantConfig, *"]
    )
