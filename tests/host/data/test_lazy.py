"""Rows that are made when they are asked for: the same values as an array, never all of them at once."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import Lazy, blocks
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host
WHOLE = np.arange(100 * 6, dtype=np.float32).reshape(100, 2, 3)


class Source:
    """Counts which rows are made."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, index):
        self.made += [int(i) for i in index]
        return WHOLE[index]

    def lazy(self) -> Lazy:
        return Lazy(100, (2, 3), np.float32, self, lambda row: WHOLE[row].tobytes())


@pytest.mark.parametrize(
    "key",
    [3, -1, slice(0, 7), slice(90, None), slice(None, None, 9), slice(5, 5), np.array([4, 2, 2]),
     (slice(0, 5), 1), (3, 1, 2), np.arange(100) % 7 == 0],
)  # fmt: skip
def test_it_is_indexed_like_an_array(key):
    made = Source().lazy()[
        key if not (isinstance(key, np.ndarray) and key.dtype == bool) else np.flatnonzero(key)
    ]
    assert isinstance(made, (np.ndarray, np.floating))
    assert np.array_equal(made, WHOLE[key])


def test_all_of_it_is_an_array_where_one_is_wanted():
    lazy = Source().lazy()
    assert np.array_equal(np.asarray(lazy), WHOLE)
    assert np.asarray(lazy, dtype=np.int64).dtype == np.int64
    assert (lazy.shape, lazy.ndim, lazy.size, lazy.nbytes, len(lazy)) == ((100, 2, 3), 3, 600, 2400, 100)


def test_nothing_is_made_before_it_is_asked_for_and_little_beyond():
    source = Source()
    lazy = source.lazy()
    samples = Samples(lazy, np.zeros(100, np.int64))
    taken = samples.take(range(40, 90))
    samples.input_digests  # noqa: B018 - by what the rows are made of
    mapped = taken.x.map(lambda x: x * 2).reshape(50, 6).astype(np.float64)
    assert source.made == []
    assert np.array_equal(mapped[:5], WHOLE[40:45].reshape(5, 6) * 2)
    mapped[5:10]
    assert set(source.made) <= set(range(40, 55))


def test_going_through_it_makes_each_row_once():
    source = Source()
    for start, (block,) in blocks([source.lazy()], size=8):
        assert np.array_equal(block, WHOLE[start : start + 8])
    assert source.made == list(range(100))


def test_samples_are_told_apart_by_what_they_are_made_of():
    one, two = (Samples(Source().lazy()) for _ in range(2))
    assert one.digest == two.digest
    assert len(set(one.digests)) == 100
    shifted = Lazy(100, (2, 3), np.float32, Source(), lambda row: WHOLE[row].tobytes() + b"x")
    assert Samples(shifted).digest != one.digest
    assert one.take([3, 5]).digests == (one.digests[3], one.digests[5])


def test_a_dataset_takes_it():
    data = Dataset(Samples(Source().lazy()), Samples(Source().lazy().take(np.arange(3))))
    assert repr(data.test) == "Samples(float32[3, 2, 3], no labels)"


def test_rows_keep_their_size_when_they_change_shape():
    with pytest.raises(UsageError, match="do not become"):
        Source().lazy().reshape(100, 5)


def test_an_error_in_a_row_comes_out_where_the_row_is_wanted():
    def rows(index):
        if 20 in index:
            raise ValueError("row 20 is damaged")
        return WHOLE[index]

    lazy = Lazy(100, (2, 3), np.float32, rows, lambda row: b"")
    assert np.array_equal(lazy[0:16], WHOLE[:16])
    with pytest.raises(ValueError, match="row 20 is damaged"):
        lazy[16:32]
    assert np.array_equal(lazy[32:48], WHOLE[32:48])
