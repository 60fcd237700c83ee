"""Audio events: a small residual network on log-mel patches, ten kinds of sounds named as in ESC-10.

The patches are those of the STM32 model zoo's ESC-10 example: 64 mel bands, 96 frames of 25 ms every 10 ms.
``write`` leaves the same clips as WAV files with a CSV file in ESC-50's form.
``python -m conformance_models audio_events`` trains the weights in this folder again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from conformance_models.audio_events.sounds import SOUNDS, clip
from conformance_models.synthesis.sounds import RATE
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.patches import LogMel
from pytest_quantcheck.data.readers.waves import Waves

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = tuple(SOUNDS)
TRAIN, CALIBRATION, TEST = range(0, 64), range(0, 8), range(500, 516)  # numbers of clips, of each class
WAVES, FEATURES = Waves(), LogMel()
METRIC = "clip_accuracy"


def build() -> keras.Model:
    """The untrained network: (64, 96, 1) log-mel values to ten probabilities, three residual blocks."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    patch = layers.Input((64, 96, 1), name="patch")
    x = _convolved(patch, 8, stride=2)
    for channels, stride in ((8, 1), (16, 2), (32, 2)):
        y = _convolved(x, channels, stride=stride)
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same", use_bias=False)(y))
        if stride > 1:
            x = layers.BatchNormalization()(layers.Conv2D(channels, 1, strides=stride, use_bias=False)(x))
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(
        patch, layers.Dense(len(CLASSES), activation="softmax", name="sound")(x), name="audio_events"
    )


def _convolved(x: keras.KerasTensor, channels: int, *, stride: int) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


@cache
def samples(numbers: range) -> Samples:
    """All patches of these clips of every class, with the label of the clip; ids are ``clip#patch``."""
    x, y, ids = [], [], []
    for label, kind in enumerate(CLASSES):
        for number in numbers:
            wave = WAVES.reformat(clip(kind, number).astype(np.float32) / 32768, kind)
            patches = FEATURES.patches(wave, RATE, kind)
            x.append(patches)
            y += [label] * len(patches)
            ids += [f"{name(kind, number)}#{i:04d}" for i in range(len(patches))]
    return Samples(np.concatenate(x)[..., np.newaxis], np.asarray(y, dtype=np.int64), ids)


def name(kind: str, number: int) -> str:
    """The file of a clip."""
    return f"{kind}-{number:03d}.wav"


def dataset() -> Dataset:
    """8 clips of every class to calibrate with, of those that train, and 16 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "audio_events", CLASSES)


def write(folder: Path, numbers: Sequence[int], *, classes: Sequence[str] = CLASSES) -> Path:
    """WAV files in ``folder/audio`` and ``folder/clips.csv`` with ESC-50's columns; returns the CSV file."""
    import soundfile

    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for kind in classes:
        for number in numbers:
            wave: npt.NDArray[np.int16] = clip(kind, number)
            soundfile.write(folder / "audio" / name(kind, number), wave, RATE, "PCM_16")
            rows.append(f"{name(kind, number)},{1 + number % 5},{CLASSES.index(kind)},{kind},True,{number},A")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder / "clips.csv"


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    return fit.fitted(build(), data.x, data.y, loss="sparse_categorical_crossentropy", epochs=18, batch=48)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
