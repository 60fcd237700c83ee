"""The arrays that calibrate: what is checked before a quantizer sees them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.data.representative import representative
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host

PINNED = "03906a5e4d2002e9e09392e04abe833005d9c0dc3414c2a58c91a6921c9c2642"
ALL = Calibration.parse("all")
SHAPE = (4, 4, 1)


def samples(n=10, low=0.0, high=1.0, prefix="c", seed=0):
    x = np.random.default_rng(seed).uniform(low, high, (n, *SHAPE)).astype(np.float32)
    return Samples(x, np.zeros(n, np.int64), [f"{prefix}{i}" for i in range(n)])


def dataset(calibration, **how):
    return Dataset(calibration, how.pop("test", samples(prefix="t", seed=1)), **how)


def codes(result):
    return [finding.code for finding in result.findings]


def test_the_chosen_samples_come_in_the_order_of_their_ids():
    data = samples(20)
    result = representative(Calibration.parse("count:4"), dataset(data), [SHAPE])
    assert list(result.ids) == sorted(result.ids)
    rows = [data.x[data.names.index(name)] for name in result.ids]
    assert np.array_equal(result.inputs[0], np.stack(rows))


def test_classes_go_by_the_names_of_the_dataset():
    data = Samples(samples(6).x, np.array([0, 1, 2, 0, 1, 2]), [f"c{i}" for i in range(6)])
    named = dataset(data, classes=("cat", "dog", "owl"))
    assert representative(Calibration.parse("classes:owl"), named, [SHAPE]).ids == ("c2", "c5")
    assert representative(Calibration.parse("classes:0"), data, [SHAPE]).ids == ("c0", "c3")


@pytest.mark.parametrize("labels", [None, np.zeros((6, 3)), np.zeros(6)])
def test_labels_that_are_no_classes_are_an_error(labels):
    data = Samples(samples(6).x, labels)
    with pytest.raises(UsageError, match="one whole number each"):
        representative(Calibration.parse("stratified:50%"), data, [SHAPE])


def test_the_hash_covers_what_the_quantizer_sees_and_not_the_order_of_listing():
    data = samples(20)
    listed_otherwise = data.take(np.random.default_rng(3).permutation(20))
    first, second = (
        representative(Calibration.parse("25%"), dataset(d), [SHAPE]) for d in (data, listed_otherwise)
    )
    assert first.sha256 == second.sha256
    touched = Samples(data.x + np.float32(1e-6), data.y, data.names)
    assert representative(Calibration.parse("25%"), dataset(touched), [SHAPE]).sha256 != first.sha256


def test_the_manifest_entry_says_which_samples():
    entry = representative(Calibration.parse("count:2", 5), dataset(samples()), [SHAPE]).to_dict()
    assert entry["samples"] == len(entry["ids"]) == 2
    assert (entry["kind"], entry["value"], entry["seed"]) == ("count", 2, 5)
    assert len(entry["sha256"]) == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_is_an_error_that_names_the_sample(bad):
    whole = samples()
    x = whole.x.copy()
    x[3, 1, 2, 0] = bad
    data = Samples(x, whole.y, whole.ids)
    with pytest.raises(UsageError, match=r"1 of 10 .*c3"):
        representative(ALL, dataset(data), [SHAPE])


def test_a_wrong_shape_is_an_error_that_shows_both():
    with pytest.raises(UsageError, match=r"\(4, 4, 1\).*\(8, 8, 3\)"):
        representative(ALL, dataset(samples()), [(8, 8, 3)])


def test_a_missing_input_is_an_error():
    with pytest.raises(UsageError, match=r"\(4, 4, 1\) each, the model expects \(4, 4, 1\) and \(2,\)"):
        representative(ALL, dataset(samples()), [SHAPE, (2,)])


def test_text_samples_are_an_error():
    for given in ("a", True, 1j):
        with pytest.raises(UsageError, match="real numbers"):
            representative(ALL, Samples(np.array([[given], [given]])), [(1,)])


def test_no_data_is_an_error_that_offers_random_calibration():
    with pytest.raises(UsageError, match="random"):
        representative(ALL, None, [SHAPE])


def test_no_calibration_sample_is_an_error():
    with pytest.raises(UsageError, match="empty"):
        representative(ALL, dataset(samples().take([])), [SHAPE])


def test_values_outside_the_input_range_are_an_error():
    with pytest.raises(UsageError, match=r"input_range is 0 to 1"):
        representative(ALL, dataset(samples(high=255.0), input_range=(0, 1)), [SHAPE])


def test_values_in_a_corner_of_the_input_range_are_a_warning():
    result = representative(ALL, dataset(samples(high=1.0), input_range=(0, 255)), [SHAPE])
    assert codes(result) == ["narrow_calibration_range"]


def test_test_samples_among_the_calibration_samples_are_a_finding_by_id():
    shared = samples(10)
    result = representative(ALL, Dataset(shared, shared.take([2, 5])), [SHAPE])
    assert codes(result) == ["test_samples_in_calibration"]
    assert "2 of 10" in result.findings[0].sentence
    assert "c2, c5" in result.findings[0].sentence


def test_samples_without_names_are_compared_by_content():
    x = samples(10).x
    other = samples(10, seed=9).x
    assert codes(representative(ALL, Dataset(Samples(x), Samples(other)), [SHAPE])) == []
    leaking = Dataset(Samples(x), Samples(np.concatenate([other, x[4:5]])))
    assert codes(representative(ALL, leaking, [SHAPE])) == ["test_samples_in_calibration"]


@pytest.mark.parametrize("named", [True, False])
def test_arrays_are_compared_with_what_is_read_from_files(named):
    whole = samples(200)
    read = Lazy(200, SHAPE, np.float32, lambda index: whole.x[index], lambda row: b"%d" % row)
    names = whole.names if named else None
    data = Dataset(Samples(read, None, names), Samples(whole.x[150:152], None, names and names[150:152]))
    result = representative(ALL, data, [SHAPE])
    assert codes(result) == ["test_samples_in_calibration"]
    assert "2 of 200" in result.findings[0].sentence


def test_a_test_sample_that_was_not_chosen_is_no_finding():
    data = samples(20)
    chosen = representative(Calibration.parse("count:3"), data, [SHAPE]).ids
    rest = [i for i, name in enumerate(data.names) if name not in chosen]
    result = representative(Calibration.parse("count:3"), Dataset(data, data.take(rest)), [SHAPE])
    assert codes(result) == []


class TestRandom:
    RANDOM = Calibration.parse("random:50", seed=1)

    def test_it_fills_the_input_range_of_every_input(self):
        result = representative(self.RANDOM, None, [SHAPE, (3,)], input_range=(-1, 1))
        assert [a.shape for a in result.inputs] == [(50, *SHAPE), (50, 3)]
        assert all(a.dtype == np.float32 for a in result.inputs)
        image = result.inputs[0]
        assert -1 <= image.min() < -0.95
        assert 0.95 < image.max() <= 1
        assert abs(image.mean()) < 0.1

    def test_it_is_marked_and_holds_no_ids(self):
        result = representative(self.RANDOM, dataset(samples(), input_range=(0, 1)), [SHAPE])
        assert result.ids == ()
        assert codes(result) == ["random_calibration"]

    def test_its_bytes_are_pinned(self):
        """PCG64's raw stream is frozen by NumPy's policy; the conversion to float is ours."""
        result = representative(self.RANDOM, None, [(2, 2)], input_range=(0, 1))
        assert hashlib.sha256(result.inputs[0].tobytes()).hexdigest() == PINNED
        other = representative(Calibration.parse("random:50", 2), None, [(2, 2)], input_range=(0, 1))
        assert other.sha256 != result.sha256

    def test_without_an_input_range_it_is_an_error(self):
        with pytest.raises(UsageError, match="input_range"):
            representative(self.RANDOM, dataset(samples()), [SHAPE])

    @pytest.mark.parametrize("span", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
    def test_an_impossible_range_is_an_error(self, span):
        with pytest.raises(UsageError, match="lower one first"):
            representative(self.RANDOM, None, [SHAPE], input_range=span)
        with pytest.raises(UsageError, match="lower one first"):
            dataset(samples(), input_range=span)
