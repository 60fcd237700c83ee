"""What the outputs of a detector mean: the head of its ``model_type``, limited by ``postprocessing``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.data.tasks.detection import NO_BOX
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration
from pytest_quantcheck.workflows.model_zoo.detector import HEADS, detector
from pytest_quantcheck.workflows.model_zoo.load import load_configurations

pytestmark = pytest.mark.host

ANCHORS = np.float32([[0.1, 0.2, 0.3, 0.6], [0.1, 0.2, 0.3, 0.62], [0.5, 0.5, 0.9, 0.9]])  # x1, y1, x2, y2


def configuration(folder: Path, model_type: str, **postprocessing: object) -> Configuration:
    (folder / "model.h5").touch()
    (folder / "c.yaml").write_text(
        "operation_mode: evaluation\n"
        f"general: {{model_path: model.h5, model_type: {model_type}}}\n"
        "dataset: {class_names: [person, dog]}\n"
        f"postprocessing: {postprocessing}\n"
    )
    (found,) = load_configurations(folder / "c.yaml", now=datetime(2024, 1, 1), working=folder)
    return found


def boxes(found: Array) -> list[list[float]]:
    """The predictions of one image: ymin, xmin, ymax, xmax, score, class."""
    return [[round(float(x), 4) for x in row] for row in found[0] if row[5] != NO_BOX]


def test_an_ssd_of_the_model_zoo_gives_scores_offsets_and_anchors(tmp_path: Path) -> None:
    scores = np.float32([[[0.1, 0.9, 0], [0.2, 0.8, 0], [0.3, 0.1, 0.6]]])  # background, person, dog
    outputs = scores, np.zeros((1, 3, 4), np.float32), ANCHORS[np.newaxis]
    config = configuration(tmp_path, "st_ssd_mobilenet_v1", confidence_thresh=0.5, NMS_thresh=0.5)
    (found,) = detector(config).decode(outputs, ())
    assert boxes(found) == [[0.2, 0.1, 0.6, 0.3, 0.9, 0], [0.5, 0.5, 0.9, 0.9, 0.6, 1]], (
        "one of two persons is left"
    )
    config = configuration(tmp_path, "st_ssd_mobilenet_v1", confidence_thresh=0.5, NMS_thresh=0.99)
    assert len(boxes(detector(config).decode(outputs, ())[0])) == 3
    config = configuration(tmp_path, "st_ssd_mobilenet_v1", confidence_thresh=0.7, max_detection_boxes=1)
    assert boxes(detector(config).decode(outputs, ())[0]) == [[0.2, 0.1, 0.6, 0.3, 0.9, 0]]


def test_a_yolo_with_anchors_takes_them_from_the_configuration(tmp_path: Path) -> None:
    output = np.full((1, 2, 2, 7), -20.0, np.float32)
    output[0, 0, 1] = (
        0,
        0,
        0,
        0,
        20,
        20,
        -20,
    )  # the centre of the cell at the top right, an anchor wide, a person
    config = configuration(tmp_path, "tiny_yolo_v2", yolo_anchors=[0.5, 1.0], confidence_thresh=0.5)
    (found,) = detector(config).decode((output,), ())
    assert boxes(found) == [[0.0, 0.625, 0.5, 0.875, 1.0, 0]]
    with pytest.raises(UsageError, match=r"c.yaml:4: postprocessing.yolo_anchors: anchors are needed"):
        detector(configuration(tmp_path, "tiny_yolo_v2", confidence_thresh=0.5))


def test_a_yolo_that_decodes_itself(tmp_path: Path) -> None:
    output = np.float32([[[0.5, 0.5, 0.2, 0.4, 0.1, 0.8]]]).transpose(0, 2, 1)
    output = np.concatenate([output, np.zeros_like(output)], axis=2)
    (found,) = detector(configuration(tmp_path, "yolo_v8", confidence_thresh=0.5)).decode((output,), ())
    assert boxes(found) == [[0.3, 0.4, 0.7, 0.6, 0.8, 1]]


def test_predictions_need_no_head_and_are_limited_all_the_same(tmp_path: Path) -> None:
    output = np.float32(
        [[[0, 0, 1, 1, 0.9, 0], [0, 0, 1, 0.9, 0.8, 0], [0, 0, 1, 1, 0.7, 1], [0, 0, 1, 1, 0.1, 1]]]
    )
    for model_type in (*HEADS, "of_my_own"):
        limits = {"yolo_anchors": [1, 1]} if model_type in ("tiny_yolo_v2", "st_yolo_lc_v1") else {}
        config = configuration(tmp_path, model_type, confidence_thresh=0.5, **limits)
        found = boxes(detector(config).decode((output,), ())[0])
        assert found == [[0, 0, 1, 1, 0.9, 0], [0, 0, 1, 1, 0.7, 1]]


def test_outputs_that_nobody_reads_name_the_heads_there_are(tmp_path: Path) -> None:
    config = configuration(tmp_path, "of_my_own", confidence_thresh=0.5)
    with pytest.raises(
        UsageError, match=r"general.model_type: task='detection' cannot .* st_ssd_mobilenet_v1, "
    ):
        detector(config).decode((np.zeros((1, 3, 4)), np.zeros((1, 3, 2))), ())
