"""Heads of detectors: boxes come out where they were put in, and other outputs are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantcheck.data.tasks.detection import detector, limited
from pytest_quantcheck.data.tasks.heads.anchors import anchors, from_centres
from pytest_quantcheck.data.tasks.heads.choice import Choice
from pytest_quantcheck.data.tasks.heads.fomo import Fomo
from pytest_quantcheck.data.tasks.heads.ssd import Ssd
from pytest_quantcheck.data.tasks.heads.yolo import AnchoredYolo, DecodedYolo, DistributedYolo
from pytest_quantcheck.data.tasks.registry import task
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host
BOX = np.array([0.2, 0.3, 0.6, 0.5])  # ymin, xmin, ymax, xmax
GRID = anchors([(4, 6), (2, 3)], [[0.2, 0.3], [0.5, 0.6]], [[1.0, 0.5], [1.0, 2.0]])


def kept(predictions):
    return [row for row in predictions[0] if row[5] >= 0]


def test_anchors_lie_about_the_centres_of_their_cells():
    assert GRID.shape == ((4 * 6 + 2 * 3) * 3, 4)
    np.testing.assert_allclose(GRID[0], [1 / 8 - 0.1, 1 / 12 - 0.1, 1 / 8 + 0.1, 1 / 12 + 0.1])
    height, width = (GRID[1, 2:] - GRID[1, :2]).tolist()  # the ratio is the width by the height
    assert width / height == pytest.approx(0.5)
    assert width * height == pytest.approx(0.2**2)
    np.testing.assert_allclose(from_centres([0.5, 0.4, 0.2, 0.1]), [[0.4, 0.35, 0.6, 0.45]])


@pytest.mark.parametrize("anchor", [0, 7, 50, len(GRID) - 1])
@pytest.mark.parametrize("offsets", ["centres", "corners"])
def test_ssd_offsets_move_an_anchor_to_the_box(anchor, offsets):
    scores, moves = np.zeros((1, len(GRID), 3)), np.zeros((1, len(GRID), 4))
    scores[0, anchor, 2] = 0.9
    size = GRID[anchor, 2:] - GRID[anchor, :2]
    if offsets == "corners":
        moved = (BOX - GRID[anchor]) / np.tile(size, 2)
        moves[0, anchor] = moved[[1, 0, 3, 2]]  # x before y
    else:
        centre = (BOX[:2] + BOX[2:] - GRID[anchor, :2] - GRID[anchor, 2:]) / 2 / size
        moves[0, anchor] = [*(10 * centre), *(5 * np.log((BOX[2:] - BOX[:2]) / size))]
    for outputs in ((scores, moves), (moves, scores)):
        (found,) = Ssd(GRID, offsets)(outputs, ())
        (box,) = kept(found)
        np.testing.assert_allclose(box, [*BOX, 0.9, 1], atol=1e-9)


def test_ssd_takes_the_anchors_from_a_third_output():
    """As the STM32 model zoo has it, in x and y; four classes look like offsets, so the order decides."""
    for classes in (2, 4):
        scores, moves = np.zeros((2, len(GRID), classes)), np.zeros((2, len(GRID), 4))
        scores[:, 9, 1] = 0.8
        moves[0, 9] = 0.1
        given = np.tile(GRID[:, [1, 0, 3, 2]], (2, 1, 1))
        (found,) = Ssd(None, "corners")((scores, moves, given), ())
        assert kept(found)[0][:4] == pytest.approx(
            np.clip(GRID[9] + 0.1 * np.tile(GRID[9, 2:] - GRID[9, :2], 2), 0, 1)
        )
        assert found[1, 0, :4] == pytest.approx(GRID[9].clip(0, 1))


def test_ssd_may_have_all_three_in_one_output():
    scores = np.float32([[[0.1, 0.9, 0.0], [0.7, 0.1, 0.2]], [[0.2, 0.2, 0.6], [0.0, 0.5, 0.5]]])
    offsets = np.random.default_rng(0).normal(0, 0.2, (2, 2, 4)).astype(np.float32)
    anchors = np.float32([[[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.8, 0.9]]] * 2)
    head = Ssd(offsets="corners")
    (apart,) = head((scores, offsets, anchors), ())
    (side_by_side,) = head((np.concatenate([scores, offsets, anchors], axis=2),), ())
    np.testing.assert_array_equal(side_by_side, apart)
    assert (apart[..., 4] > 0.5).sum() == 2


def test_ssd_scores_may_be_logits():
    moves = np.zeros((1, len(GRID), 4))
    logits = np.full((1, len(GRID), 2), -20.0)
    logits[0, 3] = [0.0, 1.0]
    for activation, value in (("softmax", 1 / (1 + np.exp(-1))), ("sigmoid", 1 / (1 + np.exp(-1)))):
        choice = Choice(least=0.6)
        (found,) = Ssd(GRID, activation=activation, choice=choice)((logits, moves), ())
        assert kept(found)[0][4] == pytest.approx(value)
    (found,) = Ssd(GRID, background=False, activation="sigmoid", choice=Choice(least=0.4))(
        (logits, moves), ()
    )
    assert [row[5] for row in kept(found)] == [1, 0]


def test_anchored_yolo_puts_the_box_into_its_cell():
    sizes = [(1.0, 2.0), (3.0, 0.5)]
    raw = np.full((1, 5, 5, 2, 5 + 3), -9.0)
    y, x = (BOX[:2] + BOX[2:]) / 2 * 5
    height, width = (BOX[2:] - BOX[:2]) * 5
    inside = np.clip([x % 1, y % 1], 1e-12, 1 - 1e-12)
    raw[0, int(y), int(x), 1] = [
        *np.log(inside / (1 - inside)),
        np.log(width / 3),
        np.log(height / 0.5),
        9,
        0,
        5,
        0,
    ]
    (found,) = AnchoredYolo(3, sizes)((raw.reshape(1, 5, 5, -1),), ())
    (box,) = kept(found)
    np.testing.assert_allclose(box[:4], BOX, atol=1e-9)
    assert (round(box[4], 2), box[5]) == (0.99, 1)
    pixels = [(8.0, 16.0), (24.0, 4.0)]
    fine, coarse = raw.reshape(1, 5, 5, -1), np.full((1, 3, 3, 16), -9.0)
    (found,) = AnchoredYolo(3, pixels, strides=(8, 16))((coarse, fine), ())
    np.testing.assert_allclose(kept(found)[0][:4], BOX, atol=1e-9)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pixels", [None, (40, 80)])
def test_decoded_yolo_reads_centres_and_sizes(turned, pixels):
    raw = np.zeros((1, 6, 11))
    scale = np.array([1, 1]) if pixels is None else np.array(pixels)
    (y, x), (height, width) = (BOX[:2] + BOX[2:]) / 2 * scale, (BOX[2:] - BOX[:2]) * scale
    raw[0, :, 4] = [x, y, width, height, 0.2, 0.7]
    (found,) = DecodedYolo(2, pixels)((raw.transpose(0, 2, 1) if turned else raw,), ())
    assert [row[5] for row in kept(found)] == [1, 0]
    np.testing.assert_allclose(kept(found)[0], [*BOX, 0.7, 1], atol=1e-12)


@pytest.mark.parametrize("apart", [False, True])
def test_distributed_yolo_takes_the_mean_of_each_distance(apart):
    rows, columns, bins = 10, 20, 8
    boxes, classes = np.full((1, rows, columns, 4, bins), -30.0), np.full((1, rows, columns, 3), -20.0)
    y, x = 4, 8
    wanted = [
        x + 0.5 - BOX[1] * columns,
        y + 0.5 - BOX[0] * rows,
        BOX[3] * columns - x - 0.5,
        BOX[2] * rows - y - 0.5,
    ]
    for edge, distance in enumerate(wanted):
        low = int(distance)
        boxes[0, y, x, edge, low] = np.log(1 - distance % 1)
        boxes[0, y, x, edge, low + 1] = np.log(max(distance % 1, 1e-12))
    classes[0, y, x, 2] = 3
    boxes = boxes.reshape(1, rows, columns, -1)
    outputs = (classes, boxes) if apart else (np.concatenate([boxes, classes], axis=3),)
    (found,) = DistributedYolo(3, bins)(outputs, ())
    (box,) = kept(found)
    np.testing.assert_allclose(box[:4], BOX, atol=1e-6)
    assert (round(box[4], 3), box[5]) == (0.953, 2)


def test_fomo_joins_cells_that_touch():
    heat = np.zeros((2, 4, 8, 3))
    heat[0, 0, 0:3, 1] = [0.6, 0.9, 0.7]
    heat[0, 1, 2, 1] = 0.8
    heat[0, 2, 3, 1] = 0.55  # touches by a corner only
    heat[0, 3, 7, 2] = 0.5
    heat[0, 3, 6, 2] = 0.49
    (found,) = Fomo()((heat,), ())
    assert [row.tolist() for row in kept(found)] == [
        [0, 0, 0.5, 3 / 8, 0.9, 0],
        [0.5, 3 / 8, 0.75, 0.5, 0.55, 0],
        [0.75, 7 / 8, 1, 1, 0.5, 1],
    ]
    assert (found[1, :, 5] == -1).all()


@pytest.mark.parametrize(
    ("head", "shapes", "words"),
    [
        (Ssd(GRID), [(90, 2)], "scores .* and offsets .* with 90 anchors"),
        (Ssd(GRID), [(90, 2), (89, 4)], "are not those of an SSD"),
        (Ssd(GRID), [(80, 2), (80, 4)], "are not those of an SSD"),
        (Ssd(), [(90, 2), (90, 4)], "a third one"),
        (AnchoredYolo(2, [(1, 1)]), [(5, 5, 8)], r"1 of \[rows, columns, 7\]"),
        (AnchoredYolo(2, [(1, 1)], (8, 16)), [(5, 5, 7)], r"2 of \[rows, columns, 7\]"),
        (DecodedYolo(2), [(5, 7)], r"one of \[6, boxes\]"),
        (DistributedYolo(2, 4), [(5, 5, 17)], r"\[rows, columns, 16 \+ 2\]"),
        (DistributedYolo(2, 4), [(5, 5, 18), (3, 18)], r"\[rows, columns, 16 \+ 2\]"),
        (Fomo(), [(5, 5, 1)], "no heat map"),
    ],
)
def test_other_outputs_are_refused(head, shapes, words):
    with pytest.raises(UsageError, match=words):
        head(tuple(np.zeros((1, *shape)) for shape in shapes), ())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Choice(least=2), "least=2"),
        (lambda: Choice(most=0), "most=0"),
        (lambda: Ssd(GRID, "edges"), "offsets='edges': allowed: centres, corners"),
        (lambda: Ssd(GRID, activation="relu"), "activation='relu': allowed: none, sigmoid, softmax"),
        (lambda: Ssd(GRID.reshape(-1)), r"anchors \(360,\)"),
        (lambda: anchors([(1, 1)], [], []), "1 grids, 0 lists of sizes"),
    ],
)
def test_wrong_settings_are_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_a_detector_is_the_task_detection_with_its_head():
    head = Fomo()
    assert (detector(head).name, detector(head).metrics[0], detector(head).decode) == (
        "detection",
        "map",
        head,
    )


def test_heads_that_tell_themselves_need_no_task_of_their_own():
    scores, moves = np.zeros((2, len(GRID), 2)), np.zeros((2, len(GRID), 4))
    scores[:, 9, 1] = 0.8
    given = np.tile(GRID[:, [1, 0, 3, 2]], (2, 1, 1))
    (found,) = task("detection").decode((scores, moves, given), ())
    assert found[1, 0].tolist() == pytest.approx([*GRID[9].clip(0, 1), 0.8, 0])
    raw = np.zeros((1, 5, 30))
    raw[0, :, 4] = [0.5, 0.4, 0.2, 0.1, 0.7]
    for output in (raw, raw.transpose(0, 2, 1)):
        (found,) = task("detection").decode((output,), ())
        np.testing.assert_allclose(kept(found)[0], [0.35, 0.4, 0.45, 0.6, 0.7, 0])
    grid = np.full((1, 5, 5, 2 * 8), -9.0)
    anchored = limited(Choice(most=1), ((1.0, 2.0), (3.0, 0.5)))
    assert anchored((grid,), ())[0].shape == (1, 1, 6)


def test_limits_hold_for_predictions_that_a_model_gives_by_itself():
    ready = np.array([[[*BOX, 0.9, 1], [*BOX, 0.8, 1], [*BOX, 0.7, 0], [*BOX, 0.2, 0]]])
    (found,) = limited(Choice(least=0.3, most=3))((ready,), ())
    assert [(row[4], row[5]) for row in kept(found)] == [(0.9, 1), (0.7, 0)]


@pytest.mark.parametrize("shapes", [[(5, 5, 16)], [(9, 4), (9, 2)], [(4, 4)], [(9, 4), (9, 4), (8, 2)]])
def test_outputs_that_leave_a_doubt_are_refused(shapes):
    with pytest.raises(UsageError, match=r"cannot read outputs .*give the task of another head"):
        task("detection").decode(tuple(np.zeros((1, *shape)) for shape in shapes), ())
