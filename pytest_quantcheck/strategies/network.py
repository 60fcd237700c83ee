"""A network being drawn, operator by operator, with the values that break kernels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st

from pytest_quantcheck.formats.tflite_writer import Pair, TfliteWriter, Value
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.strategies.case import ModelCase

MOST_JOINED = 10  # inputs of a CONCATENATION or PACK in TFLM
DTYPES = ("int8", "int16")
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
_FINEST = 2.0**-28  # scale: 6, the bound of RELU6, is less than 2**31 steps of it


def known_dtype(dtype: str | None) -> str | None:
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype={dtype!r} is not known; allowed: {', '.join(DTYPES)}")
    return dtype


class Network:
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

    def squared_difference(self, a: Value, b: Value) -> Value:
        """Up to and beyond the largest square."""
        largest = (max(a.scale, b.scale) * 2.0**self.bits) ** 2
        scale = max(largest * 2.0 ** (self.integer(-6, 2) - self.bits) * self.choice((1.0, 0.77)), _FINEST)
        return self.writer.add(a, b, scale=scale, zero_point=self.zero_point(), kind="SQUARED_DIFFERENCE")

    def function(self, kind: str, x: Value, **options: bool) -> Value:
        """A function of one value that grows like the value itself."""
        scale = max(x.scale * 2.0 ** self.integer(-6, 4) * self.choice((1.0, 0.77)), _FINEST)
        return self.writer.function(kind, x, scale=scale, zero_point=self.zero_point(), **options)

    def hard_swish(self, x: Value) -> Value:
        return self.function("HARD_SWISH", x)

    def gelu(self, x: Value) -> Value:
        return self.function("GELU", x, Approximate=self.draw(st.booleans()))

    def exponential(self, x: Value) -> Value:
        """With a scale that has nothing to do with the input's."""
        scale = 2.0 ** self.integer(-20, 20) * self.choice((1.0, 0.77))
        return self.writer.function("EXP", x, scale=scale, zero_point=self.zero_point())

    def logarithm(self, x: Value) -> Value:
        scale = 2.0 ** self.integer(-9, 2) * self.choice((1.0, 0.77))
        return self.writer.function("LOG", x, scale=scale, zero_point=self.zero_point())

    def abs(self, x: Value) -> Value:
        scale = x.scale * self.choice((1.0, 1.0, 0.5, 0.77, 3.1))
        return self.writer.function("ABS", x, scale=scale, zero_point=self.zero_point())

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

    def reduce_extreme(self, kind: str, x: Value) -> Value:
        """Over any axes, neighbours or not."""
        axes = self.choice((self._axes(x), (1, 3), (0, -2), (3, 1, 0)))
        return self.writer.reduce_extreme(kind, x, axes, keep=self.draw(st.booleans()))

    def _axes(self, x: Value) -> tuple[int, ...]:
        return self.choice(((1, 2), (1,), (2,), (-1,), (2, 1), (1, 2, 3))) if len(x.shape) == 4 else (1,)

    def mirror_pad(self, x: Value) -> Value:
        """Along any axes, up to all that there is to mirror."""
        symmetric = self.draw(st.booleans())
        most = [n - 1 + symmetric if self.draw(st.booleans()) else 0 for n in x.shape]
        pairs = [[self.integer(0, n), self.integer(0, n)] for n in most]
        shape = [n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True)]
        return self.writer.moved("MIRROR_PAD", x, shape, pairs, Mode=int(symmetric))

    def tile(self, x: Value) -> Value:
        times = [self.choice((1, 1, 2, 3)) for _ in x.shape]
        return self.writer.moved("TILE", x, [n * t for n, t in zip(x.shape, times, strict=True)], times)

    def gather_nd(self, x: Value) -> Value:
        """Of one to all axes, with indices of one or two axes in front."""
        depth, front = self.integer(1, len(x.shape)), [self.integer(1, 4) for _ in range(self.integer(1, 2))]
        front = front[: 4 - len(x.shape) + depth] or [1]
        indices = [self.rng.integers(0, n, front) for n in x.shape[:depth]]
        return self.writer.moved("GATHER_ND", x, (*front, *x.shape[depth:]), np.stack(indices, axis=-1))

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
        """Forwards and backwards, with and without stated ends, and single elements."""
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

    def gather(self, x: Value) -> Value:
        """One position, the same one several times, some at regular distances in either direction, or any."""
        axis = self.integer(0, len(x.shape) - 1)
        size = x.shape[axis]
        first, last, step = self.integer(0, size - 1), self.integer(0, size - 1), self.integer(1, 3)
        many = [first] * 3 if first == last else list(range(first, last, step if last > first else -step))
        if self.draw(st.booleans()):
            many = self.rng.integers(0, size, self.integer(1, 6)).tolist()
        indices = first if self.draw(st.booleans()) and len(x.shape) > 1 else many
        return self.writer.gather(x, indices, axis - len(x.shape) * self.integer(0, 1))

    def reverse(self, x: Value) -> Value:
        """Neighbouring axes, in any order."""
        first = self.integer(0, len(x.shape) - 1)
        axes = list(range(first, self.integer(first, len(x.shape) - 1) + 1))
        return self.writer.reverse(x, self.draw(st.permutations(axes)))

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
