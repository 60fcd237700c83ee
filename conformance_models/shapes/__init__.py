"""The four MLPerf Tiny network shapes with seeded random weights, int8, written without TensorFlow.

They have the published layer shapes and real sizes, and activations that use their whole range, but
they recognise nothing: they are for exactness, memory and speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.formats.tflite_writer import Pair, TfliteWriter, Value
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

SEED = 0
_INPUT_SPREAD = 1.0
_RELU_SPREAD = (0.5 - 0.5 / np.pi) ** 0.5  # standard deviation of max(x, 0) for x ~ N(0, 1)


@dataclass
class _Network:
    """Adds layers with random weights; scales follow from the spread of the activations.

    Weights have zero mean per output channel, so the activations' own mean cancels and every layer
    passes on what differs between inputs. A sum of K independent products has a standard deviation of
    spread * weight_rms * sqrt(K); the output scale puts three of those into the int8 range.
    """

    seed: int
    writer: TfliteWriter = field(default_factory=TfliteWriter)
    macs: int = 0
    _spread: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.Generator(np.random.PCG64(self.seed))

    def input(self, shape: tuple[int, ...]) -> Value:
        value = self.writer.tensor(shape, scale=_INPUT_SPREAD / 74, zero_point=0, name="input")
        self._spread[value.index] = _INPUT_SPREAD
        return value

    def convolution(
        self, x: Value, channels: int, kernel: Pair, stride: Pair = (1, 1), *, relu: bool = True
    ) -> Value:
        depth = x.shape[3]
        weights, scale = self._weights((channels, *kernel, depth), channels, axis=0)
        return self._window(x, weights, scale, kernel[0] * kernel[1] * depth, stride, relu, depthwise=False)

    def depthwise(self, x: Value, kernel: Pair = (3, 3), stride: Pair = (1, 1)) -> Value:
        depth = x.shape[3]
        weights, scale = self._weights((1, *kernel, depth), depth, axis=3)
        return self._window(x, weights, scale, kernel[0] * kernel[1], stride, True, depthwise=True)

    def dense(self, x: Value, outputs: int, *, relu: bool = False) -> Value:
        depth = int(np.prod(x.shape[1:]))
        weights, scale = self._weights((outputs, depth), 1, axis=0)
        sigma = self._sigma(x, weights, scale, depth)
        out = self.writer.fully_connected(
            x,
            weights,
            self._bias(outputs, sigma, x.scale, scale),
            weight_scale=float(scale[0]),
            scale=self._scale(sigma, relu),
            zero_point=self._zero_point(relu),
            activation="RELU" if relu else "NONE",
        )
        self._spread[out.index] = sigma * _RELU_SPREAD if relu else sigma
        self.macs += weights.size
        return out

    def residual(self, a: Value, b: Value) -> Value:
        sigma = float(np.hypot(self._spread[a.index], self._spread[b.index]))
        out = self.writer.add(
            a, b, scale=self._scale(sigma, True), zero_point=self._zero_point(True), activation="RELU"
        )
        self._spread[out.index] = sigma * _RELU_SPREAD
        return out

    def average_pool(self, x: Value) -> Value:
        out = self.writer.pool(
            "AVERAGE_POOL_2D", x, (x.shape[1], x.shape[2]), stride=(x.shape[1], x.shape[2])
        )
        self._spread[out.index] = self._spread[x.index]
        return out

    def classifier(self, x: Value, classes: int) -> Value:
        flat = self.writer.reshape(x, (1, int(np.prod(x.shape))))
        self._spread[flat.index] = self._spread[x.index]
        return self.writer.softmax(self.dense(flat, classes))

    def _window(
        self,
        x: Value,
        weights: npt.NDArray[np.int8],
        scale: npt.NDArray[np.float32],
        terms: int,
        stride: Pair,
        relu: bool,
        *,
        depthwise: bool,
    ) -> Value:
        sigma = self._sigma(x, weights, scale, terms)
        out = self.writer.conv_2d(
            x,
            weights,
            self._bias(len(scale), sigma, x.scale, scale),
            weight_scale=scale,
            scale=self._scale(sigma, relu),
            zero_point=self._zero_point(relu),
            stride=stride,
            activation="RELU" if relu else "NONE",
            depthwise=depthwise,
        )
        self._spread[out.index] = sigma * _RELU_SPREAD if relu else sigma
        self.macs += int(np.prod(out.shape)) * terms
        return out

    def _weights(
        self, shape: tuple[int, ...], channels: int, axis: int
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        drawn = self.random.integers(-100, 101, shape).astype(np.float64)
        others = tuple(i for i in range(len(shape)) if i != axis)
        weights = np.round(drawn - drawn.mean(axis=others, keepdims=True)).clip(-127, 127).astype(np.int8)
        fan_in = weights.size // shape[axis]
        scale = self.random.uniform(0.5, 1.5, channels) / (58 * _RELU_SPREAD * fan_in**0.5)
        return weights, scale.astype(np.float32)

    def _sigma(
        self, x: Value, weights: npt.NDArray[np.int8], scale: npt.NDArray[np.float32], terms: int
    ) -> float:
        real = float(np.std(weights)) * float(scale.mean())
        return float(self._spread[x.index] * real * terms**0.5)

    def _bias(
        self, channels: int, sigma: float, input_scale: float, scale: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.int32]:
        real = self.random.normal(0, sigma / 4, channels)
        return np.round(real / (input_scale * scale)).astype(np.int32)

    @staticmethod
    def _scale(sigma: float, relu: bool) -> float:
        return (3 if relu else 6) * sigma / 255

    @staticmethod
    def _zero_point(relu: bool) -> int:
        return -128 if relu else 3


def resnet8(network: _Network) -> tuple[Value, Value]:
    """Image classification: ResNet-8 on 32x32x3."""
    image = network.input((1, 32, 32, 3))
    x = network.convolution(image, 16, (3, 3))
    for channels, step in ((16, 1), (32, 2), (64, 2)):
        y = network.convolution(x, channels, (3, 3), (step, step))
        y = network.convolution(y, channels, (3, 3), relu=False)
        if step > 1:
            x = network.convolution(x, channels, (1, 1), (step, step), relu=False)
        x = network.residual(x, y)
    return image, network.classifier(network.average_pool(x), 10)


def ds_cnn(network: _Network) -> tuple[Value, Value]:
    """Keyword spotting: DS-CNN on 49x10 coefficients."""
    audio = network.input((1, 49, 10, 1))
    x = network.convolution(audio, 64, (10, 4), (2, 2))
    for _ in range(4):
        x = network.convolution(network.depthwise(x), 64, (1, 1))
    return audio, network.classifier(network.average_pool(x), 12)


def mobilenet(network: _Network) -> tuple[Value, Value]:
    """Visual wake words: MobileNetV1 of width 0.25 on 96x96x3."""
    image = network.input((1, 96, 96, 3))
    x = network.convolution(image, 8, (3, 3), (2, 2))
    layers = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for channels, step in layers:
        x = network.convolution(network.depthwise(x, stride=(step, step)), channels, (1, 1))
    return image, network.classifier(network.average_pool(x), 2)


def autoencoder(network: _Network) -> tuple[Value, Value]:
    """Anomaly detection: ten dense layers on 640 values."""
    spectrum = network.input((1, 640))
    x = spectrum
    for width in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = network.dense(x, width, relu=True)
    return spectrum, network.dense(x, 640)


SHAPES: dict[str, Callable[[_Network], tuple[Value, Value]]] = {
    "resnet8": resnet8,
    "ds-cnn": ds_cnn,
    "mobilenet": mobilenet,
    "autoencoder": autoencoder,
}


def model(name: str, seed: int = SEED) -> QuantizedModel:
    """One of ``SHAPES`` as an int8 artefact; its manifest holds the multiply-accumulates, ``macs``."""
    network = _Network(seed)
    first, last = SHAPES[name](network)
    return QuantizedModel(
        name,
        network.writer.finish([first], [last]),
        manifest={"made_by": "conformance_models.shapes", "seed": seed, "macs": network.macs},
    )
