"""PNG files, read back by matplotlib."""

from __future__ import annotations

from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from pytest_quantcheck.formats.png import png

pytestmark = pytest.mark.host

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.sampled_from([size, (*size, 3)])
)


@given(shapes.arrays(np.uint8, SHAPES))
def test_another_reader_sees_the_same_pixels(pixels) -> None:
    found = matplotlib.image.imread(BytesIO(png(pixels)), format="png")
    np.testing.assert_array_equal(np.round(found * 255), pixels)
