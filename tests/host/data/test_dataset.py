"""Samples and datasets: what they accept."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": (np.zeros((2, 3)), np.zeros((3, 3)))}, "different numbers"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3)}, "3 labels"),
        ({"x": np.zeros((2, 3)), "ids": ["a"]}, "but 1 id"),
        ({"x": np.zeros((2, 3)), "ids": ["a", "a"]}, "not unique"),
        ({"x": [[1, 2], [3, 4]]}, "NumPy arrays"),
        ({"x": np.float32(1)}, "NumPy arrays"),
        ({"x": ()}, "NumPy arrays"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Samples(**arguments)


def test_a_dataset_without_test_samples_is_refused():
    with pytest.raises(UsageError, match="test set has no samples"):
        Dataset(Samples(np.zeros((2, 3))), Samples(np.zeros((0, 3))))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "clasification"}, "task='clasification' is not known; allowed: classification, regression"),
        ({"classes": ("one", "two")}, "largest label of the test samples is 2, and classes= names 2 labels"),
        ({"classes": ["one"]}, "largest label of the calibration samples is 1, and classes= names 1 label:"),
    ],
)
def test_what_is_said_of_the_samples_must_fit_them(arguments, words):
    labelled = Samples(np.zeros((3, 1)), np.arange(3))
    with pytest.raises(UsageError, match=words):
        Dataset(labelled.take([0, 1]), labelled, **arguments)


@pytest.mark.parametrize(
    ("labels", "arguments"),
    [
        ([0, 1, 2], {"classes": ("crane", "maillot", "crane")}),
        ([0, 1, 2], {"classes": np.array(["one", "two", "three"])}),
        ([20, 41, 33], {"classes": ("age",), "task": "regression"}),
        ([-1.0, 0.0, 1.0], {"classes": ("one", "two")}),
        (["no", "yes", "no"], {"classes": ("no", "yes")}),
        (np.eye(3), {"classes": ("one", "two", "three")}),
    ],
)
def test_names_of_classes_are_taken_where_no_label_lacks_one(labels, arguments):
    samples = Samples(np.zeros((3, 1)), np.asarray(labels))
    unlabelled = Samples(np.zeros((2, 1)))
    assert Dataset(unlabelled, samples, **arguments).classes == tuple(map(str, arguments["classes"]))


def test_taking_keeps_inputs_labels_and_names_together():
    taken = Samples((np.arange(4), np.arange(4) * 10), np.arange(4) * 100, list("abcd")).take([2, 0])
    assert [a.tolist() for a in taken.inputs] == [[2, 0], [20, 0]]
    assert taken.y.tolist() == [200, 0]
    assert taken.names == ("c", "a")
    assert taken.named


def test_samples_know_whether_their_names_were_given():
    assert not Samples(np.zeros((3, 1))).named
    assert not Samples(np.zeros((3, 1))).take([1]).named
    assert Samples(np.zeros((3, 1)), ids=list("abc")).named


@pytest.mark.parametrize(
    "make",
    [
        lambda x: Samples(np.ma.masked_array(x, x > 0)),
        lambda x: Samples(x, np.ma.masked_array(x, x > 0)),
        lambda x: Samples(x.astype(complex)),
        lambda x: Samples(x.astype(str)),
        lambda x: Samples(x, ()),
        lambda x: Dataset(Samples(x), Samples(x), classes=3),
        lambda x: Dataset(Samples(x), Samples(x), classes="abc"),
        lambda x: Dataset(Samples(x), Samples(x), input_range=5),
        lambda x: Dataset(Samples(x), Samples(x), input_range=("low", "high")),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused(make) -> None:
    with pytest.raises(UsageError):
        make(np.zeros((3, 2), np.float32))
