"""The budget marker's limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.runners.estimate import Estimate, Interval
from pytest_quantcheck.verdict.baseline import measured, place
from pytest_quantcheck.verdict.budget import Budget, latency_ms

pytestmark = pytest.mark.host

CYCLES = {"counters": (1_680_000, 1_680_000, 3_000_000), "unit": "cycles", "clock_hz": 168_000_000}
MICROSECONDS = {"counters": (1500, 1500, 2000), "unit": "microseconds", "clock_hz": 1_000_000}
INSTRUCTIONS = {"counters": (900, 1100, 1000), "unit": "instructions"}


@pytest.mark.parametrize(
    ("limits", "facts", "passed"),
    [
        ({"latency_ms": 10.0}, CYCLES, True),
        ({"latency_ms": 9.99}, CYCLES, False),
        ({"latency_ms": {"stm32f405xg": 20}}, CYCLES, True),
        ({"latency_ms": {"stm32f405xg": 5, "other": 20}}, CYCLES, False),
        ({"cycles": 1_680_000}, CYCLES, True),
        ({"latency_ms": 1.5}, MICROSECONDS, True),
        ({"latency_ms": 1.49}, MICROSECONDS, False),
        ({"instructions": 1000}, INSTRUCTIONS, True),
        ({"instructions": 999}, INSTRUCTIONS, False),
        ({"arena_kib": 8}, INSTRUCTIONS, True),
        ({"arena_kib": 7.9}, INSTRUCTIONS, False),
        ({"flash_kib": 39}, INSTRUCTIONS, False),
    ],
)
def test_limits_hold_for_the_median(make_run, limits, facts, passed) -> None:
    (criterion,) = Budget(limits).judge(make_run(**facts))
    assert criterion.passed is passed


@pytest.mark.parametrize(
    ("limits", "facts", "reason"),
    [
        ({"latency_ms": 10}, INSTRUCTIONS, "stm32f405xg counts instructions and has no clock"),
        ({"cycles": 10}, INSTRUCTIONS, "counts instructions"),
        ({"instructions": 10}, CYCLES, "counts cycles"),
        ({"cycles": 10_000}, MICROSECONDS, "stm32f405xg counts microseconds"),
        ({"instructions": 10}, {}, "board counts nothing"),
        ({"latency_ms": {"esp32c3": 10}}, CYCLES, "no limit for stm32f405xg (given: esp32c3)"),
        ({"stack_kib": 10}, CYCLES, "board does not report it"),
    ],
)
def test_what_a_run_cannot_tell_is_not_judged_and_says_why(make_run, limits, facts, reason) -> None:
    (criterion,) = Budget(limits).judge(make_run(**facts))
    assert criterion.passed is None
    assert reason in criterion.text


def test_a_rig_fault_while_estimating_costs_no_other_verdict(make_run) -> None:
    def fault() -> None:
        raise RigFault("link", "the cable is gone")

    run = replace(make_run(**INSTRUCTIONS), estimate=fault)
    late, small = Budget({"latency_ms": 1, "arena_kib": 7.9}).judge(run)
    assert (late.passed, small.passed) == (None, False)
    assert late.text == "the board gave no estimate: link fault: the cable is gone"


ESTIMATE = Estimate("virtual-stm32f405", 168_000_000, Interval(1_680_000, 2_100_000))  # 10 to 12.5 ms


@pytest.mark.parametrize(
    ("limits", "passed", "text"),
    [
        (
            {"latency_ms": 12.5},
            True,
            "latency_ms: ok: at most 12.500 ms at 168 MHz, estimated of the first vector, limit 12.500 ms",
        ),
        (
            {"latency_ms": 9.9},
            False,
            "latency_ms: FAILED: at least 10.000 ms at 168 MHz, estimated of the first vector, "
            "exceed the limit of 9.900 ms: "
            "1.0% more",
        ),
        (
            {"latency_ms": 12},
            None,
            "latency_ms: needs silicon: between 10.000 ms and 12.500 ms at 168 MHz, "
            "estimated of the first vector; "
            "the limit 12.000 ms lies inside",
        ),
        ({"latency_ms": 10}, None, "latency_ms: needs silicon: between 10.000 ms and"),
        ({"cycles": 2_100_000}, True, "cycles: ok: at most 2,100,000 cycles"),
        ({"cycles": 1_679_999}, False, "cycles: FAILED: at least 1,680,000 cycles"),
        ({"cycles": 2_000_000}, None, "cycles: needs silicon: between 1,680,000 cycles and 2,100,000 cycles"),
    ],
)
def test_an_estimate_passes_fails_or_needs_silicon(make_run, limits, passed, text) -> None:
    (criterion,) = Budget(limits).judge(replace(make_run(**INSTRUCTIONS), estimate=lambda: ESTIMATE))
    assert criterion.passed is passed
    assert str(criterion).startswith(text)


def test_where_cycles_are_measured_no_estimate_is_asked_for(make_run) -> None:
    def never() -> Estimate:
        raise AssertionError

    (criterion,) = Budget({"latency_ms": 10.0}).judge(replace(make_run(**CYCLES), estimate=never))
    assert criterion.passed


def test_an_estimate_is_no_counter_that_a_baseline_could_hold(make_run) -> None:
    run = replace(make_run(**INSTRUCTIONS), estimate=lambda: ESTIMATE)
    assert latency_ms(run) is None
    assert not {"cycles", "latency_ms"} & measured(run, ()).keys()


def test_a_baseline_holds_time_stamps_as_time(make_run) -> None:
    run = make_run(**MICROSECONDS)
    stored = measured(run, ())
    assert (stored["microseconds"].value.value, stored["microseconds"].kind) == (1500, "microseconds")
    assert "cycles" not in stored
    assert place(run) == "stm32f405xg@quantcheck@microseconds"


def test_a_failed_limit_says_how_far_it_was_missed(make_run) -> None:
    (criterion,) = Budget({"instructions": 800}).judge(make_run(**INSTRUCTIONS))
    assert str(criterion) == (
        "instructions: FAILED: 1,000 instructions exceed the limit of 800 instructions: 25.0% more"
    )


def test_milliseconds_come_from_the_devices_own_clock(make_run) -> None:
    assert latency_ms(make_run(**CYCLES)) == pytest.approx(10.0)
    assert latency_ms(make_run(**INSTRUCTIONS)) is None


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"speed": 3}, "unknown key; allowed: latency_ms, cycles, instructions"),
        ({"cycles": -1}, "-1 is no limit"),
        ({"cycles": True}, "True is no limit"),
        ({"cycles": {"esp32c3": "fast"}}, "'fast' is no limit"),
        ({}, "limits nothing"),
    ],
)
def test_wrong_limits_are_usage_errors(limits, message) -> None:
    with pytest.raises(UsageError, match=message):
        Budget(limits)


def test_a_budget_knows_whether_it_was_used(make_run) -> None:
    budget = Budget({"cycles": 1})
    assert not budget.used
    budget.judge(make_run())
    assert budget.used
