"""Keras networks with random weights, for what does not depend on what a network knows: converters, speed.

Each is a function that returns a model; batch norms have statistics that matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

SEED = 0


def resnet8() -> keras.Model:
    """MLPerf Tiny's image network: (32, 32, 3) to ten probabilities, 78k parameters."""
    import keras
    from keras import layers

    _begin()
    image = layers.Input((32, 32, 3))
    x = _normalized(image, 16)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = _normalized(_normalized(x, channels, stride=stride), channels, linear=True)
        if stride > 1:
            x = layers.Conv2D(channels, 1, strides=stride, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return _settled(keras.Model(image, layers.Dense(10, activation="softmax")(x)))


def depthwise() -> keras.Model:
    """Depthwise with several filters per channel, and weights large enough for ``dynamic``."""
    import keras
    from keras import layers

    _begin()
    image = layers.Input((8, 8, 16))
    x = layers.DepthwiseConv2D(3, depth_multiplier=8, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = _normalized(x, 40, size=1)
    x = layers.GlobalAveragePooling2D()(x)
    return _settled(keras.Model(image, layers.Dense(30)(x)))


def autoencoder() -> keras.Model:
    """Dense layers only: (64,) to (64,)."""
    import keras
    from keras import layers

    _begin()
    values = layers.Input((64,))
    x = values
    for width in (32, 8, 32):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(width)(x)))
    return _settled(keras.Model(values, layers.Dense(64)(x)))


def activations() -> keras.Model:
    """Gates, concatenation, LeakyReLU and a transposed convolution."""
    import keras
    from keras import layers

    _begin()
    image = layers.Input((8, 8, 4))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(image)
    x = layers.Multiply()([layers.Conv2D(8, 3, padding="same", activation="tanh")(image), gate])
    x = layers.Concatenate()([x, layers.LeakyReLU(negative_slope=0.1)(image)])
    x = layers.Conv2DTranspose(12, 3, strides=2, padding="same")(x)
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return _settled(keras.Model(image, layers.Dense(3)(x)))


def decoder() -> keras.Model:
    """Groups, uneven padding and cropping, both ways to resize, transposed convolutions with their ReLU."""
    import keras
    from keras import layers

    _begin()
    image = layers.Input((7, 7, 4))
    x = layers.Conv2D(8, 3, groups=2, activation="relu")(layers.ZeroPadding2D(((1, 0), (2, 1)))(image))
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(4, 1)(layers.Resizing(9, 11)(x))
    x = layers.Conv2DTranspose(4, 2, activation="relu6")(layers.Resizing(5, 6, interpolation="nearest")(x))
    x = layers.Cropping2D(((0, 1), (2, 1)))(x)
    return _settled(keras.Model(image, layers.Conv2D(2, 1)(x)))


def sequence() -> keras.Model:
    """Causal and dilated Conv1D, attention, an unrolled recurrence: (12, 4) to three values."""
    import keras
    from keras import layers

    _begin()
    values = layers.Input((12, 4))
    x = layers.Conv1D(8, 3, padding="causal", activation="relu")(values)
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="swish")(x)
    x = layers.Conv1D(8, 3, strides=2)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    return _settled(keras.Model(values, layers.Dense(3)(layers.SimpleRNN(4, unroll=True)(x))))


def two_by_two() -> keras.Model:
    """Two inputs, two outputs."""
    import keras
    from keras import layers

    _begin()
    image, values = layers.Input((6, 6, 2)), layers.Input((5,))
    x = layers.Flatten()(layers.Conv2D(4, 3)(image))
    x = layers.Concatenate()([x, layers.Dense(7, activation="relu")(values)])
    outputs = [layers.Dense(4, activation="softmax")(x), layers.Dense(2, activation="sigmoid")(x)]
    return _settled(keras.Model([image, values], outputs))


def transformer() -> keras.Model:
    """Three kinds of norms and an attention, of which TensorFlow's own converter leaves parts in float."""
    import keras
    from keras import layers

    _begin()
    words = layers.Input((6, 8))
    y = layers.LayerNormalization()(words)
    x = layers.Add()([words, layers.MultiHeadAttention(2, 4)(y, y)])
    y = layers.Dense(8)(layers.Dense(16, activation="relu")(layers.RMSNormalization()(x)))
    x = layers.GlobalAveragePooling1D()(layers.Add()([x, y]))
    return _settled(keras.Model(words, layers.UnitNormalization()(layers.Dense(5)(x))))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    function.__name__: function
    for function in (resnet8, depthwise, autoencoder, activations, decoder, sequence, two_by_two)
}


def _begin() -> None:
    import keras

    keras.backend.clear_session()  # layer names count from one, so the converted bytes repeat
    keras.utils.set_random_seed(SEED)


def _normalized(
    x: keras.KerasTensor, channels: int, *, size: int = 3, stride: int = 1, linear: bool = False
) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(channels, size, strides=stride, padding="same")(x)
    x = layers.BatchNormalization()(x)
    return x if linear else layers.ReLU()(x)


def _settled(model: keras.Model) -> keras.Model:
    """Give batch norms and biases values as if the network had been trained."""
    generator = np.random.default_rng(SEED)
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.get_weights()]
        if layer.__class__.__name__ == "BatchNormalization":
            spread = generator.uniform(0.5, 1.5, (2, *shapes[0]))
            centre = generator.normal(0, 0.3, (2, *shapes[0]))
            layer.set_weights([spread[0], centre[0], centre[1], spread[1]])
        elif shapes and len(shapes[-1]) == 1:
            layer.set_weights([*layer.get_weights()[:-1], generator.normal(0, 0.1, shapes[-1])])
    return model
