"""Audio events: patches vote for their clip, whatever their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.metrics.audio_events import vote
from pytest_quantcheck.verdict.metrics.classification import accuracy, decisions
from pytest_quantcheck.verdict.metrics.registry import METRICS

pytestmark = pytest.mark.host

patches = st.lists(
    st.tuples(st.integers(0, 4), st.tuples(*[st.integers(-128, 127)] * 3)), min_size=1, max_size=40
)


@given(patches, st.randoms(use_true_random=False))
def test_the_vote_is_the_largest_sum_of_scores_in_any_order(drawn, random) -> None:
    """The hand calculation: sums of whole numbers of a scale that is a power of two are exact."""
    random.shuffle(drawn)
    outputs = np.array([scores for _, scores in drawn], dtype=np.float32) / 64
    labels = np.array([clip % 3 for clip, _ in drawn])
    ids = [f"clip{clip}#{k}" for k, (clip, _) in enumerate(drawn)]
    seen = vote(outputs, labels, ids)
    right = 0
    for name, voted, label in zip(seen.names, seen.outputs, seen.truth, strict=True):
        members = [scores for clip, scores in drawn if f"clip{clip}" == name]
        sums = [sum(column) for column in zip(*members, strict=True)]
        assert voted.tolist() == [each / 64 for each in sums]
        assert label == int(name[4:]) % 3
        right += sums.index(max(sums)) == label
    assert METRICS["clip_accuracy"].score(seen.outputs, seen.truth) == right / len(seen.names)
    assert METRICS["patch_accuracy"].score(outputs, labels) == accuracy(outputs, labels)


def test_equal_sums_name_the_first_class_though_floats_would_round_apart() -> None:
    tenth, third = np.float32(0.1), np.float32(1 / 3)
    columns = [[tenth, third, 1e8, -1e8], [1e8, tenth, -1e8, third]]
    outputs = np.array(columns, dtype=np.float32).T
    assert len(set(outputs.sum(axis=0).tolist())) == 2, "float32 sums differ"
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        seen = vote(outputs[order], np.zeros(4, int), [f"c#{k}" for k in order])
        assert decisions(seen.outputs).tolist() == [0]


def test_a_clip_with_a_patch_that_is_not_finite_names_no_class() -> None:
    outputs = np.array([[0, 1], [np.inf, -np.inf], [0, 1]])
    seen = vote(outputs, np.array([1, 1, 1]), ["a#0", "a#1", "b#0"])
    assert decisions(seen.outputs).tolist() == [-1, 1]


def test_one_value_per_patch_is_averaged_before_it_is_cut() -> None:
    seen = vote(np.array([[0.4], [0.4], [0.9], [0.3]]), np.array([0, 0, 1, 1]), ["a#0", "a#1", "b#0", "b#1"])
    assert decisions(seen.outputs).tolist() == [0, 1]


def test_patches_of_one_clip_have_one_label() -> None:
    with pytest.raises(UsageError, match="the patches of clip 'a' have several labels"):
        vote(np.zeros((2, 3)), np.array([0, 1]), ["a#0", "a#1"])
    one_hot = vote(np.zeros((2, 3)), np.eye(3)[[2, 2]], ["a#0", "a#1"])
    assert one_hot.truth.tolist() == [[0, 0, 1]]


def test_without_samples_there_are_no_clips() -> None:
    seen = vote(np.zeros((0, 3)), np.zeros(0, int), [])
    assert (seen.outputs.shape, seen.names) == ((0, 3), ())
    assert np.isnan(METRICS["clip_accuracy"].score(seen.outputs, seen.truth))
