"""Virtual boards estimate clock cycles: the same every time, for every chip, beside the instructions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.verdict.budget import Budget

pytestmark = pytest.mark.hw

BOARDS = ("virtual-stm32f405", "virtual-esp32c3")


@pytest.mark.parametrize("name", BOARDS)
def test_an_estimate_repeats_and_leaves_the_count_of_instructions_alone(new_session, digits, samples, name):
    runner = BoardRunner(new_session(name))
    before = runner.run(digits[0], samples, operators=True)
    estimate = before.estimate()
    again = runner.run(digits[0], samples, operators=True)
    assert (again.counters, again.operators) == (before.counters, before.operators)
    for one, other in zip(
        (again.estimate().whole, *again.estimate().operators),
        (estimate.whole, *estimate.operators),
        strict=True,
    ):
        # what the caches hold at the start depends on when bytes came
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=0.01, abs=5000)
    assert estimate.target == name
    for cycles, record in zip(estimate.operators, before.operators[0], strict=True):
        assert 0.85 * record.counter < cycles.low < cycles.high
    parts = sum(each.high for each in estimate.operators)
    assert 0.95 * parts < estimate.whole.high < 1.05 * parts


@pytest.mark.parametrize("name", BOARDS)
def test_each_outcome_of_a_budget_in_milliseconds(new_session, digits, samples, name):
    run = BoardRunner(new_session(name)).run(digits[0], samples.take([0]))
    low, high = run.estimate().whole.milliseconds(run.estimate().clock_hz)
    answers = [
        Budget({"latency_ms": limit}).judge(run)[0] for limit in (high * 1.01, low * 0.99, (low + high) / 2)
    ]
    assert [each.passed for each in answers] == [True, False, None]
    assert [each.word for each in answers] == ["ok", "FAILED", "needs silicon"]


def test_each_chip_has_its_clock_and_its_wait_states(new_session, digits, samples):
    runner = BoardRunner(new_session("virtual-stm32f405"))
    inputs = [each[0] for each in IntegerRunner().run(digits[0], samples).inputs]
    fast, slow = (runner.estimate(digits[0], inputs, chip) for chip in ("stm32f429xi", "stm32f401xe"))
    assert (fast.clock_hz, slow.clock_hz) == (168_000_000, 84_000_000)
    assert fast.whole.low == slow.whole.low
    assert fast.whole.high > slow.whole.high  # five wait states and two


def test_a_board_without_a_model_of_its_cycles_estimates_nothing(new_session, digits, samples):
    run = BoardRunner(new_session("posix")).run(digits[0], samples.take([0]))
    assert run.estimate() is None


def test_of_a_closed_board_nothing_is_estimated(new_session, digits, samples):
    session = new_session("virtual-esp32c3")
    run = BoardRunner(session).run(digits[0], samples.take([0]))
    session.close()
    assert run.estimate() is None


def test_qemu_estimates_nothing(new_session, entries, digits, samples):
    entry = replace(entries["virtual-stm32f405"], settings={"engine": "qemu"})
    run = BoardRunner(new_session(entry=entry)).run(digits[0], samples.take([0]))
    assert run.estimate() is None
