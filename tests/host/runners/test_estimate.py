"""Estimates: an interval with the model's own error on both sides, never narrower than it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.runners.estimate import Estimate, Interval, widened

pytestmark = pytest.mark.host


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.floats(0, 0.5))
def test_a_widened_interval_holds_the_margin_and_no_less(a: int, b: int, margin: float) -> None:
    low, high = sorted((a, b))
    wide = widened(low, high, margin)
    assert wide.low <= low * (1 - margin) + 1e-6 * low
    assert wide.high >= high * (1 + margin) - 1e-6 * high
    assert 0 <= wide.low <= low <= high <= wide.high


def test_it_is_printed_as_an_estimate_at_the_chips_clock() -> None:
    estimate = Estimate("stm32f411xe", 96_000_000, Interval(96_000, 192_000))
    assert estimate.whole.milliseconds(estimate.clock_hz) == (1.0, 2.0)
    assert str(estimate) == "about 1.000 to 2.000 ms at 96 MHz (estimated)"
