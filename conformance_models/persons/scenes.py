"""Scenes with persons in them: streets and rooms with posts, trees and boxes that are no persons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conformance_models.synthesis.drawing import Canvas, Colour, Random, colour

SIDE = 96
MOST = 3
_SKIN = np.asarray([[0.95, 0.78, 0.66], [0.8, 0.58, 0.42], [0.5, 0.33, 0.22], [0.3, 0.19, 0.13]])


def scene(number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Picture ``number``, uint8 (96, 96, 3), and the boxes of its persons (persons, 4) as fractions:
    corners."""
    random = Random(number)
    canvas = Canvas(SIDE, random)
    _background(canvas, random)
    things = ["person"] * random.choice(MOST + 1, p=[0.15, 0.4, 0.3, 0.15]) + ["other"] * random.randint(0, 4)
    heights = sorted(random.uniform(0.22, 0.85, len(things)))  # the near ones in front
    random.shuffle(things)
    boxes: list[tuple[float, float, float, float]] = []
    for kind, height in zip(things, heights, strict=True):
        foot, x = min(0.99, 0.45 + 0.6 * height + random.uniform(-0.05, 0.05)), random.uniform(0.08, 0.92)
        box = _extent(foot, x, height)
        if not all(_apart(box, other) for other in boxes):
            continue
        if kind == "other":
            _thing(canvas, random, foot, x, height)
        else:
            _person(canvas, random, foot, x, height)
            boxes.append(box)
    picture = canvas.lit(random.uniform(0.55, 1.2), random.uniform(0.01, 0.05))
    return picture, np.asarray(boxes).reshape(-1, 4).clip(0, 1)


def _extent(foot: float, x: float, height: float) -> tuple[float, float, float, float]:
    return foot - height, x - 0.21 * height, foot, x + 0.21 * height


def _apart(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether something stands beside a person: a person who is hidden would have no true box."""
    common = min(box[3], other[3]) - max(box[1], other[1])
    return common < 0.3 * min(box[3] - box[1], other[3] - other[1])


def _background(canvas: Canvas, random: Random) -> None:
    horizon = random.uniform(0.3, 0.65)
    sky, ground = colour(random, 0.2, 1.0), colour(random, 0.1, 0.8)
    canvas.fill(np.ones((SIDE, SIDE)), sky)
    canvas.fill(0.5 * canvas.clouds(), colour(random))
    canvas.fill(canvas.box(horizon, -1, 2, 2), ground)
    canvas.fill(canvas.box(horizon, -1, 2, 2) * 0.5 * canvas.clouds(5), colour(random))
    for _ in range(random.randint(0, 4)):  # houses, or furniture
        x, width, top = random.uniform(0, 1), random.uniform(0.1, 0.4), random.uniform(0.05, horizon)
        wall = canvas.box(top, x, horizon + 0.05, x + width)
        canvas.fill(wall, colour(random, 0.1, 0.9))
        panes = (canvas.stripes(0.09, 0) > 0.5) & (canvas.stripes(0.07, np.pi / 2) > 0.5)
        canvas.fill(wall * panes * 0.7, colour(random))


def _person(canvas: Canvas, random: Random, foot: float, x: float, height: float) -> None:
    """Head, hair, trunk, arms and legs, in a walk of its own; within ``_extent``."""
    skin, shirt, trousers = _SKIN[random.randint(4)], colour(random, 0.05, 1), colour(random, 0.05, 0.8)
    top, hip, shoulder = foot - height, foot - 0.47 * height, foot - 0.79 * height
    stride, swing = random.uniform(0.02, 0.15) * height, random.uniform(0.02, 0.14) * height
    for side in (-1, 1):
        knee = x + side * (0.03 * height + 0.45 * stride)
        canvas.fill(
            canvas.line(hip, x + side * 0.05 * height, foot - 0.24 * height, knee, 0.1 * height), trousers
        )
        shoe = x + side * (0.03 * height + stride)
        canvas.fill(
            canvas.line(foot - 0.24 * height, knee, foot - 0.04 * height, shoe, 0.08 * height), trousers
        )
        canvas.fill(
            canvas.ellipse(foot - 0.025 * height, shoe, 0.05 * height, 0.1 * height), colour(random, 0, 0.3)
        )
    for side in (-1, 1):
        elbow = x + side * (0.13 * height + 0.2 * swing)
        canvas.fill(
            canvas.line(shoulder, x + side * 0.1 * height, hip - 0.13 * height, elbow, 0.075 * height), shirt
        )
        hand = x + side * (0.09 * height + 0.7 * swing)
        canvas.fill(canvas.line(hip - 0.13 * height, elbow, hip + 0.03 * height, hand, 0.055 * height), skin)
    trunk = canvas.ellipse(foot - 0.64 * height, x, 0.4 * height, 0.27 * height)
    canvas.fill(trunk, shirt)
    canvas.fill(
        trunk * 0.4 * canvas.stripes(random.uniform(0.03, 0.2) * height, random.uniform(0, 3)), 1 - shirt
    )
    canvas.fill(canvas.line(shoulder - 0.06 * height, x, shoulder, x, 0.07 * height), skin)
    canvas.fill(canvas.ellipse(top + 0.07 * height, x, 0.14 * height, 0.13 * height), colour(random, 0, 0.5))
    canvas.fill(canvas.ellipse(top + 0.09 * height, x, 0.12 * height, 0.1 * height), skin)


def _thing(canvas: Canvas, random: Random, foot: float, x: float, height: float) -> None:
    """What stands upright and is no person: a post, a tree, a sign, a bottle, a box."""
    kind, paint = random.randint(5), colour(random, 0.05, 0.95)
    top = foot - height
    if kind == 0:
        canvas.fill(canvas.line(top, x, foot, x, 0.06 * height), paint)
        canvas.fill(canvas.ellipse(top, x, 0.14 * height, 0.14 * height), colour(random, 0.5, 1))
    elif kind == 1:
        canvas.fill(canvas.line(foot - 0.5 * height, x, foot, x, 0.1 * height), [0.35, 0.22, 0.12])
        crown = canvas.ellipse(foot - 0.68 * height, x, 0.62 * height, 0.5 * height)
        leaves: Colour = np.asarray([0.1, 0.45, 0.12]) * random.uniform(0.6, 1.4)
        canvas.fill(crown, leaves)
        canvas.fill(crown * 0.6 * canvas.clouds(6), 0.5 * leaves)
    elif kind == 2:
        canvas.fill(canvas.line(top, x, foot, x, 0.05 * height), [0.5, 0.5, 0.5])
        canvas.fill(canvas.box(top, x - 0.15 * height, top + 0.22 * height, x + 0.15 * height), paint)
    elif kind == 3:
        canvas.fill(canvas.box(foot - 0.6 * height, x - 0.12 * height, foot, x + 0.12 * height), paint)
        canvas.fill(canvas.ellipse(foot - 0.6 * height, x, 0.2 * height, 0.24 * height), paint)
        canvas.fill(
            canvas.box(top + 0.1 * height, x - 0.04 * height, foot - 0.6 * height, x + 0.04 * height), paint
        )
    else:
        canvas.fill(canvas.box(foot - 0.7 * height, x - 0.16 * height, foot, x + 0.16 * height), paint)
        canvas.fill(
            canvas.box(foot - 0.6 * height, x - 0.1 * height, foot - 0.4 * height, x + 0.1 * height),
            1 - paint,
        )
