"""Handwritten digits: a small CNN with every operator a keyword or image network starts from.

8x8 grey images in 0..1, ten classes. The images are scikit-learn's; 540 of its 1797 are held out.
``python -m conformance_models.digits`` trains the weights in this folder again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples

if TYPE_CHECKING:
    import keras

SEED = 0
HELD_OUT = 540
EPOCHS = 20
BATCH = 32
LEARNING_RATE = 3e-3
WEIGHTS = Path(__file__).with_name("weights.npz")


def build(width: int = 16) -> keras.Model:
    """The untrained network: (8, 8, 1) in 0..1 to ten probabilities, 6762 parameters at width 16."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    image = layers.Input((8, 8, 1), name="image")
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name="stem")(image)
    stem = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(stem)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(width, 1, use_bias=False, name="pointwise")(x)
    x = layers.Add(name="residual")([stem, layers.BatchNormalization()(x)])
    x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    x = layers.Conv2D(2 * width, 3, padding="same", use_bias=False, name="wide")(x)
    x = layers.AveragePooling2D(2)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Dense(10, activation="softmax", name="digit")(layers.Flatten()(x))
    return keras.Model(image, x, name="digits")


def dataset() -> Dataset:
    """1257 images to train and calibrate with, 540 to test; ids are positions in scikit-learn's set."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = (bunch.images / 16).astype(np.float32)[..., np.newaxis]
    y = bunch.target.astype(np.int64)
    samples = Samples(x, y, [f"digit-{i:04d}" for i in range(len(x))])
    order = np.random.RandomState(SEED).permutation(len(x))  # its stream is frozen (NEP 19)
    return Dataset(
        calibration=samples.take(np.sort(order[HELD_OUT:])),
        test=samples.take(np.sort(order[:HELD_OUT])),
        task="classification",
        classes=tuple("0123456789"),
        input_range=(0.0, 1.0),
    )


def train(untrained: Callable[[], keras.Model] = build) -> keras.Model:
    """A network for these digits trained from scratch with fixed seeds (about ten seconds on one core)."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    samples = dataset().calibration
    model = untrained()
    steps = EPOCHS * -(-len(samples) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        "sparse_categorical_crossentropy",
    )
    model.fit(samples.x, samples.y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return restore(build(), WEIGHTS)


def restore(model: keras.Model, path: Path) -> keras.Model:
    """Give ``model`` the weights that ``save_weights`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        model.set_weights([stored[f"w{i:02d}"] for i in range(len(stored.files))])
    return model


def save_weights(model: keras.Model, path: Path = WEIGHTS) -> None:
    """Write ``get_weights()`` as ``w00``, ``w01``, ... in float32."""
    arrays = {f"w{i:02d}": w for i, w in enumerate(model.get_weights())}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def accuracy(model: keras.Model, samples: Samples) -> float:
    """The fraction of samples whose most probable class is the label."""
    return float(np.mean(model.predict(samples.x, verbose=0).argmax(axis=1) == samples.y))
