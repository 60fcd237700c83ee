"""Faces of twelve breeds of cats and dogs: ears, snout, fur and its pattern; each animal is one of its
kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conformance_models.synthesis.drawing import Canvas, Random, colour

SIDE = 64


@dataclass(frozen=True)
class Breed:
    """``fur`` and ``mark`` are colours; ``ears``: pointed, round, hanging; ``snout``: its length;
    ``pattern``: plain, striped, spotted, masked.
    """

    fur: tuple[float, float, float]
    mark: tuple[float, float, float]
    ears: str
    snout: float
    pattern: str


BREEDS = {
    "abyssinian": Breed((0.72, 0.46, 0.25), (0.5, 0.3, 0.15), "pointed", 0.2, "plain"),
    "basset": Breed((0.85, 0.75, 0.6), (0.5, 0.28, 0.14), "hanging", 0.5, "masked"),
    "beagle": Breed((0.72, 0.45, 0.22), (0.95, 0.93, 0.9), "hanging", 0.4, "masked"),
    "bengal": Breed((0.78, 0.58, 0.32), (0.25, 0.15, 0.08), "pointed", 0.22, "spotted"),
    "birman": Breed((0.9, 0.85, 0.76), (0.35, 0.25, 0.2), "pointed", 0.18, "masked"),
    "dalmatian": Breed((0.94, 0.94, 0.93), (0.1, 0.1, 0.1), "hanging", 0.45, "spotted"),
    "leonberger": Breed((0.6, 0.38, 0.2), (0.12, 0.08, 0.06), "round", 0.48, "masked"),
    "maine_coon": Breed((0.5, 0.42, 0.33), (0.22, 0.17, 0.12), "pointed", 0.28, "striped"),
    "persian": Breed((0.85, 0.8, 0.74), (0.7, 0.62, 0.52), "round", 0.08, "plain"),
    "pug": Breed((0.82, 0.68, 0.5), (0.12, 0.1, 0.09), "round", 0.15, "masked"),
    "russian_blue": Breed((0.45, 0.48, 0.55), (0.35, 0.38, 0.45), "pointed", 0.2, "plain"),
    "tabby": Breed((0.68, 0.5, 0.35), (0.35, 0.22, 0.12), "pointed", 0.2, "striped"),
}


def face(kind: str, number: int) -> npt.NDArray[np.uint8]:
    """Animal ``number`` of a breed, uint8 (64, 64, 3), in front of something, in some light."""
    random = Random(40_000 * list(BREEDS).index(kind) + number)
    breed, canvas = BREEDS[kind], Canvas(SIDE, random)
    fur = np.clip(np.asarray(breed.fur) * random.uniform(0.8, 1.2) + random.normal(0, 0.05, 3), 0, 1)
    mark = np.clip(np.asarray(breed.mark) * random.uniform(0.8, 1.2) + random.normal(0, 0.04, 3), 0, 1)
    canvas.fill(np.ones((SIDE, SIDE)), colour(random))
    canvas.fill(canvas.clouds(), colour(random))
    for _ in range(random.randint(3)):
        canvas.fill(canvas.line(*random.uniform(0, 1, 4), random.uniform(0.02, 0.12)), colour(random))
    y, x, size = random.uniform(0.45, 0.6), random.uniform(0.4, 0.6), random.uniform(0.4, 0.62)
    turn = random.uniform(-0.35, 0.35)
    canvas.fill(canvas.ellipse(y + 0.75 * size, x, 0.9 * size, 1.1 * size), fur)
    _ears(canvas, breed, fur, mark, y, x, size, turn)
    head = canvas.ellipse(y, x, size * random.uniform(0.95, 1.1), size, turn)
    canvas.fill(head, fur)
    canvas.fill(head * 0.35 * canvas.clouds(6), fur * 0.7)
    _pattern(canvas, random, breed, head, mark, y, x, size)
    _features(canvas, random, breed, fur, y, x, size)
    return canvas.lit(random.uniform(0.55, 1.15), random.uniform(0.01, 0.05))


def _ears(
    canvas: Canvas,
    breed: Breed,
    fur: npt.NDArray[np.float64],
    mark: npt.NDArray[np.float64],
    y: float,
    x: float,
    size: float,
    turn: float,
) -> None:
    for side in (-1, 1):
        if breed.ears == "pointed":
            tip = y - 0.72 * size, x + side * 0.42 * size
            for width in np.linspace(0.3, 0.06, 5):
                along = (0.3 - width) / 0.3
                at = y - 0.3 * size + along * (tip[0] - y + 0.3 * size), x + side * (0.3 + 0.1 * along) * size
                canvas.fill(
                    canvas.ellipse(*at, width * size, width * size), fur if width > 0.2 else fur * 0.85
                )
        elif breed.ears == "round":
            canvas.fill(
                canvas.ellipse(y - 0.36 * size, x + side * 0.42 * size, 0.28 * size, 0.3 * size), mark
            )
        else:
            ear = canvas.ellipse(
                y + 0.08 * size, x + side * 0.52 * size, 0.8 * size, 0.3 * size, side * 0.25 + turn
            )
            canvas.fill(ear, mark if breed.pattern == "masked" else fur * 0.8)


def _pattern(
    canvas: Canvas,
    random: Random,
    breed: Breed,
    head: npt.NDArray[np.float64],
    mark: npt.NDArray[np.float64],
    y: float,
    x: float,
    size: float,
) -> None:
    if breed.pattern == "striped":
        stripes = canvas.stripes(random.uniform(0.13, 0.19) * size, random.uniform(1.2, 1.9)) > 0.62
        canvas.fill(head * stripes * 0.85, mark)
    elif breed.pattern == "spotted":
        for _ in range(random.randint(12, 22)):
            spot = random.uniform(-0.45, 0.45, 2) * size
            canvas.fill(
                head * canvas.ellipse(y + spot[0], x + spot[1], *random.uniform(0.05, 0.12, 2) * size), mark
            )
    elif breed.pattern == "masked":
        canvas.fill(head * canvas.ellipse(y + 0.2 * size, x, 0.62 * size, 0.5 * size) * 0.9, mark)


def _features(
    canvas: Canvas,
    random: Random,
    breed: Breed,
    fur: npt.NDArray[np.float64],
    y: float,
    x: float,
    size: float,
) -> None:
    """Snout, nose and eyes."""
    if breed.snout > 0.3:
        canvas.fill(canvas.ellipse(y + 0.25 * size, x, breed.snout * size, 0.42 * size), 0.5 + 0.5 * fur)
    cat = breed.ears == "pointed" or breed.snout < 0.1
    iris = np.asarray([0.75, 0.7, 0.2] if cat else [0.3, 0.18, 0.1]) * random.uniform(0.7, 1.2)
    for side in (-1, 1):
        eye = y - 0.06 * size, x + side * 0.2 * size
        canvas.fill(canvas.ellipse(*eye, 0.13 * size, 0.16 * size if cat else 0.12 * size), iris)
        canvas.fill(
            canvas.ellipse(*eye, 0.11 * size, 0.045 * size if cat else 0.08 * size), [0.02, 0.02, 0.02]
        )
    nose = [0.75, 0.45, 0.45] if cat else [0.05, 0.05, 0.05]
    canvas.fill(canvas.ellipse(y + (0.1 + 0.25 * breed.snout) * size, x, 0.09 * size, 0.13 * size), nose)
