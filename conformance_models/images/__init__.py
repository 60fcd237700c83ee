"""Images: the ResNet-8 of MLPerf Tiny, half as wide, for ten kinds of things, 32 x 32.

The things differ by shape and by texture, never by colour alone; they lie at any place, size and angle before
clouds, stripes and clutter. ``python -m conformance_models images`` trains the weights in this folder again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from conformance_models.synthesis.drawing import Canvas, Random, colour
from pytest_quantcheck.data.dataset import Dataset, Samples

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = ("ball", "bars", "bolt", "chain", "cross", "dotted", "frame", "ring", "star", "wheel")
TRAIN, CALIBRATION, TEST = (
    range(0, 500),
    range(0, 20),
    range(7000, 7080),
)  # numbers of pictures, of each class
METRIC = "accuracy"
SIDE = 32


def build() -> keras.Model:
    """The untrained network: (32, 32, 3) in 0..1 to ten probabilities, three residual blocks."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    picture = layers.Input((SIDE, SIDE, 3), name="picture")
    x = layers.ReLU()(_normal(picture, 8, 3, 1))
    for channels, stride in ((8, 1), (16, 2), (32, 2)):
        y = layers.ReLU()(_normal(x, channels, 3, stride))
        y = _normal(y, channels, 3, 1)
        x = x if stride == 1 else _normal(x, channels, 1, stride)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(
        picture, layers.Dense(len(CLASSES), activation="softmax", name="thing")(x), name="images"
    )


def _normal(x: keras.KerasTensor, channels: int, size: int, stride: int) -> keras.KerasTensor:
    from keras import layers

    return layers.BatchNormalization()(
        layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    )


def picture(kind: str, number: int) -> npt.NDArray[np.uint8]:
    """Picture ``number`` of a class, uint8 (32, 32, 3)."""
    random = Random(20_000 * CLASSES.index(kind) + number)
    canvas = Canvas(SIDE, random)
    canvas.fill(np.ones((SIDE, SIDE)), colour(random))
    canvas.fill(canvas.clouds(4), colour(random))
    canvas.fill(
        random.uniform(0, 0.4) * canvas.stripes(random.uniform(0.1, 0.4), random.uniform(0, 3)),
        colour(random),
    )
    for _ in range(random.randint(3)):
        canvas.fill(canvas.line(*random.uniform(0, 1, 4), random.uniform(0.02, 0.08)), colour(random))
    mask = _shape(canvas, random, kind)
    paint = colour(random)
    behind = (canvas.picture * mask[..., np.newaxis]).sum((0, 1)) / max(mask.sum(), 1e-9)
    if np.abs(paint - behind).sum() < 0.6:  # it can be told from what lies behind it
        paint = (behind + 0.5) % 1.0
    canvas.fill(mask, paint)
    canvas.fill(0.35 * mask * canvas.clouds(5), colour(random))
    return canvas.lit(random.uniform(0.55, 1.15), random.uniform(0.02, 0.05))


def _shape(canvas: Canvas, random: Random, kind: str) -> npt.NDArray[np.float64]:
    """The mask of one thing."""
    y, x = random.uniform(0.35, 0.65, 2)
    size, turn = random.uniform(0.5, 0.85), random.uniform(0, 2 * np.pi)
    thick = random.uniform(0.09, 0.14)

    def spoke(angle: float, start: float, end: float, width: float = thick) -> npt.NDArray[np.float64]:
        dy, dx = np.sin(angle + turn) * size / 2, np.cos(angle + turn) * size / 2
        return canvas.line(y + start * dy, x + start * dx, y + end * dy, x + end * dx, width)

    def bead(along: float) -> npt.NDArray[np.float64]:
        dy, dx = np.sin(turn) * size / 2, np.cos(turn) * size / 2
        return canvas.ellipse(y + along * dy, x + along * dx, size / 4, size / 4)

    disc = canvas.ellipse(y, x, size, size)
    core = canvas.ellipse(y, x, size / 2, size / 2)
    ring = disc * (1 - canvas.ellipse(y, x, size - 2 * thick, size - 2 * thick))
    corners = [turn + angle for angle in (-0.5, 0.5, np.pi - 0.5, np.pi + 0.5, -0.5)]
    at = [(y + np.sin(a) * size / 2, x + np.cos(a) * size / 2) for a in corners]
    masks = {
        "ball": lambda: disc,
        "bars": lambda: disc * (canvas.stripes(random.uniform(0.2, 0.27), turn) > 0.5),
        "bolt": lambda: np.max([spoke(0, 1, 0.1), spoke(1.2, -0.5, 0.5), spoke(0, -0.1, -1)], axis=0),
        "chain": lambda: np.max([bead(-0.9), bead(0.0), bead(0.9)], axis=0),
        "cross": lambda: np.maximum(spoke(0, -1, 1, 0.18), spoke(np.pi / 2, -1, 1, 0.18)),
        "dotted": lambda: disc * (canvas.stripes(0.24, turn) * canvas.stripes(0.24, turn + np.pi / 2) > 0.4),
        "frame": lambda: np.max([canvas.line(*at[i], *at[i + 1], thick) for i in range(4)], axis=0),
        "ring": lambda: ring,
        "star": lambda: np.max([core, *(spoke(k * 2 * np.pi / 5, 0, 1, 0.06) for k in range(5))], axis=0),
        "wheel": lambda: np.max([ring, spoke(0, -1, 1, 0.07), spoke(np.pi / 2, -1, 1, 0.07)], axis=0),
    }  # fmt: skip
    mask: npt.NDArray[np.float64] = masks[kind]()
    return mask


@cache
def samples(numbers: range) -> Samples:
    """These pictures of every class in 0..1."""
    x = np.stack([picture(kind, number) for kind in CLASSES for number in numbers]).astype(np.float32)
    ids = [f"{kind}/{number:04d}.png" for kind in CLASSES for number in numbers]
    return Samples(x / np.float32(255), np.repeat(np.arange(len(CLASSES)), len(numbers)), ids)


def dataset() -> Dataset:
    """20 pictures of every class to calibrate with, of those that train, and 80 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "classification", CLASSES, (0.0, 1.0))


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    x, y = np.asarray(data.x), np.asarray(data.y)
    x, y = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])  # and in a mirror
    return fit.fitted(build(), x, y, loss="sparse_categorical_crossentropy", epochs=8, batch=32, rate=5e-3)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
