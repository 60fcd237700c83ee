"""Drawn ONNX networks of a few operators: quantized, read, compiled, and compared with onnxruntime.

An operator whose inputs are equal is one step away at most; what follows from such a step is not judged,
since it can grow on its way.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance_models.onnx_nets import Net
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Shape = tuple[int, ...]
Layer = Callable[["Drawer", str, Shape], tuple[str, Shape]]
SAMPLES = 24
FUNCTIONS = (
    *("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "HardSigmoid", "Elu", "Softplus", "Abs"),
    *("Erf", "Softsign", "Selu", "Celu"),
)


class Drawer:
    """A network under construction, and what is drawn for it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.net = Net(seed)

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def network(self) -> tuple[bytes, Shape]:
        """The file, and its input's shape without the batch."""
        first: Shape = tuple(int(n) for n in self.rng.integers(1, 7, 1 + self.below(3)))
        x, shape = self.net.input("x", 1, *first), (1, *first)
        if self.below(2):
            x, shape = turned(self, x, shape)
        for _ in range(1 + self.below(6)):
            layers = [
                *ANYWHERE,
                *(SPATIAL if len(shape) in (3, 4) else ()),
                *(IMAGES if len(shape) == 4 else ()),
            ]
            x, shape = layers[self.below(len(layers))](self, x, shape)
        return self.net.model({x: shape}), first


