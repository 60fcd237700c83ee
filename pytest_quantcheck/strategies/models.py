"""Hypothesis strategies for quantized models: one operator at a time, and small connected networks.

They draw ``.tflite`` files, built in milliseconds without TensorFlow, with the values that break
kernels: extreme zero points, multipliers above and below 1, dilations, strides above the kernel, single
cells, accumulators near the 32-bit limit. With a failing example Hypothesis prints the lines that build it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import note
from hypothesis import strategies as st

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.formats.tflite_writer import Pair, TfliteWriter, Value

Array = npt.NDArray[Any]

_MOST_ELEMENTS = 1 << 26
_MOST_JOINED = 10  # inputs of a CONCATENATION or PACK in TFLM
DTYPES = ("int8", "int16")
_INT8_ONLY = (
    *("PRELU", "HARD_SWISH", "LEAKY_RELU"),
    *("RESIZE_BILINEAR", "TRANSPOSE_CONV", "REDUCE_MAX", "ABS", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
)
_FINEST = 2.0**-28  # scale: 6, the bound of RELU6, is less than 2**31 steps of it
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A drawn model: ``kinds`` are its operators, ``artefact`` the ``.tflite`` file.

    ``source`` builds it again: lines of Python to paste into a test.
    """

    kinds: tuple[str, ...]
    artefact: bytes
    source: str = ""

    def raw_inputs(self, samples: int, seed: int = 0) -> tuple[Array, ...]:
        """``samples`` raw inputs for each input of the model, its extremes among them."""
        return raw_inputs(self.artefact, samples, seed)

    def __repr__(self) -> str:
        shapes = [t.shape for t in read_tflite_summary(self.artefact).input_tensors]
        return f"ModelCase({' '.join(self.kinds)} on {shapes}, {len(self.artefact)} bytes)"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What Hypothesis prints, which would be every byte of the file."""
        printer.text(repr(self))


def raw_inputs(artefact: bytes, samples: int, seed: int = 0) -> tuple[Array, ...]:
    """Inputs (samples, ...) in the model's own dtypes, reproducible.

    The first two samples of an integer input are its smallest and largest value throughout; float
    inputs are normal with a spread of 3. ``ModelError`` for a model whose inputs have no usable size.
    """
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    for tensor in read_tflite_summary(artefact).input_tensors:
        own = tensor.shape
        if min(own, default=1) < 1 or tensor.elements * samples > _MOST_ELEMENTS:
            raise ModelError(f"input {tensor.name!r} has shape {own}: {samples} samples of it are not drawn")
        shape = (samples, *(own[1:] if len(own) > 1 and own[0] == 1 else own))
        if tensor.dtype == "float32":
            arrays.append(rng.normal(0, 3, shape).astype(np.float32))
            continue
        info = np.iinfo(tensor.dtype)
        values = rng.integers(info.min, info.max, shape, endpoint=True)
        values[:1], values[1:2] = info.min, info.max
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)


def layers(kind: str | None = None, dtype: str | None = None) -> st.SearchStrategy[ModelCase]:
    """Models of one operator, of one ``kind`` or of any; ``LAYER_KINDS`` lists them.

    ``dtype`` is the type of their activations, ``"int8"`` or ``"int16"``; without it both occur, where the
    kind has both (``layer_dtypes``).
    """
    if kind is None:
        kinds = [each for each in LAYER_KINDS if dtype is None or dtype in layer_dtypes(each)]
        return st.sampled_from(kinds).flatmap(lambda drawn: layers(drawn, dtype))
    if kind not in _LAYERS:
        raise ValueError(f"kind={kind!r} is not known; allowed: {', '.join(LAYER_KINDS)}")
    allowed = layer_dtypes(kind)
    if _known_dtype(dtype) not in (None, *allowed):
        raise ValueError(f"{kind} has no dtype={dtype!r}; allowed: {', '.join(allowed)}")
    return _one_layer(kind, dtype or (allowed[0] if len(allowed) == 1 else None))


def _known_dtype(dtype: str | None) -> str | None:
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype={dtype!r} is not known; allowed: {', '.join(DTYPES)}")
    return dtype


@st.composite
def _one_layer(draw: st.DrawFn, kind: str, dtype: str | None) -> ModelCase:
    net = _Net(draw, dtype)
    inputs, output = _LAYERS[kind](net)
    return net.case((kind,), inputs, output if isinstance(output, list) else [output])


def small_models(dtype: str | None = None) -> st.SearchStrategy[ModelCase]:
    """Connected networks, most of 2 to 10 operators, with residual additions and concatenations.

    ``dtype`` is the type of their activations, ``"int8"`` or ``"int16"``; without it both occur. Input
    and output are int8, uint8 or float32 around int8, and int16 or float32 around int16.
    """
    return _small_model(_known_dtype(dtype))


@st.composite
def _small_model(draw: st.DrawFn, dtype: str | None) -> ModelCase:
    net = _Net(draw, dtype)
    source, x = net.edge_input(net.shape4())
    seen = [x]
    for step in draw(st.lists(st.sampled_from(_STEPS), min_size=1, max_size=5)):
        x = step(net, seen)
        seen.append(x)
    if draw(st.booleans()):
        x = net.mean(x, keep=False) if draw(st.booleans()) else x
        x = net.writer.softmax(net.fully_connected(x))
    output = net.edge_output(x)
    return net.case(net.writer.kinds, [source], [output])


class _Net:
    """A network being drawn: sizes and scales come from Hypothesis, bulk values from a drawn seed."""

    def __init__(self, draw: st.DrawFn, dtype: str | None = None) -> None:
        self.draw = draw
        self.dtype = dtype or draw(st.sampled_from(DTYPES))
        self.writer = TfliteWriter()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))

    def case(self, kinds: tuple[str, ...], inputs: Sequence[Value], outputs: Sequence[Value]) -> ModelCase:
        """The network as it is now; Hypothesis prints the lines that build it where it fails."""
        source = "\n".join(
            [
                "from pytest_quantcheck.formats.tflite_writer import TfliteWriter",
                "from pytest_quantcheck.strategies import ModelCase",
                "",
                self.writer.source(inputs, outputs),
                f"case = ModelCase({kinds!r}, artefact)",
            ]
        )
        note(f"The model is built again by\n\n{source}\n")
        return ModelCase(kinds, self.writer.finish(inputs, outputs), source)

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def choice(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def shape4(self) -> tuple[int, ...]:
        return (1, self.integer(1, 9), self.integer(1, 9), self.integer(1, 6))

    @property
    def bits(self) -> int:
        return 8 if self.dtype == "int8" else 16

    def zero_point(self) -> int:
        """Any int8; int16 is symmetric."""
        if self.dtype == "int16":
            return 0
        return int(self.draw(st.one_of(st.sampled_from((-128, 0, 127, -1)), st.integers(-128, 127))))

    def scale(self) -> float:
        """A positive scale; mantissas with many bits and exact powers of two."""
        exponent = self.integer(-8, 1)
        return math.ldexp(self.choice((1.0, 1.0 + 2**-23, 1.2345678, 1.9999999)), exponent)

    def source(self, shape: Sequence[int]) -> Value:
        scale, zero_point = self.scale(), self.zero_point()
        return self.writer.tensor(shape, self.dtype, scale=scale, zero_point=zero_point, name="input")

    def edge_input(self, shape: Sequence[int]) -> tuple[Value, Value]:
        """The model's input and the tensor that the network sees."""
        dtype = self.choice(self.edges)
        if dtype == self.dtype:
            x = self.source(shape)
            return x, x
        scale, zero_point = self.scale(), self.zero_point()
        if dtype == "float32":
            source = self.writer.tensor(shape, "float32", name="input")
        else:
            source = self.writer.tensor(shape, "uint8", scale=scale, zero_point=zero_point + 128)
        return source, self.writer.quantize(source, scale=scale, zero_point=zero_point, dtype=self.dtype)

    @property
    def edges(self) -> tuple[str, ...]:
        """The types that a model's inputs and outputs may have."""
        return ("int8", "uint8", "float32") if self.dtype == "int8" else ("int16", "float32")

    def edge_output(self, x: Value) -> Value:
        dtype = self.choice(self.edges)
        if dtype == "float32":
            return self.writer.dequantize(x)
        if dtype == "uint8":
            return self.writer.quantize(x, scale=x.scale, zero_point=x.zero_point + 128, dtype="uint8")
        return x

    def weights(self, shape: Sequence[int]) -> Array:
        """int8 weights: random, all extreme, or sparse."""
        style = self.choice(("random", "extreme", "sparse"))
        values = self.rng.integers(-127, 127, tuple(shape), endpoint=True)
        if style == "extreme":
            values = np.where(values < 0, -127, 127)
        if style == "sparse":
            values = np.where(self.rng.random(tuple(shape)) < 0.8, 0, values)
        return values.astype(np.int8)

    def bias(self, channels: int, depthwise: bool = False, dense: bool = False) -> Array:
        """int32 biases, up to where accumulators come near the 32-bit limit; int64 ones far beyond.

        Next to int16 activations only CONV_2D takes int32.
        """
        wide = self.dtype == "int16" and (depthwise or dense or self.draw(st.booleans()))
        limit = self.choice((0, 2000, 2**20, 2**40) if wide else (0, 2000, 2**30))
        values = self.rng.integers(-limit, limit, channels, endpoint=True)
        return values.astype(np.int64 if wide else np.int32)

    def output_scales(
        self, x: Value, channels: int, depth: int, per_channel: bool = True
    ) -> tuple[float | Array, float]:
        """Weight scale(s) and an output scale that spreads the accumulators over the type's range.

        The ratio is off by up to 2**6 either way, so that shifts of both signs and saturation occur.
        """
        weight_scale = math.ldexp(1.1, self.integer(-10, 0))
        spread = 74 * 74 * math.sqrt(depth) / 64
        product = x.scale * weight_scale
        # not ever larger along a network, and within what 48-bit sums allow
        scale = max(min(product * spread, 64.0) * 2.0 ** self.integer(-6, 6), product / 64, _FINEST)
        if per_channel and self.draw(st.booleans()):
            return np.float32(weight_scale) * self.rng.uniform(0.05, 1, channels).astype(np.float32), scale
        return weight_scale, scale

    def small_constant(self, like: Value, scale: float, zero_point: int) -> Value:
        """A constant that broadcasts to ``like``."""
        shape = tuple(self.choice((1, n)) for n in like.shape[self.integer(0, 3) :])
        info = np.iinfo(self.dtype)
        data = self.rng.integers(info.min, info.max, shape, endpoint=True)
        return self.writer.tensor(shape, self.dtype, scale=scale, zero_point=zero_point, data=data)

    def window(self) -> dict[str, Any]:
        stride = (self.integer(1, 3), self.integer(1, 3))
        return {"stride": stride, "padding": self.choice(("SAME", "VALID"))}

    def kernel(self, x: Value, padding: str, dilation: Pair = (1, 1)) -> Pair:
        sizes = []
        for axis in (0, 1):
            room = x.shape[1 + axis] if padding == "VALID" else 5
            sizes.append(self.integer(1, max(1, min(4, (room - 1) // dilation[axis] + 1))))
        return sizes[0], sizes[1]

    def conv_2d(self, x: Value, depthwise: bool = False) -> Value:
        window = self.window()
        dilation = (self.integer(1, 3), self.integer(1, 3))
        kernel = self.kernel(x, window["padding"], dilation)
        channels = x.shape[3] * self.integer(1, 3) if depthwise else self.integer(1, 9)
        shape = (1, *kernel, channels) if depthwise else (channels, *kernel, x.shape[3])
        depth = kernel[0] * kernel[1] * (1 if depthwise else x.shape[3])
        weight_scale, scale = self.output_scales(x, channels, depth)
        return self.writer.conv_2d(
            x,
            self.weights(shape),
            self.bias(channels, depthwise=depthwise) if self.draw(st.booleans()) else None,
            weight_scale=weight_scale,
            scale=scale,
            zero_point=self.zero_point(),
            dilation=dilation,
            activation=self.choice(ACTIVATIONS),
            depthwise=depthwise,
            **window,
        )

    def transpose_conv(self, x: Value) -> Value:
        stride = (self.integer(1, 3), self.integer(1, 3))
        padding, channels = self.choice(("SAME", "VALID")), self.integer(1, 5)
        kernel = (self.integer(1, 4), self.integer(1, 4))
        size = []
        for n, k, s in zip(x.shape[1:3], kernel, stride, strict=True):
            # every size that a convolution with this window takes to the input's
            least = (n - 1) * s + (1 if padding == "SAME" else k)
            size.append(least + self.integer(0, s - 1))
        weight_scale, scale = self.output_scales(x, channels, kernel[0] * kernel[1] * x.shape[3])
        return self.writer.transpose_conv(
            x,
            self.weights((channels, *kernel, x.shape[3])),
            self.bias(channels) if self.draw(st.booleans()) else None,
            size=(size[0], size[1]),
            weight_scale=weight_scale,
            scale=scale,
            zero_point=self.zero_point(),
            stride=stride,
            padding=padding,
        )

    def resize(self, kind: str, x: Value) -> Value:
        size = (self.integer(1, 20), self.integer(1, 20))
        align = self.draw(st.booleans())
        centers = self.draw(st.booleans()) if kind == "RESIZE_NEAREST_NEIGHBOR" or not align else False
        return self.writer.resize(kind, x, size, align_corners=align, half_pixel_centers=centers)

    def fully_connected(self, x: Value) -> Value:
        depth = math.prod(x.shape[1:])
        channels = self.integer(1, 9)
        weight_scale, scale = self.output_scales(x, channels, depth)
        return self.writer.fully_connected(
            x,
            self.weights((channels, depth)),
            self.bias(channels, dense=True) if self.draw(st.booleans()) else None,
            weight_scale=weight_scale,
            scale=scale,
            zero_point=self.zero_point(),
            activation=self.choice(ACTIVATIONS),
        )

    def add(self, a: Value, b: Value, kind: str = "ADD") -> Value:
        return self.writer.add(
            a,
            b,
            scale=max(max(a.scale, b.scale) * 2.0 ** self.integer(-3, 3), _FINEST),
            zero_point=self.zero_point(),
            activation=self.choice(ACTIVATIONS),
            kind=kind,
        )

    def sub(self, a: Value, b: Value) -> Value:
        return self.add(a, b, "SUB")

    def prelu(self, x: Value, slope: Value) -> Value:
        scale = max(x.scale * max(1.0, slope.scale) * 2.0 ** self.integer(-4, 4), _FINEST)
        return self.writer.prelu(x, slope, scale=scale, zero_point=self.zero_point())

    def hard_swish(self, x: Value) -> Value:
        scale = max(x.scale * 2.0 ** self.integer(-6, 4) * self.choice((1.0, 0.77)), _FINEST)
        return self.writer.hard_swish(x, scale=scale, zero_point=self.zero_point())

    def abs(self, x: Value) -> Value:
        scale = x.scale * self.choice((1.0, 1.0, 0.5, 0.77, 3.1))
        return self.writer.abs(x, scale=scale, zero_point=self.zero_point())

    def leaky_relu(self, x: Value) -> Value:
        alpha, zero_point = self.choice((0.0, 0.01, 0.3, 1.0, 1.7)), self.zero_point()
        scale = max(x.scale * 2.0 ** self.integer(-4, 4) * self.choice((1.0, 0.77)), _FINEST)
        return self.writer.leaky_relu(x, alpha, scale=scale, zero_point=zero_point)

    def mul(self, a: Value, b: Value) -> Value:
        scale = max(
            min(a.scale * b.scale * 2.0 ** (self.bits - 1), 4.0) * 2.0 ** self.integer(-6, 3), _FINEST
        )
        activation = self.choice(ACTIVATIONS)
        return self.writer.mul(a, b, scale=scale, zero_point=self.zero_point(), activation=activation)

    def pool(self, kind: str, x: Value) -> Value:
        window = self.window()
        kernel = self.kernel(x, window["padding"])
        return self.writer.pool(kind, x, kernel, activation=self.choice(ACTIVATIONS), **window)

    def mean(self, x: Value, keep: bool) -> Value:
        axes = self._axes(x)
        scale = max(x.scale * 2.0 ** self.integer(-3, 2) * self.choice((1.0, 0.77)), _FINEST)
        return self.writer.mean(x, axes, keep=keep, scale=scale, zero_point=self.zero_point())

    def sum(self, x: Value) -> Value:
        axes, zero_point = self._axes(x), self.zero_point()
        scale = x.scale * 2.0 ** self.integer(-1, 5) * self.choice((1.0, 0.77))
        keep = self.draw(st.booleans())
        return self.writer.mean(x, axes, keep=keep, scale=scale, zero_point=zero_point, kind="SUM")

    def reduce_max(self, x: Value, keep: bool) -> Value:
        return self.writer.reduce_max(x, self._axes(x), keep=keep)

    def _axes(self, x: Value) -> tuple[int, ...]:
        return self.choice(((1, 2), (1,), (2,), (-1,), (2, 1), (1, 2, 3))) if len(x.shape) == 4 else (1,)

    def pad(self, x: Value, value: int | None) -> Value:
        sides = [(0, 0)] + [(self.integer(0, 2), self.integer(0, 3)) for _ in x.shape[1:]]
        return self.writer.pad(x, sides, value)

    def reshape(self, x: Value) -> Value:
        *_, height, width, channels = x.shape
        shapes = (
            (1, height * width, channels),
            (1, height * width * channels),
            (1, width, channels, height),
        )
        return self.writer.reshape(x, self.choice(shapes))

    def transpose(self, x: Value) -> Value:
        return self.writer.transpose(x, self.draw(st.permutations(range(len(x.shape)))))

    def strided_slice(self, x: Value, *, shrink: bool = True) -> Value:
        """Forwards and backwards, with open and closed ends, and single elements."""
        bounds: list[slice | int] = []
        for size in x.shape:
            chosen = range(size)[:: self.choice((1, 1, 2, -1, -2))]
            first = self.integer(0, len(chosen) - 1)
            chosen = chosen[first : self.integer(first, len(chosen) - 1) + 1]
            if shrink and self.integer(0, 3) == 0:
                bounds.append(chosen[0] - size * self.integer(0, 1))
                continue
            stop = chosen[-1] + (1 if chosen.step > 0 else -1)
            bounds.append(
                slice(chosen[0] - size * self.integer(0, 1), None if stop < 0 else stop, chosen.step)
            )
        return self.writer.strided_slice(x, bounds)

    def split(self, x: Value) -> list[Value]:
        axis = self.integer(0, len(x.shape) - 1)
        size = x.shape[axis]
        count = self.choice([n for n in range(1, size + 1) if size % n == 0])
        return self.writer.split(x, axis - len(x.shape) * self.integer(0, 1), count)

    def slice(self, x: Value) -> Value:
        begin = [self.integer(0, n - 1) for n in x.shape]
        size = [self.choice((-1, self.integer(1, n - b))) for n, b in zip(x.shape, begin, strict=True)]
        return self.writer.slice(x, begin, size)

    def split_v(self, x: Value) -> list[Value]:
        axis = self.integer(0, len(x.shape) - 1)
        cuts = sorted({self.integer(0, x.shape[axis]) for _ in range(3)} | {0, x.shape[axis]})
        sizes = [after - before for before, after in itertools.pairwise(cuts)]
        if self.draw(st.booleans()):
            sizes[self.integer(0, len(sizes) - 1)] = -1
        return self.writer.split_v(x, axis, sizes)

    def unpack(self, x: Value) -> list[Value]:
        return self.writer.unpack(x, self.integer(-len(x.shape), len(x.shape) - 1))

    def expand_dims(self, x: Value) -> Value:
        flat = self.writer.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        return self.writer.renamed("EXPAND_DIMS", flat, [self.integer(-3, 2)])

    def squeeze(self, x: Value) -> Value:
        ones = [axis for axis, n in enumerate(x.shape) if n == 1 and self.draw(st.booleans())]
        return self.writer.renamed("SQUEEZE", x, ones or [0])

    def concatenation(self, values: Sequence[Value]) -> Value:
        """Values of other scales are requantized first, as the converter does."""
        first = values[0]
        equal = [
            value
            if (value.scale, value.zero_point) == (first.scale, first.zero_point)
            else self.writer.quantize(value, scale=first.scale, zero_point=first.zero_point, dtype=self.dtype)
            for value in values
        ]
        return self.writer.concatenation(equal, self.choice((-1, len(first.shape) - 1)))

    def relu(self, x: Value) -> Value:
        scale = max(x.scale * 2.0 ** self.integer(-2, 2), _FINEST)
        return self.writer.relu(x, scale=scale, zero_point=self.zero_point())

    def requantize(self, x: Value) -> Value:
        scale = x.scale * self.choice((1.0, 0.37, 1.9, 6.5, 2.0**-5))
        return self.writer.quantize(x, scale=scale, zero_point=self.zero_point(), dtype=self.dtype)

    def other_type(self, x: Value) -> Value:
        """Between int8 and int16."""
        self.dtype = "int16" if self.dtype == "int8" else "int8"
        scale = x.scale * self.choice((1.0, 0.37, 1.9, 2.0**-8, 2.0**8))
        return self.writer.quantize(x, scale=scale, zero_point=self.zero_point(), dtype=self.dtype)

    def requantize_to(self, x: Value, scale: float) -> Value:
        return self.writer.quantize(x, scale=scale, zero_point=self.zero_point(), dtype=self.dtype)

    def sigmoid(self, x: Value) -> Value:
        return self.choice((self.writer.logistic, self.writer.tanh))(x)  # type: ignore[no-any-return]


_Built = TypeVar("_Built", Value, list[Value])


def _unary(build: Callable[[_Net, Value], _Built]) -> Callable[[_Net], tuple[list[Value], _Built]]:
    def make(net: _Net) -> tuple[list[Value], _Built]:
        x = net.source(net.shape4())
        return [x], build(net, x)

    return make


def _binary(
    combine: Callable[[_Net, Value, Value], Value],
) -> Callable[[_Net], tuple[list[Value], Value]]:
    """Two inputs, or one and a constant that broadcasts."""

    def make(net: _Net) -> tuple[list[Value], Value]:
        a = net.source(net.shape4())
        if net.draw(st.booleans()):
            b = net.source(a.shape)
            return [a, b], combine(net, a, b)
        b = net.small_constant(a, net.scale(), net.zero_point())
        return [a], combine(net, a, b) if net.draw(st.booleans()) else combine(net, b, a)

    return make


def _extremum_layer(kind: str) -> Callable[[_Net], tuple[list[Value], Value]]:
    """Two inputs with one scale, or one and a constant that broadcasts."""

    def make(net: _Net) -> tuple[list[Value], Value]:
        a = net.source(net.shape4())
        if net.draw(st.booleans()):
            b = net.writer.tensor(a.shape, net.dtype, scale=a.scale, zero_point=a.zero_point)
            return [a, b], net.writer.extremum(kind, a, b)
        b = net.small_constant(a, a.scale, a.zero_point)
        return [a], net.writer.extremum(kind, *((a, b) if net.draw(st.booleans()) else (b, a)))

    return make


def _blocks_layer(kind: str) -> Callable[[_Net], tuple[list[Value], Value]]:
    def make(net: _Net) -> tuple[list[Value], Value]:
        n, height, width, channels = net.shape4()
        block = net.integer(1, 3)
        if kind == "DEPTH_TO_SPACE":
            x = net.source((n, height, width, channels * block * block))
        else:
            x = net.source((n, height * block, width * block, channels))
        return [x], net.writer.blocks(kind, x, block)

    return make


def _prelu_layer(net: _Net) -> tuple[list[Value], Value]:
    x = net.source(net.shape4())
    return [x], net.prelu(x, net.small_constant(x, net.scale(), net.zero_point()))


def _matmul_layer(net: _Net) -> tuple[list[Value], Value]:
    """Two inputs, or one and constant weights; batches of one side may be absent or 1."""
    rows, depth, columns = (net.integer(1, 7) for _ in range(3))
    adj_x, adj_y = net.draw(st.booleans()), net.draw(st.booleans())
    batch = (1, *(net.integer(1, 3) for _ in range(net.integer(0, 1))))
    shapes = [
        (*batch, *((depth, rows) if adj_x else (rows, depth))),
        (
            *(net.choice((1, n)) for n in batch[net.integer(0, len(batch)) :]),
            *((columns, depth) if adj_y else (depth, columns)),
        ),
    ]
    a = net.source(shapes[0])
    given = [a]
    if len(shapes[1]) > 2 and net.draw(st.booleans()):
        b = net.source(shapes[1])
        given.append(b)
    else:
        info = np.iinfo(net.dtype)
        data = net.rng.integers(info.min, info.max, shapes[1], endpoint=True)
        b = net.writer.tensor(shapes[1], net.dtype, scale=net.scale(), zero_point=net.zero_point(), data=data)
    spread = 0.334 * math.sqrt(depth) * 2.0 ** (net.bits + net.integer(-6, 6))
    how: dict[str, Any] = {"scale": a.scale * b.scale * spread, "zero_point": net.zero_point()}
    return given, net.writer.batch_matmul(a, b, adj_x=adj_x, adj_y=adj_y, **how)


def _concatenation_layer(net: _Net) -> tuple[list[Value], Value]:
    first = net.source(net.shape4())
    axis = net.integer(0, 3)
    values = [first]
    for _ in range(net.integer(0, 2)):
        shape = [net.integer(1, 5) if i == axis else n for i, n in enumerate(first.shape)]
        values.append(net.writer.tensor(shape, net.dtype, scale=first.scale, zero_point=first.zero_point))
    return values, net.writer.concatenation(values, axis - 4 if net.draw(st.booleans()) else axis)


def _pack_layer(net: _Net) -> tuple[list[Value], Value]:
    first = net.source(net.shape4()[net.integer(1, 3) :])
    values = [first]
    for _ in range(net.integer(0, 3)):
        values.append(
            net.writer.tensor(first.shape, net.dtype, scale=first.scale, zero_point=first.zero_point)
        )
    rank = len(first.shape) + 1
    return values, net.writer.pack(values, net.integer(-rank, rank - 1))


def _softmax_layer(net: _Net) -> tuple[list[Value], Value]:
    shape = (*net.shape4()[: net.integer(0, 3)], net.integer(1, 40))
    x = net.source(shape if len(shape) > 1 else (1, *shape))
    beta, dtype = net.choice((1.0, 0.3, 2.5)), net.choice((net.dtype, "int16"))
    return [x], net.writer.softmax(x, beta, dtype)


def _quantize_layer(net: _Net) -> tuple[list[Value], Value]:
    source, x = net.edge_input(net.shape4())
    if x is source:
        x = net.requantize(x) if net.draw(st.booleans()) else net.other_type(x)
    return [source], x


def _sigmoid_layer(kind: str) -> Callable[[_Net], tuple[list[Value], Value]]:
    """Input scales from fine to coarse; for int16 exact powers of two take a path of their own."""

    def make(net: _Net) -> tuple[list[Value], Value]:
        exponent = net.integer(-8, 2) if net.dtype == "int8" else net.integer(-15, 0)
        scale = math.ldexp(net.choice((1.0, 1.2345678, 1.9999999)), exponent)
        shape, zero_point = net.shape4(), net.zero_point()
        x = net.writer.tensor(shape, net.dtype, scale=scale, zero_point=zero_point, name="input")
        return [x], getattr(net.writer, kind.lower())(x)

    return make


def _dequantize_layer(net: _Net) -> tuple[list[Value], Value]:
    x = net.source(net.shape4())
    return [x], net.writer.dequantize(x)


_LAYERS: dict[str, Callable[[_Net], tuple[list[Value], Value | list[Value]]]] = {
    "CONV_2D": _unary(lambda net, x: net.conv_2d(x)),
    "DEPTHWISE_CONV_2D": _unary(lambda net, x: net.conv_2d(x, depthwise=True)),
    "TRANSPOSE_CONV": _unary(_Net.transpose_conv),
    "FULLY_CONNECTED": _unary(lambda net, x: net.fully_connected(x)),
    "BATCH_MATMUL": _matmul_layer,
    "ADD": _binary(_Net.add),
    "SUB": _binary(_Net.sub),
    "MUL": _binary(_Net.mul),
    "MINIMUM": _extremum_layer("MINIMUM"),
    "MAXIMUM": _extremum_layer("MAXIMUM"),
    "PRELU": _prelu_layer,
    "AVERAGE_POOL_2D": _unary(lambda net, x: net.pool("AVERAGE_POOL_2D", x)),
    "MAX_POOL_2D": _unary(lambda net, x: net.pool("MAX_POOL_2D", x)),
    "MEAN": _unary(lambda net, x: net.mean(x, keep=net.draw(st.booleans()))),
    "SUM": _unary(_Net.sum),
    "REDUCE_MAX": _unary(lambda net, x: net.reduce_max(x, keep=net.draw(st.booleans()))),
    "PAD": _unary(lambda net, x: net.pad(x, None)),
    "PADV2": _unary(lambda net, x: net.pad(x, net.integer(-(2 ** (net.bits - 1)), 2 ** (net.bits - 1) - 1))),
    "RESHAPE": _unary(lambda net, x: net.reshape(x)),
    "SQUEEZE": _unary(_Net.squeeze),
    "EXPAND_DIMS": _unary(_Net.expand_dims),
    "TRANSPOSE": _unary(_Net.transpose),
    "STRIDED_SLICE": _unary(_Net.strided_slice),
    "SPLIT": _unary(_Net.split),
    "SPLIT_V": _unary(_Net.split_v),
    "SLICE": _unary(_Net.slice),
    "DEPTH_TO_SPACE": _blocks_layer("DEPTH_TO_SPACE"),
    "SPACE_TO_DEPTH": _blocks_layer("SPACE_TO_DEPTH"),
    "UNPACK": _unary(_Net.unpack),
    "PACK": _pack_layer,
    "CONCATENATION": _concatenation_layer,
    "RESIZE_NEAREST_NEIGHBOR": _unary(lambda net, x: net.resize("RESIZE_NEAREST_NEIGHBOR", x)),
    "RESIZE_BILINEAR": _unary(lambda net, x: net.resize("RESIZE_BILINEAR", x)),
    "SOFTMAX": _softmax_layer,
    "LOGISTIC": _sigmoid_layer("LOGISTIC"),
    "TANH": _sigmoid_layer("TANH"),
    "ABS": _unary(_Net.abs),
    "HARD_SWISH": _unary(_Net.hard_swish),
    "LEAKY_RELU": _unary(_Net.leaky_relu),
    "RELU": _unary(lambda net, x: net.relu(x)),
    "RELU6": _unary(lambda net, x: net.writer.relu6(x)),
    "QUANTIZE": _quantize_layer,
    "DEQUANTIZE": _dequantize_layer,
}

LAYER_KINDS = tuple(_LAYERS)


def layer_dtypes(kind: str) -> tuple[str, ...]:
    """The types of activations that TFLM has a ``kind`` for and this project, too."""
    return DTYPES[:1] if kind in _INT8_ONLY else DTYPES


def _residual(net: _Net, seen: Sequence[Value]) -> Value:
    """Add an earlier value of its shape to the newest one, or subtract it; itself where there is none."""
    earlier = net.choice([x for x in seen if x.shape == seen[-1].shape])
    return net.add(seen[-1], earlier, net.choice(("ADD", "SUB")))


def _scaled(net: _Net, seen: Sequence[Value]) -> Value:
    """Multiply the newest value by an earlier one of its shape; by itself where there is none."""
    return net.mul(seen[-1], net.choice([x for x in seen if x.shape == seen[-1].shape]))


def _squashed(net: _Net, seen: Sequence[Value]) -> Value:
    """LOGISTIC or TANH; int16 scales above 2 do not fit their arithmetic."""
    x = seen[-1] if seen[-1].scale < 2 else net.requantize_to(seen[-1], 1.5)
    return net.sigmoid(x)


def _joined(net: _Net, seen: Sequence[Value]) -> Value:
    """Concatenate the newest value and one that differs in channels only."""
    fits = [x for x in seen if x.shape[:3] == seen[-1].shape[:3]]
    return net.concatenation([seen[-1], net.choice(fits)])


def _slopes(net: _Net, seen: Sequence[Value]) -> Value:
    """PRELU, LEAKY_RELU or HARD_SWISH where int8 is, else RELU."""
    x = seen[-1]
    if net.dtype != "int8":
        return net.relu(x)
    if net.draw(st.booleans()):
        return net.prelu(x, net.small_constant(x, net.scale(), net.zero_point()))
    return net.choice((net.hard_swish, net.leaky_relu))(x)  # type: ignore[no-any-return]


def _extremes(net: _Net, seen: Sequence[Value]) -> Value:
    """MINIMUM or MAXIMUM of the newest value and a constant."""
    x = seen[-1]
    constant = net.small_constant(x, x.scale, x.zero_point)
    return net.writer.extremum(net.choice(("MINIMUM", "MAXIMUM")), x, constant)


def _moved(net: _Net, seen: Sequence[Value]) -> Value:
    """Axes in another order, a part of the newest value, or its parts in another order."""
    x = seen[-1]
    way = net.choice(("TRANSPOSE", "STRIDED_SLICE", "SPLIT", "UNPACK"))
    axes = [axis for axis in range(4) if x.shape[axis] <= _MOST_JOINED]
    if way == "TRANSPOSE":
        return net.transpose(x)
    if way == "STRIDED_SLICE":
        return net.strided_slice(x, shrink=False)
    if way == "SPLIT":
        axis = net.choice(axes)
        return net.writer.concatenation(net.writer.split(x, axis, x.shape[axis])[::-1], axis)
    axis = net.choice(axes)
    return net.writer.pack(net.writer.unpack(x, axis)[::-1], axis)


def _enlarged(net: _Net, seen: Sequence[Value]) -> Value:
    """The newest value in another size; without much growth along a network."""
    x = seen[-1]
    if net.dtype != "int8" or x.shape[1] * x.shape[2] > 100:
        return net.writer.resize("RESIZE_NEAREST_NEIGHBOR", x, (net.integer(1, 9), net.integer(1, 9)))
    if net.draw(st.booleans()):
        return net.transpose_conv(x)
    return net.writer.resize("RESIZE_BILINEAR", x, (net.integer(1, 9), net.integer(1, 9)))


_STEPS: tuple[Callable[[_Net, Sequence[Value]], Value], ...] = (
    lambda net, seen: net.conv_2d(seen[-1]),
    lambda net, seen: net.conv_2d(seen[-1], depthwise=True),
    _residual,
    _scaled,
    _squashed,
    _joined,
    lambda net, seen: net.pool(net.choice(("AVERAGE_POOL_2D", "MAX_POOL_2D")), seen[-1]),
    lambda net, seen: net.pad(seen[-1], None),
    lambda net, seen: net.relu(seen[-1]),
    lambda net, seen: net.writer.relu6(seen[-1]),
    _slopes,
    _extremes,
    _moved,
    _enlarged,
)
