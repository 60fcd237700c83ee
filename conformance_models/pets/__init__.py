"""Pets: a small MobileNetV2 for twelve breeds of cats and dogs, 64 x 64.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks". ``write`` leaves the same
pictures in class folders. ``python -m conformance_models pets`` trains the weights in this folder again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conformance_models import fit
from conformance_models.pets.faces import BREEDS, SIDE, face
from pytest_quantcheck.data.dataset import Dataset, Samples

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = tuple(BREEDS)
TRAIN, CALIBRATION, TEST = range(0, 110), range(0, 20), range(9000, 9030)  # numbers of animals, of each breed
RESCALE = (1 / 127.5, -1.0)
METRIC = "accuracy"
_BLOCKS = ((12, 2), (16, 1), (24, 2), (24, 1), (40, 1))  # output channels, stride
_EXPANSION = 4


def build() -> keras.Model:
    """The untrained network: (64, 64, 3) in -1..1 to twelve probabilities."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    picture = layers.Input((SIDE, SIDE, 3), name="picture")
    x = _convolved(picture, 12, 3, stride=2)
    for channels, stride in _BLOCKS:
        y = _convolved(x, _EXPANSION * x.shape[-1], 1)
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 1, use_bias=False)(y))
        x = layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y
    x = layers.GlobalAveragePooling2D()(_convolved(x, 96, 1))
    return keras.Model(
        picture, layers.Dense(len(CLASSES), activation="softmax", name="breed")(x), name="pets"
    )


def _convolved(x: keras.KerasTensor, channels: int, size: int, *, stride: int = 1) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


@cache
def samples(numbers: range) -> Samples:
    """These animals of every breed in -1..1."""
    x = np.stack([face(kind, number) for kind in CLASSES for number in numbers]).astype(np.float32)
    scale, offset = np.float32(RESCALE)
    ids = [f"{kind}/{number:04d}.png" for kind in CLASSES for number in numbers]
    return Samples(scale * x + offset, np.repeat(np.arange(len(CLASSES)), len(numbers)), ids)


def dataset() -> Dataset:
    """20 animals of every breed to calibrate with, of those that train, and 30 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "classification", CLASSES, (-1.0, 1.0))


def write(folder: Path, numbers: Sequence[int]) -> Path:
    """PNG files ``folder/<breed>/<number>.png``."""
    from PIL import Image

    for kind in CLASSES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.fromarray(face(kind, number)).save(folder / kind / f"{number:04d}.png")
    return folder


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    x, y = np.asarray(data.x), np.asarray(data.y)
    x, y = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])  # and in a mirror
    return fit.fitted(build(), x, y, loss="sparse_categorical_crossentropy", epochs=12, batch=24, rate=6e-3)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
