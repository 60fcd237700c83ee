"""Small networks to put faults into: drawn from a seed, quantized, with zero points that matter."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from conformance_models.shapes import _Network
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.formats.tflite_writer import Pair, TfliteWriter, Value
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

INPUT = (1, 9, 8, 4)
COUNT = 12


class Net(_Network):
    """The conformance shapes' layers, and those that they do not need."""

    def picture(self, shape: tuple[int, ...], zero_point: int) -> Value:
        value = self.writer.tensor(shape, scale=1 / 50, zero_point=zero_point, name="input")
        self._spread[value.index] = 1.0
        return value

    def conv(
        self,
        x: Value,
        channels: int,
        kernel: Pair = (3, 3),
        *,
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        zero_point: int = 3,
        activation: str = "NONE",
        padding: str = "SAME",
        depthwise: bool = False,
        bias: float = 0.25,
    ) -> Value:
        depth = x.shape[3]
        shape = (1, *kernel, depth) if depthwise else (channels, *kernel, depth)
        weights, scale = self._weights(shape, shape[3] if depthwise else channels, axis=3 if depthwise else 0)
        terms = kernel[0] * kernel[1] * (1 if depthwise else depth)
        sigma = self._sigma(x, weights, scale, terms)
        real = self.random.normal(0, sigma * bias, len(scale))
        out = self.writer.conv_2d(
            x,
            weights,
            np.round(real / (x.scale * scale)).astype(np.int32),
            weight_scale=scale,
            scale=(4 if activation == "NONE" else 2.5) * sigma / 255,
            zero_point=zero_point,
            stride=stride,
            dilation=dilation,
            padding=padding,
            activation=activation,
            depthwise=depthwise,
        )
        self._spread[out.index] = sigma if activation == "NONE" else sigma * 0.6
        return out

    def known(self, out: Value, spread: float) -> Value:
        self._spread[out.index] = spread
        return out

    def spread(self, x: Value) -> float:
        return self._spread[x.index]


def _finish(net: Net, name: str, first: Value, *outputs: Value) -> QuantizedModel:
    return QuantizedModel(name, net.writer.finish([first], list(outputs)))


@lru_cache
def pictures(seed: int) -> QuantizedModel:
    """Convolutions of all kinds, a residual, pooling, a dense layer, SOFTMAX."""
    net = Net(100 + seed)
    x = first = net.picture(INPUT, zero_point=-5 - seed)
    x = net.conv(x, 8, stride=(2, 2), zero_point=-128, activation="RELU")
    y = net.conv(x, 8, depthwise=True, zero_point=-100 + seed, activation="RELU")
    y = net.conv(y, 8, (1, 1), zero_point=7)
    x = net.residual(x, y)
    x = net.conv(x, 8, dilation=(2, 2), zero_point=-11)
    pool = net.writer.pool("AVERAGE_POOL_2D", x, (3, 3), stride=(1, 1), padding="SAME")
    x = net.known(pool, net.spread(x) * 0.5)
    flat = net.known(net.writer.reshape(x, (1, int(np.prod(x.shape)))), net.spread(x))
    return _finish(net, f"pictures{seed}", first, net.writer.softmax(net.dense(flat, 6)))


