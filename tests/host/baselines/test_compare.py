"""What makes a stored value stale, and what is only noted: the table of docs/baselines.md, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.baselines.book import Book
from pytest_quantcheck.baselines.change import STATES, Change, worst
from pytest_quantcheck.baselines.compare import compare
from pytest_quantcheck.baselines.content import Content
from pytest_quantcheck.baselines.measured import Measured
from pytest_quantcheck.baselines.policy import Policy
from pytest_quantcheck.baselines.tolerance import Tolerance
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.baselines.vector_set import fingerprints, in_order
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host

N = 10
NONE = Tolerance()
ACCURACY, RMSE, INSTRUCTIONS, CYCLES, ARENA = "accuracy", "rmse", "instructions", "cycles", "arena"
X = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
Y = np.arange(N) % 3


def samples(x: Any = X, y: Any = Y, ids: Any = None, only: Any = range(N)) -> Samples:
    return Samples(np.array(x), np.array(y), ids or [f"sample {n}" for n in range(N)]).take(list(only))


def measured(metric: str, of: Samples, *, part: bool = False, **changes: Any) -> Measured:
    """Sample n is right unless n is 3, costs 100 + n, whatever the order: it depends on its first input."""
    over, order = fingerprints(of)
    numbers = [int(row[0]) // 2 for row in of.inputs[0]]
    right = in_order([number != 3 for number in numbers], order)
    counts = in_order([100 + number for number in numbers], order)
    device = {"firmware": "f1", "runtime": "engine 1", "clock_hz": 1000}
    values: dict[str, tuple[Value, dict[str, Any]]] = {
        ACCURACY: (
            Value(sum(right) / len(right), "m1", vectors=over, right=right),
            {"kind": "score", "higher_is_better": True, "fraction": True},
        ),
        RMSE: (Value(2.5, "m1", vectors=over), {"kind": "score"}),
        INSTRUCTIONS: (
            Value(float(np.median(counts)), "m1", vectors=over, counts=counts, **device),
            {"kind": "instructions"},
        ),
        CYCLES: (Value(500.0, "m1", **device), {"kind": "cycles"}),
        ARENA: (Value(4096, "m1"), {"kind": "bytes"}),
    }
    value, facts = values[metric]
    return Measured(replace(value, **changes), part=part, **facts)


METRICS = (ACCURACY, RMSE, INSTRUCTIONS, CYCLES, ARENA)
OTHER_INPUT = X.copy()
OTHER_INPUT[4, 1] += 1
OTHER_LABEL = Y.copy()
OTHER_LABEL[5] += 1
CHANGES: dict[str, tuple[Samples, dict[str, Any], set[str]]] = {  # what is stale then
    "nothing": (samples(), {}, set()),
    "order": (samples(only=range(N - 1, -1, -1)), {}, set()),
    "model or calibration": (samples(), {"model": "m2"}, set()),
    "inputs": (samples(OTHER_INPUT), {}, {ACCURACY, RMSE, INSTRUCTIONS}),
    "labels": (samples(y=OTHER_LABEL), {}, {ACCURACY, RMSE}),
    "names": (samples(ids=[f"other {n}" for n in range(N)]), {}, {ACCURACY, RMSE, INSTRUCTIONS}),
    "firmware": (samples(), {"firmware": "f2"}, {INSTRUCTIONS, CYCLES}),
    "runtime": (samples(), {"runtime": "engine 2"}, {INSTRUCTIONS, CYCLES}),
    "clock": (samples(), {"clock_hz": 2000}, {INSTRUCTIONS, CYCLES}),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_makes_stale_what_it_is_bound_to_and_nothing_else(changed: str, metric: str) -> None:
    of, facts, stale = CHANGES[changed]
    before = measured(metric, samples()).value
    bound = facts if metric in (INSTRUCTIONS, CYCLES) or "model" in facts else {}
    change = compare(metric, measured(metric, of, **bound), before, NONE)
    assert change.state == ("stale" if metric in stale else "same"), change.text
    assert ("the model's bytes changed" in change.text) == ("model" in facts)
    assert ("--qc-update" in Policy().settle(change).text) == (metric in stale)


def test_stale_says_what_changed() -> None:
    of = samples(OTHER_INPUT, OTHER_LABEL)
    text = compare(ACCURACY, measured(ACCURACY, of), measured(ACCURACY, samples()).value, NONE).text
    assert "the inputs of 1 sample changed (sample 4); the labels of 1 sample changed (sample 5)" in text
    now = measured(CYCLES, samples(), firmware="f2", clock_hz=2000)
    text = compare(CYCLES, now, measured(CYCLES, samples()).value, NONE).text
    assert "the firmware was f1, is f2; the clock was 1,000 Hz, is 2,000 Hz" in text


@pytest.mark.parametrize("metric", [ACCURACY, INSTRUCTIONS])
@pytest.mark.parametrize(
    ("now", "before", "shared", "note"),
    [
        (range(2, 5), range(N), 3, "7 stored samples not in this run"),
        (range(N), range(2, 5), 3, "7 new samples left out"),
        (range(6), range(4, N), 2, "4 new samples left out; 4 stored samples not in this run"),
    ],
)
def test_values_per_sample_are_compared_on_the_samples_that_both_have(
    metric, now, before, shared, note
) -> None:
    change = compare(
        metric, measured(metric, samples(only=now)), measured(metric, samples(only=before)).value, NONE
    )
    assert (change.state, change.samples, change.value) == ("same", shared, change.stored)
    assert note in change.text


def test_instructions_of_a_part_are_those_of_the_same_part_before() -> None:
    now = measured(INSTRUCTIONS, samples(only=[7, 8, 9]))
    change = compare(INSTRUCTIONS, now, measured(INSTRUCTIONS, samples()).value, NONE)
    assert (change.value, change.stored) == (108.0, 108.0)  # and not 104.5, the median of all


def test_a_number_over_all_samples_says_nothing_of_a_part_and_is_stale_for_another_set() -> None:
    stored = measured(RMSE, samples()).value
    few = samples(only=range(5))
    assert compare(RMSE, measured(RMSE, few, part=True), stored, NONE).state == "unknown"
    change = compare(RMSE, measured(RMSE, few), stored, NONE)
    assert change.state == "stale"
    assert "of the 10 samples then, 5 gone now" in change.text
    change = compare(RMSE, measured(RMSE, samples(), part=True), measured(RMSE, few).value, NONE)
    assert change.state == "stale"
    assert "of the 5 samples then, 5 new now" in change.text


def test_flips_are_named_and_counted() -> None:
    before = measured(ACCURACY, samples()).value
    assert before.right is not None
    names = fingerprints(samples())[0].names
    right = tuple(name not in {f"sample {n}" for n in range(4, 10)} for name in names)
    change = compare(ACCURACY, measured(ACCURACY, samples(), right=right), before, NONE)
    assert change.state == "regression"
    assert change.lost == tuple(f"sample {n}" for n in range(4, 10))
    assert change.gained == ("sample 3",)
    assert (
        "6 lost: sample 4, sample 5, sample 6, sample 7, sample 8 and 1 more; 1 gained: sample 3"
        in change.text
    )
    assert "90.00% before, 40.00% now on 10 samples, 50.00 pp worse, tolerance 0" in change.text


@pytest.mark.parametrize(
    ("metric", "now", "tolerance", "state"),
    [
        (RMSE, 2.6, "0", "regression"),
        (RMSE, 2.6, "0.1", "same"),
        (RMSE, 2.4, "0", "improvement"),
        (RMSE, 2.4, "0.1", "same"),
        (CYCLES, 510.0, "2%", "same"),
        (CYCLES, 510.1, "2%", "regression"),
        (CYCLES, 489.0, "2%", "improvement"),
        (ARENA, 4097, "0", "regression"),
        (ARENA, 4100, "4", "same"),
    ],
)
def test_the_tolerance_decides(metric: str, now: float, tolerance: str, state: str) -> None:
    stored = measured(metric, samples()).value
    change = compare(
        metric, measured(metric, samples(), value=now), stored, Tolerance.parse(tolerance, metric)
    )
    assert change.state == state, change.text


@given(st.data())
def test_a_regression_one_way_is_an_improvement_the_other(data: st.DataObject) -> None:
    numbers = st.floats(-1e9, 1e9)
    a, b = data.draw(numbers), data.draw(numbers)
    tolerance = Tolerance(data.draw(st.floats(0, 1e9)))
    one, other = (measured(RMSE, samples(), value=each) for each in (a, b))
    there, back = (
        compare(RMSE, one, other.value, tolerance).state,
        compare(RMSE, other, one.value, tolerance).state,
    )
    assert {there, back} in ({"same"}, {"regression", "improvement"})
    assert (a > b) or there != "regression"


def test_states_are_ordered_from_bad_to_good() -> None:
    changes = tuple(Change("m", state, "") for state in reversed(STATES))
    assert worst(changes) == Change("m", "regression", "")
    assert worst(()) is None


@pytest.mark.parametrize(
    ("state", "passed", "in_ci"),
    [
        ("regression", False, False),
        ("stale", False, False),
        ("new", None, False),
        ("unknown", None, None),
        ("improvement", True, True),
        ("same", True, True),
    ],
)
def test_what_fails_here_and_under_ci(state: str, passed: bool | None, in_ci: bool | None) -> None:
    change = Change("m", state, "text")
    assert Policy().passed(change) is passed
    assert Policy(ci=True).passed(change) is in_ci
    stored = Policy(update="all").settle(change)
    assert stored.written == (state != "unknown")
    assert Policy(update="all").passed(stored) is (None if state == "unknown" else True)
    only_new = Policy(update="new")
    assert only_new.passed(only_new.settle(change)) is (True if state == "new" else passed)


def test_a_book_compares_what_is_stored_and_refuses_a_second_check_of_the_same_name() -> None:
    first = Book("test_it", "net", Content)
    values = {ACCURACY: measured(ACCURACY, samples()), ARENA: measured(ARENA, samples())}
    assert [each.state for each in first.judge("host", "", values, {})] == ["new", "new"]
    book = Book("test_it", "net", lambda: first.measured)
    del values[ARENA]
    states = {each.metric: each.state for each in book.judge("host", "", values, {})}
    assert states == {ACCURACY: "same", ARENA: "unknown"}
    assert [each.metric for each in book.judge("host", "again", values, {})] == [ACCURACY]
    with pytest.raises(UsageError, match=r"one baseline, test_it \[net\] on host; tell them apart by gate"):
        book.judge("host", "", values, {})


def test_none_leaves_a_metric_out_but_stores_it() -> None:
    book = Book("test_it", "net", Content)
    values = {ACCURACY: measured(ACCURACY, samples()), ARENA: measured(ARENA, samples())}
    assert [each.metric for each in book.judge("host", "", values, {ARENA: None})] == [ACCURACY]
    ((_, stored),) = book.measured.values.items()
    assert set(stored) == {ACCURACY, ARENA}


@pytest.mark.parametrize(
    ("given", "shown"),
    [(0, "0"), (0.005, "0.005"), ("2%", "2%"), (" 0.5 pp ", "0.5pp"), (".5", "0.5"), ("1e-3", "0.001")],
)
def test_a_tolerance_is_a_number_a_percentage_or_points(given: Any, shown: str) -> None:
    assert str(Tolerance.parse(given, "accuracy")) == shown


@pytest.mark.parametrize(
    "given", ["", "x", "-1", "2 %%", "1/2", True, [], "nan", -0.5, float("nan"), "1e999"]
)
def test_what_is_no_tolerance_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match=r"accuracy=.*; allowed: a number from 0 such as 0.005, '2%'"):
        Tolerance.parse(given, "accuracy")


@pytest.mark.parametrize(
    ("given", "fraction", "words"),
    [
        ("2%", True, "could mean two things.*'2pp' or 0.02 for 2 percentage points"),
        (5, True, "out of range for a fraction"),
        ("200pp", True, "out of range for a fraction"),
        ("2pp", False, "percentage points are for fractions"),
    ],
)
def test_a_tolerance_that_means_two_things_is_refused(given: Any, fraction: bool, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Tolerance.parse(given, "m").check("m", fraction=fraction)


def test_the_usual_tolerance_is_none_but_for_time_and_the_ini_file_is_nearer() -> None:
    policy = Policy({"accuracy": Tolerance(0.5, "pp")})
    names = ("cycles", "microseconds", "arena", "accuracy", "accuracy of boxes")
    assert [str(policy.tolerance(each)) for each in names] == [
        "1%",
        "1%",
        "0",
        "0.5pp",
        "0.5pp",
    ]
