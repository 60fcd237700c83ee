"""Two runs of one model: bit for bit the same, or how far apart and how often."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics import integers

pytestmark = pytest.mark.host

shapes = st.tuples(st.integers(0, 8), st.integers(0, 4))
pairs = st.tuples(shapes, st.sampled_from([np.int8, np.uint8, np.int16])).flatmap(
    lambda case: st.tuples(
        *[arrays.arrays(case[1], case[0], elements=st.integers(0, 3) | st.integers(0, 127))] * 2
    )
)


@given(pairs)
def test_runs_are_compared_element_by_element(pair) -> None:
    """The hand calculation, in Python's own integers."""
    ours, theirs = pair
    steps = [int(a) - int(b) for a, b in zip(ours.flat, theirs.flat, strict=True)]
    assert integers.lsb_histogram(ours, theirs) == tuple(sorted(Counter(steps).items()))
    assert integers.max_lsb(ours, theirs) == max(map(abs, steps), default=0)
    assert integers.identical(ours, theirs) is (not any(steps))
    share = sum(map(bool, steps)) / len(steps) if steps else 0
    assert integers.differing_elements(ours, theirs) == pytest.approx(share, abs=1e-12)
    rows = [bool((a != b).any()) for a, b in zip(ours, theirs, strict=True)] if ours.size else []
    share = sum(rows) / len(rows) if rows else 0
    assert integers.differing_samples(ours, theirs) == pytest.approx(share, abs=1e-12)


def test_bits_decide_not_values() -> None:
    nan, zero = np.array([np.nan], np.float32), np.zeros(1, np.float32)
    assert integers.identical(nan, nan)
    assert not integers.identical(zero, -zero)


@pytest.mark.parametrize("other", [np.zeros((2, 2), np.int8), np.zeros((2, 3), np.uint8)])
def test_another_shape_or_type_is_another_model(other) -> None:
    for function in (integers.identical, integers.differing_elements, integers.differing_samples):
        with pytest.raises(UsageError, match="not the same model"):
            function(np.zeros((2, 3), np.int8), other)
