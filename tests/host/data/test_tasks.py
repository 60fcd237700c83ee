"""Tasks: how the outputs of a model become predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.clips import clips, samples_of_clips
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.tasks import anomaly, detection
from pytest_quantcheck.data.tasks.registry import TASKS
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host


@pytest.mark.parametrize("name", TASKS)
def test_a_dataset_takes_a_task_by_name_or_ready_made(name) -> None:
    samples = Samples(np.zeros((2, 1)), np.zeros(2, int))
    assert Dataset(samples, samples, task=name).purpose is TASKS[name]
    own = replace(TASKS[name], name="own")
    assert Dataset(samples, samples, task=own).purpose is own


def test_every_metric_that_a_task_names_is_known() -> None:
    from pytest_quantcheck.verdict.metrics.registry import METRICS

    assert {name for each in TASKS.values() for name in (*each.metrics, *each.unlabelled)} <= set(METRICS)


def test_ids_name_clips_up_to_the_last_hash() -> None:
    found = clips(["a#0", "b", "a#1", "c#d#0", "#x", "b#7"])
    assert found.names == ("a", "b", "c#d", "#x")
    assert found.of.tolist() == [0, 1, 0, 2, 3, 1]
    assert [each.tolist() for each in found.members()] == [[0, 2], [1, 5], [3], [4]]
    assert clips([]).members() == []


def test_a_clip_is_known_by_the_content_of_its_patches_in_any_order() -> None:
    x = np.arange(8.0).reshape(4, 2)
    ids = ["a#0", "b#0", "a#1", "b#1"]
    here = samples_of_clips(Samples(x, None, ids), np.array([0, 1]))
    other = [2, 3, 0, 1]
    there = samples_of_clips(Samples(x[other], None, [ids[k] for k in other]), np.array([0, 1]))
    assert here.names == there.names == ("a", "b")
    assert here.digests == there.digests
    changed = samples_of_clips(Samples(np.vstack([x[:3], x[3:] + 1]), None, ids), np.array([0, 1]))
    same = [a == b for a, b in zip(here.input_digests, changed.input_digests, strict=True)]
    assert same == [True, False]
    relabelled = samples_of_clips(Samples(x, None, ids), np.array([1, 1]))
    assert relabelled.input_digests == here.input_digests
    assert relabelled.digests[0] != here.digests[0]


def test_an_autoencoder_is_scored_by_its_mean_squared_error() -> None:
    inputs = np.arange(6, dtype=np.float32).reshape(2, 3)
    outputs = inputs.reshape(2, 3, 1) + np.array([1, 2], np.float32).reshape(2, 1, 1)
    (scores,) = anomaly.decode((outputs,), (inputs,))
    assert scores.tolist() == [1, 4]


def test_one_value_per_sample_is_the_score() -> None:
    (scores,) = anomaly.decode((np.array([[0.25], [0.5]], np.float32),), (np.zeros((2, 640)),))
    assert scores.tolist() == [0.25, 0.5]


@pytest.mark.parametrize("outputs", [(np.zeros((2, 4)),), (np.zeros((2, 3)), np.zeros((2, 3)))])
def test_other_outputs_need_a_decode_of_their_own(outputs) -> None:
    with pytest.raises(UsageError, match=r"task='anomaly' cannot read outputs .* give a Task with a decode="):
        anomaly.decode(outputs, (np.zeros((2, 3)),))


def post_process() -> list[np.ndarray]:
    """Boxes, classes, scores and count of two images, two places each."""
    boxes = np.arange(16, dtype=np.float32).reshape(2, 2, 4)
    return [boxes, np.array([[2, 0], [1, 0]]), np.array([[0.9, 0.4], [0.8, 0.1]]), np.array([2, 1])]


def test_the_outputs_of_tflites_post_processing_become_boxes_with_score_and_class() -> None:
    (found,) = detection.decode(tuple(post_process()), ())
    assert found.shape == (2, 2, 6)
    assert found[0, 0].tolist() == pytest.approx([0, 1, 2, 3, 0.9, 2])
    assert found[..., 5].tolist() == [[2, 0], [1, detection.NO_BOX]]
    ready = np.zeros((3, 5, 6))
    assert detection.decode((ready,), ())[0] is ready


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([0, 2, 1, 3], "the second output holds no class numbers: are the outputs .* in another order"),
        ([0, 3, 2, 1], "are not the boxes, classes, scores and count"),
        ([2, 0, 1, 3], "task='detection' cannot read outputs"),
        ([0, 1], "task='detection' cannot read outputs"),
    ],
)
def test_outputs_in_another_order_are_refused(order, words) -> None:
    with pytest.raises(UsageError, match=words):
        detection.decode(tuple(post_process()[k] for k in order), ())


def test_the_best_boxes_of_each_class_are_kept() -> None:
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 5], [8, 8, 9, 9]]], dtype=np.float32)
    scores = np.array([[[0.9, 0.0], [0.8, 0.7], [0.3, 0.2]]])
    found = detection.best_boxes(boxes, scores, least=0.25, threshold=0.5, most=4)
    assert found.shape == (1, 4, 6)
    assert found[0, :, 4:].tolist() == [[0.9, 0], [0.7, 1], [0.3, 0], [0, detection.NO_BOX]]
    assert detection.best_boxes(boxes, scores, least=0.25, most=1)[0, :, 4].tolist() == [0.9]
    with pytest.raises(UsageError, match=r"boxes \(1, 3, 4\) and scores \(1, 3\)"):
        detection.best_boxes(boxes, scores[..., 0])