@lru_cache
def gates(seed: int) -> QuantizedModel:
    """A gate (LOGISTIC, TANH, MUL), SUB, CONCATENATION, TRANSPOSE, max pooling, no SOFTMAX."""
    net = Net(200 + seed)
    first = net.picture(INPUT, zero_point=4 + seed)
    a = net.conv(first, 6, zero_point=-9)
    b = net.conv(first, 6, zero_point=12)
    writer = net.writer
    gate = net.known(writer.logistic(a), 0.3)
    value = net.known(writer.tanh(b), 0.6)
    product = net.known(writer.mul(gate, value, scale=1 / 120, zero_point=-3), 0.35)
    other = net.conv(first, 6, zero_point=-20)
    scale = 4 * float(np.hypot(0.35, net.spread(other))) / 255
    less = net.known(writer.add(other, product, scale=scale, zero_point=5, kind="SUB"), net.spread(other))
    pool = net.known(
        writer.pool("MAX_POOL_2D", less, (3, 3), stride=(2, 2), padding="SAME"), net.spread(less)
    )
    turned = net.known(writer.transpose(pool, (0, 2, 1, 3)), net.spread(pool))
    both = net.known(
        writer.concatenation([turned, writer.transpose(pool, (0, 2, 1, 3))], 3), net.spread(pool)
    )
    x = net.conv(both, 8, (1, 1), zero_point=-30, activation="RELU")
    flat = net.known(writer.reshape(x, (1, int(np.prod(x.shape)))), net.spread(x))
    return _finish(net, f"gates{seed}", first, net.dense(flat, 9))


@lru_cache
def branches(seed: int) -> QuantizedModel:
    """A long skip connection, so that tensors live while others are written; two outputs of one shape."""
    net = Net(300 + seed)
    first = net.picture((1, 8, 8, 4), zero_point=-1 - seed)
    early = net.conv(first, 8, zero_point=2)
    x = early
    for step in range(3):
        x = net.conv(x, 8, zero_point=-6 + step, activation="RELU" if step == 1 else "NONE")
    x = net.writer.add(early, x, scale=5 * net.spread(early) / 255, zero_point=-8)
    net.known(x, net.spread(early) * 1.4)
    left, right = net.conv(x, 4, zero_point=1), net.conv(x, 4, zero_point=-14)
    return _finish(net, f"branches{seed}", first, left, right)


@lru_cache
def wide(seed: int) -> QuantizedModel:
    """int16 activations."""
    rng = np.random.default_rng(500 + seed)
    writer = TfliteWriter()
    x = writer.tensor((1, 6, 5, 2), "int16", scale=1 / 4096, zero_point=0, name="input")
    weights = rng.integers(-100, 101, (4, 3, 3, 2)).astype(np.int8)
    bias = rng.integers(-5000, 5000, 4)
    y = writer.conv_2d(x, weights, bias, weight_scale=0.002 + 0.001 * seed, scale=1 / 2500)
    return QuantizedModel(f"wide{seed}", writer.finish([x], [y]))


@lru_cache
def pairs(seed: int) -> QuantizedModel:
    """Two inputs of one shape and one scale."""
    net = Net(400 + seed)
    one, other = (net.picture((1, 6, 6, 3), zero_point=-4) for _ in range(2))
    a, b = net.conv(one, 6, zero_point=3), net.conv(other, 6, (1, 1), zero_point=-9)
    x = net.writer.add(a, b, scale=4 * float(np.hypot(net.spread(a), net.spread(b))) / 255, kind="SUB")
    flat = net.known(net.writer.reshape(x, (1, int(np.prod(x.shape)))), net.spread(a))
    return QuantizedModel(f"pairs{seed}", net.writer.finish([one, other], [net.dense(flat, 7)]))


@lru_cache
def samples_of(model: QuantizedModel, seed: int = 0, count: int = COUNT) -> Samples:
    """Samples that use the input's whole range, a few values beyond it."""
    shapes = [model.graph.tensors[i].shape[1:] for i in model.graph.inputs]
    rng = np.random.default_rng(seed)
    drawn = tuple(rng.normal(0, 1.1, (count, *shape)).astype(np.float32) for shape in shapes)
    return Samples(drawn if len(drawn) > 1 else drawn[0], None, [f"sample-{i:02d}" for i in range(count)])


@lru_cache
def digits(which: int) -> QuantizedModel:
    """The demo's model number ``which``: see ``demo/artefacts.py``."""
    return demo_models()[which]


def digit_samples(count: int = COUNT) -> Samples:
    return demo_samples().take(range(count))
