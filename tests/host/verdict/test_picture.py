"""Pictures of samples: which inputs have one, and what it shows."""

from __future__ import annotations

import base64
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.picture import Picture, pictures, thumbnail

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((8, 8), (8, 8)),
        ((8, 6, 1), (8, 6)),
        ((8, 6, 3), (8, 6, 3)),
        ((8, 6, 4), (8, 6, 3)),
        ((1, 8, 6), (8, 6)),
        ((3, 8, 6), (8, 6, 3)),
        ((49, 10, 1), (25, 5)),
        ((96, 96, 3), (48, 48, 3)),
        ((100, 97), (34, 33)),
        ((10,), None),
        ((3,), None),
        ((128, 1), None),
        ((16000, 1), None),
        ((2, 16000), None),
        ((8, 8, 16), None),
        ((2, 8, 8, 1), None),
    ],
    ids=str,
)  # fmt: skip
def test_images_and_spectrograms_have_a_picture(shape, drawn) -> None:
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    found = pictures(Samples(x, ids=["a", "b", "c"]), ["c", "x", "a", "c"], 9)
    if drawn is None:
        assert found == ()
        return
    assert [each.sample for each in found] == ["c", "a"]
    image = matplotlib.image.imread(BytesIO(base64.b64decode(found[0].png)), format="png")
    assert image.shape == drawn
    np.testing.assert_array_equal(np.round(image * 255), thumbnail(x[2]))


def test_the_first_input_that_is_an_image_is_shown_and_no_more_than_asked() -> None:
    numbers, images = np.zeros((9, 4), np.float32), np.zeros((9, 8, 8), np.float32)
    samples = Samples((numbers, images), ids=[f"{n}" for n in range(9)])
    assert [each.sample for each in pictures(samples, samples.names, 3)] == ["0", "1", "2"]


@pytest.mark.parametrize("text", ["", "AAAA", 'iVBORw0KGgo"><script>', "iVBORw0KGgo" + "A" * 20_000])
def test_what_is_no_picture_is_refused(text) -> None:
    with pytest.raises(UsageError, match="the picture of 'a' is no small PNG file in base64"):
        Picture("a", text)


def test_shades_go_from_the_darkest_to_the_lightest_value() -> None:
    np.testing.assert_array_equal(thumbnail(np.array([[-1.0, 0.0, 0.0, 1.0]] * 4)), [[0, 128, 128, 255]] * 4)
    assert not thumbnail(np.full((5, 5), 7.0)).any()
    assert thumbnail(np.array([[np.nan, np.inf, 0.0, 2.0]] * 4)).max() == 255


def test_large_images_are_averaged_over_squares() -> None:
    x = np.zeros((96, 96))
    x[::2] = 1.0  # each square of two by two is half light
    x[:2, :2], x[2:4, :2] = 0, 2
    found = thumbnail(x)
    assert found.shape == (48, 48)
    assert (found[0, 0], found[1, 0], found[5, 5]) == (0, 255, 64)