def function(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    return d.net.op(FUNCTIONS[d.below(len(FUNCTIONS))], x), shape


def dense(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    units = 1 + d.below(6)
    y = d.net.op("MatMul", x, d.net.normal(shape[-1], units, scale=shape[-1] ** -0.5))
    return d.net.op("Add", y, d.net.normal(units)), (*shape[:-1], units)


def branch(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """Joined with a function of itself."""
    other, _ = function(d, x, shape)
    kind = ("Add", "Sub", "Mul", "Max", "Min", "Concat")[d.below(6)]
    if kind != "Concat":
        return d.net.op(kind, x, other), shape
    axis = 1 + d.below(len(shape) - 1)
    sizes = tuple(2 * n if a == axis else n for a, n in enumerate(shape))
    return d.net.op("Concat", x, other, axis=axis), sizes


def product(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """A matrix times itself, turned: two activations."""
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    turned = d.net.op("Transpose", x, perm=order)
    return d.net.op("MatMul", x, turned), (*shape[:-1], shape[-2])


def largest(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    axis = 1 + d.below(len(shape) - 1)
    return d.net.op("ReduceMax", x, axes=[axis]), tuple(1 if a == axis else n for a, n in enumerate(shape))


def turned(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    order = [0, *(1 + int(a) for a in d.rng.permutation(len(shape) - 1))]
    return d.net.op("Transpose", x, perm=order), tuple(shape[a] for a in order)


def flat(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    return d.net.op("Flatten", x), (1, int(np.prod(shape)))


def reversed_sizes(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    sizes = (1, *reversed(shape[1:]))
    return d.net.op("Reshape", x, d.net.constant(sizes, np.int64)), sizes


def softmax(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """Over two values or more, else a layer: for one of uint8 onnxruntime's 256/256 wraps to 0."""
    axes = [a for a, n in enumerate(shape) if n > 1]
    return (d.net.op("Softmax", x, axis=axes[d.below(len(axes))]), shape) if axes else dense(d, x, shape)


def mean(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    axis = 1 + d.below(len(shape) - 1)
    return d.net.op("ReduceMean", x, axes=[axis]), tuple(1 if a == axis else n for a, n in enumerate(shape))


def cut(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """Some of one axis, forwards or backwards."""
    axis = 1 + d.below(len(shape) - 1)
    start, step = d.below(shape[axis]), (1, 2, -1)[d.below(3)]
    chosen = range(shape[axis])[start::step]
    bounds = (start, len(range(shape[axis])) if step > 0 else -(1 << 40), axis, step)
    y = d.net.op("Slice", x, *(d.net.constant([n], np.int64) for n in bounds))
    return y, tuple(len(chosen) if a == axis else n for a, n in enumerate(shape))


def split(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """Two parts, put together the other way round; of a single value a layer."""
    axes = [a for a, n in enumerate(shape) if n > 1]
    if not axes:
        return dense(d, x, shape)
    axis = axes[d.below(len(axes))]
    first = 1 + d.below(shape[axis] - 1)
    sizes = d.net.constant([first, shape[axis] - first], np.int64)
    one, other = d.net.ops("Split", 2, x, sizes, axis=axis)
    return d.net.op("Concat", other, one, axis=axis), shape


def convolution(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    outputs, kernel = 1 + d.below(5), (1, 3)[d.below(2)]
    if len(shape) == 4:
        return d.net.conv(x, outputs, shape[1], kernel), (1, outputs, *shape[2:])
    w = d.net.normal(outputs, shape[1], kernel, scale=(shape[1] * kernel) ** -0.5)
    return d.net.op("Conv", x, w, d.net.normal(outputs), pads=[kernel // 2] * 2), (1, outputs, shape[2])


def transposed(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    outputs, axes = 1 + d.below(4), len(shape) - 2
    w = d.net.normal(shape[1], outputs, *[3] * axes, scale=(shape[1] * 3) ** -0.5)
    y = d.net.op("ConvTranspose", x, w, d.net.normal(outputs), strides=[2] * axes, pads=[1] * 2 * axes)
    return y, (1, outputs, *(2 * n - 1 for n in shape[2:]))


def enlarged(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    return resized(d, x, shape, "nearest")


def blended(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    """A linear Resize, between convolutions: a clamp behind it would change its scale, and onnxruntime moves
    transpositions from before it to behind it, where its own kernel refuses the axes then.
    """
    x, shape = convolution(d, x, shape)
    return convolution(d, *resized(d, x, shape, "linear"))


def resized(d: Drawer, x: str, shape: Shape, mode: str) -> tuple[str, Shape]:
    sizes = (1, shape[1], *(1 + d.below(2 * n) for n in shape[2:]))
    coordinates = ("half_pixel", "asymmetric", "align_corners")[d.below(3)]
    how = {"mode": mode, "coordinate_transformation_mode": coordinates}
    return d.net.op("Resize", x, "", "", d.net.constant(sizes, np.int64), **how), sizes


def depthwise(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    return d.net.conv(x, shape[1], shape[1], 3, group=shape[1]), shape


def pool(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    window = [min(2, n) for n in shape[2:]]
    sizes = [n - w + 1 for n, w in zip(shape[2:], window, strict=True)]
    return d.net.op(("MaxPool", "AveragePool")[d.below(2)], x, kernel_shape=window), (1, shape[1], *sizes)


def global_pool(d: Drawer, x: str, shape: Shape) -> tuple[str, Shape]:
    return d.net.op("GlobalAveragePool", x), (1, shape[1], *(1 for _ in shape[2:]))


ANYWHERE: tuple[Layer, ...] = (
    *(function, dense, branch, turned, flat, reversed_sizes, softmax, mean),
    *(cut, split, product, largest),
)
SPATIAL: tuple[Layer, ...] = (convolution, convolution, transposed, enlarged, pool, global_pool)
IMAGES: tuple[Layer, ...] = (depthwise, blended)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=12)
def test_a_drawn_network_follows_onnxruntime(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    drawer = Drawer(seed)
    content, shape = drawer.network()
    x = Samples(drawer.rng.normal(size=(SAMPLES, *shape)).astype(np.float32))
    config = QuantConfig(quantizer="onnx", scheme=("int8", "uint8")[seed % 2])
    model = quantize(content, config, x, cache=Cache(tmp_path_factory.mktemp("drawn")))
    assert compile_image(model.graph).arena_bytes > 0
    follows(model, x)


def _most_apart(graph: QuantGraph, index: int) -> int:
    """One step; behind a Softmax, whose own steps are 1/256, as many as one of these has."""
    makers = {op.outputs[0]: op for op in graph.operators}
    (op,) = (op for op in graph.operators if op.index == index)
    quantization = graph.output_of(op).quantization
    assert quantization is not None
    while op.kind in ("QUANTIZE", "TRANSPOSE", "RESHAPE") and op.inputs[0] in makers:
        op = makers[op.inputs[0]]
    return max(1, math.ceil(1 / 256 / float(quantization.scale[0]))) if op.kind == "SOFTMAX" else 1


def follows(model: QuantizedModel, x: Samples) -> None:
    """Each sample, operator by operator, as long as none has differed in it."""
    theirs, ours = OnnxruntimeRunner(), IntegerRunner()
    found, other = (runner.run(model, x, operators=True) for runner in (ours, theirs))
    equal = np.ones(SAMPLES, bool)
    for sample in range(SAMPLES):
        known = {record.index: record.crc32 for record in found.operators[sample]}
        for record in other.operators[sample]:
            if known[record.index] != record.crc32:
                inputs = [values[sample : sample + 1] for values in found.inputs]
                one, two = (r.tensor(model, inputs, record.index).astype(int) for r in (theirs, ours))
                assert 1 <= np.abs(one - two).max() <= _most_apart(model.graph, record.index), record
                equal[sample] = False
                break
    np.testing.assert_array_equal(other.outputs[0][equal], found.outputs[0][equal])
