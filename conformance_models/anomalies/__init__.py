"""Anomalies: an autoencoder on the sounds of a fan, which has learnt healthy ones only, as in MLPerf Tiny.

Five frames of 64 mel bands side by side are 320 values; the mean squared error is the score, and a clip's
score is the mean of its windows'. ``python -m conformance_models anomalies`` trains the weights in this
folder again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conformance_models import fit
from conformance_models.synthesis.sounds import (
    RATE,
    Random,
    decay,
    harmonics,
    noise,
    place,
    room,
    seconds,
    unit,
)
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.patches import LogMel
from pytest_quantcheck.numerics.arrays import Float32

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
FEATURES = LogMel(patch_length=5, n_mels=64, overlap=0.0, n_fft=1024, window_length=1024, hop_length=512,
                  fmin=0, fmax=8000, power=2.0)  # fmt: skip
SECONDS = 1.5
INPUTS = FEATURES.patch_length * FEATURES.n_mels
TRAIN, CALIBRATION, TEST = range(0, 140), range(0, 24), range(2000, 2100)  # the second half of TEST is ill
METRIC = "roc_auc"


def build() -> keras.Model:
    """The untrained network: 320 values to themselves, through 8."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    frames = layers.Input((INPUTS,), name="frames")
    x = frames
    for width in (64, 64, 8, 64, 64):
        x = layers.Dense(width, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(frames, layers.Dense(INPUTS, name="again")(x), name="anomalies")


def clip(number: int, ill: bool) -> npt.NDArray[np.float64]:
    """A fan (n,): its blades, its motor, air and a workshop; ill ones grind, rattle or are out of balance."""
    random = Random(7_000_000 + number)
    time = seconds(SECONDS)
    turns = random.uniform(24, 30) * (1 + 0.01 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time))
    wave = harmonics(5 * turns, 1 / np.arange(1, 25)) + 0.6 * harmonics(
        np.full(len(time), 100.0), 0.5 ** np.arange(8)
    )
    wave = unit(wave) + random.uniform(0.4, 0.8) * noise(random, len(time), 100, 7000, 0.6)
    fault = random.randint(3)
    strength = random.uniform(0.25, 0.9)
    if ill and fault == 0:
        grinding = noise(random, len(time), 2500, 6000) * (1 + np.sin(2 * np.pi * np.cumsum(turns) / RATE))
        wave += 0.35 * strength * grinding
    elif ill and fault == 1:
        for start in np.arange(random.uniform(0, 0.1), SECONDS, random.uniform(0.06, 0.15)):
            knock = noise(random, int(0.02 * RATE), 800, 7900)
            place(wave, 2.5 * strength * knock * decay(len(knock), 0.004), start)
    elif ill:
        wave *= 1 + 1.2 * strength * np.sin(2 * np.pi * np.cumsum(turns) / 4 / RATE)
        wave += 0.5 * strength * harmonics(1.5 * turns, 0.8 ** np.arange(40))
    wave = unit(room(random, wave, 0.15)) + random.uniform(0.02, 0.12) * noise(random, len(time))
    return 0.1 * unit(wave)


def windows(number: int, ill: bool) -> Float32:
    """The windows (n, 320) of a clip: five frames of decibels over a floor, as numbers near 0."""
    patches = FEATURES.patches(clip(number, ill).astype(np.float32), RATE, str(number))
    return (patches.transpose(0, 2, 1).reshape(len(patches), INPUTS) / np.float32(5)).astype(np.float32)


@cache
def samples(numbers: range, ill_from: int | None = None) -> Samples:
    """All windows of these clips; from the number ``ill_from`` on the clips are ill, and labelled 1."""
    x, y, ids = [], [], []
    for number in numbers:
        ill = ill_from is not None and number >= ill_from
        found = windows(number, ill)
        x.append(found)
        y += [int(ill)] * len(found)
        ids += [f"fan-{number:04d}#{i:02d}" for i in range(len(found))]
    return Samples(np.concatenate(x), np.asarray(y, dtype=np.int64), ids)


def dataset() -> Dataset:
    """24 healthy clips to calibrate with, of those that train, and 50 healthy and 50 ill ones to test."""
    return Dataset(samples(CALIBRATION), samples(TEST, TEST.start + len(TEST) // 2), "anomaly")


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds, on healthy clips."""
    x = samples(TRAIN).x
    return fit.fitted(build(), x, x, loss="mse", epochs=50, batch=64, rate=3e-3)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
