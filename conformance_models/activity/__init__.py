"""Activities: what an accelerometer at the wrist feels, in windows of 48 values at 26 Hz, and a 1-D network.

``write`` leaves recordings as CSV files. ``python -m conformance_models activity`` trains the weights again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from pytest_quantcheck.data.dataset import Dataset, Samples

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = ("cycling", "jogging", "resting", "stairs", "walking")
RATE, LENGTH, STEP = 26, 48, 24  # Hz, rows of a window, rows to the next
SECONDS = 30
LIMIT = 40.0  # m/s^2: where the sensor saturates
RESCALE = 1 / LIMIT
TRAIN, CALIBRATION, TEST = range(0, 24), range(0, 5), range(100, 110)  # numbers of recordings, of each class
METRIC = "accuracy"


def build() -> keras.Model:
    """The untrained network: (48, 3) in -1..1 to five probabilities."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    window = layers.Input((LENGTH, 3), name="window")
    x = window
    for channels, stride in ((16, 1), (24, 2), (32, 2)):
        x = layers.Conv1D(channels, 5, strides=stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(
        window, layers.Dense(len(CLASSES), activation="softmax", name="activity")(x), name="activity"
    )


def recording(kind: str, number: int) -> npt.NDArray[np.float64]:
    """Accelerations (rows, 3) in m/s^2: a rhythm with overtones, gravity in a slowly turning hand, shocks,
    noise."""
    random = np.random.RandomState(1000 * CLASSES.index(kind) + number)
    time = np.arange(SECONDS * RATE) / RATE
    steps = {"cycling": 1.3, "jogging": 2.6, "resting": 0.25, "stairs": 1.6, "walking": 1.9}[kind]
    force = {"cycling": 2.0, "jogging": 11.0, "resting": 0.25, "stairs": 3.4, "walking": 3.6}[kind]
    sharpness = {"cycling": 0.2, "jogging": 0.65, "resting": 0.1, "stairs": 0.35, "walking": 0.5}[kind]
    steps, force = steps * random.uniform(0.82, 1.2), force * random.uniform(0.65, 1.45)
    wander = np.cumsum(random.normal(0, 0.05, len(time))) / RATE
    phase = 2 * np.pi * (steps * time + wander) + random.uniform(0, 6.28)
    felt = np.zeros((len(time), 3))
    for axis in range(3):
        for overtone in range(1, 5):
            weight = force * sharpness ** (overtone - 1) * random.uniform(0.25, 1.0)
            felt[:, axis] += weight * np.sin(overtone * phase + random.uniform(0, 6.28))
    if kind == "stairs":  # a lower, then a higher step
        felt *= 1 + 0.45 * np.sin(phase / 2)[:, np.newaxis]
    if kind == "cycling":  # the road
        felt += random.normal(0, 1.3, felt.shape)
    slow = 0.3 * np.sin(2 * np.pi * random.uniform(0.02, 0.1) * time + random.uniform(0, 6.28))
    tilt, turn = random.uniform(0, np.pi) + slow, random.uniform(0, 6.28) + slow
    gravity = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)], axis=1)
    felt += 9.81 * gravity + random.normal(0, 0.35, felt.shape)
    for at in random.randint(0, len(time), 2):  # the hand knocks against something
        felt[at : at + 3] += random.normal(0, 6, 3)
    return np.clip(felt.round(3), -LIMIT, LIMIT)


@cache
def samples(numbers: range) -> Samples:
    """All windows of these recordings of every class."""
    x, y, ids = [], [], []
    for label, kind in enumerate(CLASSES):
        for number in numbers:
            rows = recording(kind, number)
            for start in range(0, len(rows) - LENGTH + 1, STEP):
                x.append(rows[start : start + LENGTH])
                y.append(label)
                ids.append(f"{kind}/{number:03d}.csv#{start:07d}")
    return Samples((np.stack(x) * RESCALE).astype(np.float32), np.asarray(y, dtype=np.int64), ids)


def dataset() -> Dataset:
    """5 recordings of every class to calibrate with, of those that train, and 10 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "classification", CLASSES, (-1.0, 1.0))


def write(folder: Path, numbers: Sequence[int]) -> Path:
    """CSV files ``folder/<class>/<number>.csv`` with the columns ``t, x, y, z``."""
    for kind in CLASSES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            rows = recording(kind, number)
            lines = [f"{i / RATE:.3f},{x:.3f},{y:.3f},{z:.3f}" for i, (x, y, z) in enumerate(rows)]
            (folder / kind / f"{number:03d}.csv").write_text("\n".join(["t,x,y,z", *lines]) + "\n")
    return folder


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    return fit.fitted(build(), data.x, data.y, loss="sparse_categorical_crossentropy", epochs=25, batch=64)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
