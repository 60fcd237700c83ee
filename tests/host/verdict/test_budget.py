"""The budget marker's limits."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.budget import Budget, latency_ms

pytestmark = pytest.mark.host

CYCLES = {"counters": (1_680_000, 1_680_000, 3_000_000), "unit": "cycles", "clock_hz": 168_000_000}
INSTRUCTIONS = {"counters": (900, 1100, 1000), "unit": "instructions"}


@pytest.mark.parametrize(
    ("limits", "facts", "passed"),
    [
        ({"latency_ms": 10.0}, CYCLES, True),
        ({"latency_ms": 9.99}, CYCLES, False),
        ({"latency_ms": {"stm32f405xg": 20}}, CYCLES, True),
        ({"latency_ms": {"stm32f405xg": 5, "other": 20}}, CYCLES, False),
        ({"cycles": 1_680_000}, CYCLES, True),
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
        ({"instructions": 10}, {}, "board counts nothing"),
        ({"latency_ms": {"esp32c3": 10}}, CYCLES, "no limit for stm32f405xg (given: esp32c3)"),
        ({"stack_kib": 10}, CYCLES, "board does not report it"),
    ],
)
def test_what_a_run_cannot_tell_is_not_judged_and_says_why(make_run, limits, facts, reason) -> None:
    (criterion,) = Budget(limits).judge(make_run(**facts))
    assert criterion.passed is None
    assert reason in criterion.text


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
