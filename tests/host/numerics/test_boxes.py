"""Boxes: overlap by hand calculation, suppression beside onnxruntime's operator."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pytest_quantcheck.numerics.boxes import iou, suppress

pytestmark = pytest.mark.host

boxes = st.tuples(*[st.integers(0, 10), st.integers(0, 5)] * 2).map(
    lambda t: [t[0], t[2], t[0] + t[1], t[2] + t[3]]
)


def overlap(a, b) -> Fraction:
    sides = [max(0, min(a[2 + k], b[2 + k]) - max(a[k], b[k])) for k in (0, 1)]
    common = sides[0] * sides[1]
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - common
    return Fraction(common, union) if union else Fraction(0)


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=6))
def test_overlap_is_intersection_over_union_and_zero_without_area(first, second) -> None:
    found = iou(np.array(first).reshape(-1, 4), np.array(second).reshape(-1, 4))
    assert found.shape == (len(first), len(second))
    assert found.tolist() == [[float(overlap(a, b)) for b in second] for a in first]


def test_boxes_that_are_reversed_or_not_finite_overlap_nothing() -> None:
    whole = np.array([[0.0, 0, 4, 4]])
    for other in ([4.0, 4, 0, 0], [np.nan, 0, 4, 4], [0, 0, np.inf, 4]):
        assert iou(whole, np.array([other])).tolist() == [[0.0]]


@pytest.fixture(scope="module")
def onnx_suppression():
    """ONNX's NonMaxSuppression for one image: (boxes, scores per class, threshold) -> (class, box) pairs."""
    inputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, None, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, None, None]),
        helper.make_tensor_value_info("most", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("selected", TensorProto.INT64, [None, 3])]
    node = helper.make_node("NonMaxSuppression", [each.name for each in inputs], ["selected"])
    graph = helper.make_graph([node], "nms", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    def run(corners, scores, threshold) -> set[tuple[int, int]]:
        values = {
            "boxes": corners[np.newaxis].astype(np.float32),
            "scores": scores[np.newaxis].astype(np.float32),
            "most": np.array([1000]),
            "threshold": np.array([threshold], np.float32),
        }
        return {(int(name), int(box)) for _, name, box in session.run(None, values)[0]}

    return run


@given(st.lists(boxes, min_size=1, max_size=12), st.sampled_from([0.123, 0.377, 0.611]), st.data())
def test_suppression_is_that_of_onnxruntime_class_by_class(onnx_suppression, drawn, threshold, data) -> None:
    corners = np.array(drawn, dtype=np.float64)
    order = data.draw(st.permutations(range(2 * len(drawn))))
    scores = (np.array(order) + 1.0).reshape(2, -1) / 64
    expected = onnx_suppression(corners, scores, threshold)
    twice, names = np.tile(corners, (2, 1)), np.repeat([0, 1], len(corners))
    kept = suppress(twice, scores.ravel(), names, threshold)
    assert {(int(names[k]), int(k) % len(corners)) for k in kept} == expected
    assert (np.diff(scores.ravel()[kept]) < 0).all(), "the best comes first"


def test_of_equal_scores_the_first_box_stays() -> None:
    same = np.array([[0.0, 0, 4, 4]] * 3)
    assert suppress(same, np.ones(3), np.array([0, 0, 1]), 0.5).tolist() == [0, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0), 0.5).tolist() == []
