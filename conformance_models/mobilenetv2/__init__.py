"""A small MobileNetV2 for the handwritten digits: inverted bottlenecks, depthwise layers, ReLU6, residuals.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", at the size of a
microcontroller. ``python -m conformance_models.mobilenetv2`` trains the weights in this folder again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conformance_models import digits
from conformance_models.digits import dataset

if TYPE_CHECKING:
    import keras

__all__ = ["WEIGHTS", "build", "dataset", "float_model", "train"]

WEIGHTS = Path(__file__).with_name("weights.npz")
STEM = 8
HEAD = 48
EXPANSION = 4
BLOCKS = ((8, 1), (16, 2), (16, 1), (16, 1))  # output channels, stride


def build() -> keras.Model:
    """The untrained network: (8, 8, 1) in 0..1 to ten probabilities, three residuals."""
    import keras
    from keras import layers

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    image = layers.Input((8, 8, 1), name="image")
    x = _convolved(image, STEM, 3)
    for channels, stride in BLOCKS:
        x = _inverted_residual(x, channels, stride)
    x = layers.GlobalAveragePooling2D()(_convolved(x, HEAD, 1))
    x = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(image, x, name="mobilenetv2")


def _convolved(x: keras.KerasTensor, channels: int, size: int) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(channels, size, padding="same", use_bias=False)(x)
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def _inverted_residual(x: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    """Wide, filtered by channel, narrow and linear again; added to ``x`` where the shapes are the same."""
    from keras import layers

    y = _convolved(x, EXPANSION * x.shape[-1], 1)
    y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(channels, 1, use_bias=False)(y))
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y


def train() -> keras.Model:
    """The network trained from scratch with fixed seeds (about half a minute on one core)."""
    return digits.train(build)


def float_model() -> keras.Model:
    """The network with the weights of this folder."""
    return digits.restore(build(), WEIGHTS)
