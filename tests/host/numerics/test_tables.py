"""Tables of straight lines are straight; the tables of the int16 kernels are compared with TFLM in
``tests/host/graph/test_execute.py``."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.numerics import tables

pytestmark = pytest.mark.host


@pytest.mark.parametrize("slope", [1, -1, 3, -3])
def test_a_line_is_tabled_exactly_and_saturates(slope: int) -> None:
    table = tables.interpolated_table(lambda x: slope * x, -1.0, 1.0)
    line = slope * np.arange(-(1 << 15), (1 << 15) + 1, 128)
    assert table.tolist() == np.clip(line, -(1 << 15), (1 << 15) - 1).tolist()


def test_interpolation_of_a_line_is_the_line() -> None:
    table = tables.interpolated_table(lambda x: x / 2, -1.0, 1.0)
    x = np.arange(-(1 << 15), 1 << 15)
    assert tables.interpolate(x, table).tolist() == ((x + 1) >> 1).tolist()
