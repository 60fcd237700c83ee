"""Keywords: ten words from a simple speech synthesizer, many voices, and a network of depthwise layers.

The shape is that of MLPerf Tiny's DS-CNN: 49 frames of 10 values, here mel bands. The words are vowels
between bursts, hisses and hums, near to the microphone and far from it, in noise that may be the louder one.
``python -m conformance_models keywords`` trains the weights in this folder again.
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
    Wave,
    decay,
    formants,
    harmonics,
    noise,
    place,
    recorded,
    room,
    seconds,
    unit,
)
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.patches import LogMel

if TYPE_CHECKING:
    import keras

WEIGHTS = Path(__file__).with_name("weights.npz")
FEATURES = LogMel(
    patch_length=49, n_mels=10, overlap=0.0, window_length=480, hop_length=320, fmin=60, fmax=7600
)
_VOWELS = {"a": (750, 1200, 2600), "e": (500, 1850, 2500), "i": (300, 2250, 3000), "o": (450, 850, 2500),
           "u": (320, 750, 2300)}  # fmt: skip
_WORDS = {"down": "dao-n", "go": "go", "left": "lefs", "no": "no", "off": "ofs", "on": "on", "right": "rait",
          "stop": "stop", "up": "ap", "yes": "yes"}  # fmt: skip
CLASSES = tuple(_WORDS)
TRAIN, CALIBRATION, TEST = range(0, 160), range(0, 16), range(3000, 3050)  # numbers of voices, of each word
METRIC = "accuracy"


def build() -> keras.Model:
    """The untrained network: (49, 10, 1) log-mel values to ten probabilities, 32 channels wide."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    patch = layers.Input((49, 10, 1), name="patch")
    x = layers.Conv2D(32, (10, 4), strides=(2, 2), padding="same", use_bias=False)(patch)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(3):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(32, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return keras.Model(
        patch, layers.Dense(len(CLASSES), activation="softmax", name="word")(x), name="keywords"
    )


def _sound(random: Random, letter: str, pitch: float, size: float) -> Wave:
    """One sound of a word by a voice of ``pitch`` Hz, whose throat is ``size`` times the usual one."""
    if letter in _VOWELS:
        time = seconds(random.uniform(0.08, 0.19))
        glide = pitch * (1 - random.uniform(0, 0.6) * time)
        peaks = np.asarray(_VOWELS[letter]) / size * random.uniform(0.8, 1.2, 3)
        return formants(harmonics(glide, 0.9 ** np.arange(30)), peaks) * np.hanning(len(time)) ** 0.3
    if letter in "sf":
        time = seconds(random.uniform(0.1, 0.18))
        low = 3800 if letter == "s" else 1200
        return (
            (0.5 if letter == "s" else 0.25)
            * noise(random, len(time), low, 7800)
            * np.hanning(len(time)) ** 0.5
        )
    if letter in "tpdg":
        burst = noise(random, int(0.05 * RATE), {"t": 2500, "p": 300, "d": 1500, "g": 900}[letter], 6500)
        return np.concatenate([np.zeros(int(0.03 * RATE)), burst * decay(len(burst), 0.012, 0.001)])
    if letter == "-":
        return np.zeros(int(0.02 * RATE))
    time = seconds(random.uniform(0.06, 0.12))  # n, l, r, y
    peaks = {"n": (250, 1400), "l": (350, 1100), "r": (420, 1300), "y": (280, 2200)}[letter]
    return 0.5 * formants(
        harmonics(np.full(len(time), pitch), 0.8 ** np.arange(20)), np.asarray(peaks) / size
    )


def clip(word: str, number: int) -> npt.NDArray[np.int16]:
    """One second, int16 (16000,), of a word in voice ``number``."""
    random = Random(100_000 + 5000 * CLASSES.index(word) + number)
    pitch, size = random.uniform(80, 300), random.uniform(0.7, 1.3)
    wave = np.zeros(RATE)
    start = random.uniform(0.02, 0.35)
    for letter in _WORDS[word]:
        piece = _sound(random, letter, pitch, size)
        place(wave, piece, start)
        start += max(0.0, len(piece) / RATE - 0.02)
    wave = unit(room(random, wave, random.uniform(0.05, 0.3)))
    near_or_far = 0.9 * 0.02 ** random.uniform(0, 1)
    return recorded(random, wave, random.uniform(-9, 12), near_or_far)


@cache
def samples(numbers: range) -> Samples:
    """The words in these voices."""
    x = [
        FEATURES.patches(clip(word, number).astype(np.float32) / 32768, RATE, word)[0].T
        for word in CLASSES
        for number in numbers
    ]
    ids = [f"{word}/{number:04d}.wav" for word in CLASSES for number in numbers]
    return Samples(np.stack(x)[..., np.newaxis], np.repeat(np.arange(len(CLASSES)), len(numbers)), ids)


def dataset() -> Dataset:
    """Every word in 16 voices to calibrate with, of those that train, and in 50 others to test."""
    return Dataset(samples(CALIBRATION), samples(TEST), "classification", CLASSES)


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds."""
    data = samples(TRAIN)
    return fit.fitted(build(), data.x, data.y, loss="sparse_categorical_crossentropy", epochs=25, batch=64)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return fit.restored(build(), WEIGHTS)
