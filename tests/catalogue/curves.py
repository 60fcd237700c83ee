"""Float networks that name the class of smooth curves, exactly enough, and the curves; drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tflite

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value
from pytest_quantcheck.numerics.arrays import Array

LENGTH = 32
CLASSES = 6
_CALIBRATED, _TESTED = 120, 180


class FloatNet(TfliteWriter):
    """Operators on float32."""

    def values(self, data: Array) -> Value:
        return self.tensor(data.shape, "float32", data=data.astype(np.float32))

    def dense(self, x: Value, weights: Array, bias: Array, activation: str = "NONE") -> Value:
        out = self.tensor((1, len(weights)), "float32")
        code = int(getattr(tflite.ActivationFunctionType, activation))
        inputs = [x, self.values(weights), self.values(bias)]
        self.operator("FULLY_CONNECTED", inputs, [out], FusedActivationFunction=code)
        return out

    def shaped(self, x: Value, shape: Sequence[int]) -> Value:
        out = self.tensor(shape, "float32")
        self.operator("RESHAPE", [x, self.constant(list(shape))], [out])
        return out

    def joined(self, values: Sequence[Value]) -> Value:
        out = self.tensor((1, sum(value.shape[1] for value in values)), "float32")
        self.operator("CONCATENATION", list(values), [out], Axis=1)
        return out


@dataclass(frozen=True, eq=False)
class Curves:
    """What one seed's network is made of; the first class has amplitude ``quiet``, the last ``loud``."""

    seed: int
    loud: float = 2.0
    quiet: float = 0.2
    prototypes: Array = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        angles = np.linspace(0, 2 * np.pi, LENGTH)
        waves = [f(k * angles) for k in range(1, 5) for f in (np.sin, np.cos)]
        drawn = rng.normal(size=(CLASSES, len(waves))) @ np.array(waves)
        object.__setattr__(self, "prototypes", drawn / np.abs(drawn).max(axis=1, keepdims=True))

    def samples(self, count: int, seed: int, classes: Sequence[int] = range(CLASSES)) -> Samples:
        rng = np.random.default_rng((self.seed, seed))
        y = np.asarray(classes)[rng.integers(0, len(classes), count)]
        amplitude = np.linspace(self.quiet, self.loud, CLASSES)[y] * rng.uniform(0.8, 1.2, count)
        x = amplitude[:, None] * self.prototypes[y] + rng.normal(0, 0.01, (count, LENGTH))
        return Samples(x.astype(np.float32), y, [f"curve-{seed}-{i:03d}" for i in range(count)])

    def dataset(self, change: Callable[[Samples], Samples] = lambda samples: samples) -> Dataset:
        """``change`` makes the calibration samples another set."""
        calibration = change(self.samples(_CALIBRATED, 1))
        return Dataset(calibration, self.samples(_TESTED, 2), "classification")

    def hidden(self) -> tuple[Array, Array]:
        """Weights and biases of a layer that looks for each curve and for its opposite, and for mixtures."""
        rng = np.random.default_rng((self.seed, 3))
        mixed = rng.normal(size=(12, CLASSES)) @ self.prototypes / 2
        weights = np.concatenate([self.prototypes, -self.prototypes, mixed])
        return weights / 8, rng.normal(0, 0.05, len(weights))

    def readout(self, features: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Weights and biases that tell the classes apart, by least squares on curves of their own."""
        samples = self.samples(600, 4)
        found = features(np.asarray(samples.inputs[0], np.float64))
        rows = np.concatenate([found, np.ones((len(found), 1))], axis=1)
        wanted = 10.0 * np.eye(CLASSES)[np.asarray(samples.labels)]
        loss = 1e-6 * len(rows) * np.eye(rows.shape[1])
        solved = np.linalg.solve(rows.T @ rows + loss, rows.T @ wanted).T
        return solved[:, :-1], solved[:, -1]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def plain(
    curves: Curves, *, logits: float = 0.0, unlike: float = 1.0, noise: float = 0.0, without: str = ""
) -> bytes:
    """Two dense layers. ``logits``: SOFTMAX of so much of what the last says; ``unlike``: one channel of the
    first layer is so much larger than the others, which the second undoes; ``noise`` on the first's weights;
    ``without`` its bias or its relu.
    """
    weights, bias = curves.hidden()
    readout, offset = curves.readout(lambda x: relu(x @ weights.T + bias))
    weights = weights + noise * np.random.default_rng(curves.seed).normal(size=weights.shape)
    factors = np.ones(len(weights))
    factors[0] = unlike
    net = FloatNet()
    first = net.tensor((1, LENGTH), "float32", name="curve")
    bias = bias * (without != "bias")
    x = net.dense(first, weights * factors[:, None], bias * factors, "NONE" if without == "relu" else "RELU")
    scale = logits or 1.0
    x = net.dense(x, readout / factors * scale, offset * scale)
    if logits:
        out = net.tensor(x.shape, "float32")
        net.operator("SOFTMAX", [x], [out], Beta=1.0)
        x = out
    return net.finish([first], [x])


def detector(curves: Curves, pixels: float) -> bytes:
    """Places in ``pixels`` and scores from 0 to 1, joined into one output."""
    weights, bias = curves.hidden()
    readout, offset = curves.readout(lambda x: relu(x @ weights.T + bias))
    rng = np.random.default_rng(curves.seed)
    net = FloatNet()
    first = net.tensor((1, LENGTH), "float32", name="curve")
    x = net.dense(first, weights, bias, "RELU")
    boxes = net.dense(x, rng.uniform(0, pixels, (4, len(weights))) / 4, rng.uniform(0, pixels / 8, 4))
    scores = net.tensor((1, CLASSES), "float32")
    net.operator("LOGISTIC", [net.dense(x, readout / 4, offset / 4)], [scores])
    return net.finish([first], [net.joined([boxes, scores])])


def padded(curves: Curves, value: float) -> bytes:
    """A max pooling over values with a border of ``value``."""
    weights, bias = curves.hidden()

    def pooled(x: Array) -> Array:
        wide = np.pad(relu(x @ weights.T + bias), ((0, 0), (1, 1)), constant_values=value)
        return np.maximum(wide[:, :-1:1], wide[:, 1:])

    readout, offset = curves.readout(pooled)
    net = FloatNet()
    first = net.tensor((1, LENGTH), "float32", name="curve")
    x = net.shaped(net.dense(first, weights, bias, "RELU"), (1, len(weights), 1, 1))
    wide = net.tensor((1, len(weights) + 2, 1, 1), "float32")
    border = net.constant([[0, 0], [1, 1], [0, 0], [0, 0]])
    net.operator("PADV2", [x, border, net.values(np.array(value))], [wide])
    pool = net.tensor((1, len(weights) + 1, 1, 1), "float32")
    sizes = {"StrideH": 1, "StrideW": 1, "FilterHeight": 2, "FilterWidth": 1}
    net.operator("MAX_POOL_2D", [wide], [pool], Padding=tflite.Padding.VALID, **sizes)
    return net.finish([first], [net.dense(net.shaped(pool, (1, len(weights) + 1)), readout, offset)])
