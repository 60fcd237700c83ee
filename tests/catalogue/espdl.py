"""Faults of the field with scales that are powers of two: exponents, shifts, rounding, layouts, widths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from conformance_models.onnx_nets import Net
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.graph.model import Operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.espdl.convert import quantize_espdl
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.verdict.locate import locate
from tests.catalogue.device import Device, operators, with_constant, with_params
from tests.catalogue.integers import shuffled
from tests.catalogue.variant import CLEAN, FOREIGN, Found, Variant, judge

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
COUNT = 12
LARGE = 400.0
"""Samples of such a size have an exponent above 0 in int8."""

Build = tuple[str, str]
"""Scheme and target."""
BUILDS: tuple[Build, ...] = (("int8", "esp32c3"), ("int16", "esp32s3"), ("int8", "esp32p4"))
Make = Callable[[QuantizedModel, Operator, np.random.Generator], Device]


@lru_cache
def samples(seed: int, size: float = 1.0, count: int = COUNT) -> Samples:
    rng = np.random.default_rng(700 + seed)
    x = rng.normal(0, size, (count, 3, 9, 8)).astype(np.float32)
    return Samples(x, None, [f"sample-{i:02d}" for i in range(count)])


def network(seed: int, size: float) -> bytes:
    """NCHW (3, 9, 8): convolutions, depthwise too, with more channels than a block has; a dense layer."""
    net = Net(seed)
    x = net.input("image", 1, 3, 9, 8)
    a = net.op(
        "Conv",
        x,
        net.normal(20, 3, 3, 3, scale=0.27 / size),
        net.normal(20, scale=0.3),
        pads=[1] * 4,
        strides=[2, 2],
    )
    b = net.conv(net.op("Relu", a), 20, 20, group=20)
    c = net.op("Conv", b, net.normal(18, 20, 3, 3, scale=0.1), net.normal(18, scale=0.3), pads=[1] * 4)
    flat = net.op("Flatten", net.op("GlobalAveragePool", net.op("Add", c, net.normal(1, 18, 1, 1))))
    y = net.op("Gemm", flat, net.normal(18, 20, scale=0.4), net.normal(20, scale=0.3))
    return net.model({y: (1, 20)})


@lru_cache
def quantized(seed: int, scheme: str, target: str, size: float = 1.0) -> QuantizedModel:
    granularity = "per_channel" if target == "esp32p4" else "per_tensor"
    config = QuantConfig(
        quantizer="espdl", scheme=scheme, granularity=granularity, options={"target": target}
    )
    calibration = [np.asarray(samples(seed, size).inputs[0])]
    content = quantize_espdl(network(seed, size), calibration, config=config.to_dict(), name="net")
    return QuantizedModel(f"{scheme}-{target}-{seed}", content)


def _judge(seed: int, build: Build, size: float, kinds: tuple[str, ...], make: Make) -> Found:
    model = quantized(seed, *build, size)
    rng = np.random.default_rng([seed, sum(map(ord, build[1]))])
    devices = (make(model, op, rng) for op in shuffled(operators(model, *kinds), seed))
    return judge(model, samples(seed, size), devices)


def _each(
    code: str,
    make: Make,
    note: str,
    kinds: tuple[str, ...] = (),
    builds: Sequence[Build] = BUILDS,
    size: float = 1.0,
) -> Iterator[Variant]:
    """Three variants: one for each build, or as many seeds of a single one."""
    for seed in range(3):
        build = builds[seed % len(builds)]
        name = f"{'-'.join(build)} {seed}, {note}"
        yield Variant(code, name, partial(_judge, seed, build, size, kinds, make))


def _exponent(model: QuantizedModel, tensor: int) -> Array:
    quantization = model.graph.tensors[tensor].quantization
    assert quantization is not None
    return np.log2(quantization.scale).astype(np.int64)


def _shifted(step: Callable[[QuantizedModel, Operator], Any]) -> Make:
    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        moved = step(model, op)
        return Device(graph=with_params(op.index, requantize=lambda r: replace(r, shift=r.shift + moved)))

    return make


def exponents() -> Iterator[Variant]:
    negative = _shifted(lambda model, op: -2 * op.params.requantize.shift)
    yield from _each("exponent_sign", negative, "shift", WEIGHTED)
    output = _shifted(lambda model, op: 2 * _exponent(model, op.outputs[0]))
    yield from _each("exponent_sign", output, "output", WEIGHTED)
    filters = _shifted(lambda model, op: -2 * _exponent(model, op.inputs[1]))
    yield from _each("exponent_sign", filters, "filter", WEIGHTED)
    yield from _each("exponent_sign", _input(lambda x, e: np.rint(x * 2.0**e)), "input")
    lost = _shifted(lambda model, op: -_exponent(model, op.inputs[1]))
    yield from _each("scale_power_of_two", lost, "filter's exponent left out", WEIGHTED)

    def modulo(x: Array, e: int) -> Array:
        return np.trunc(x * np.array(1 << (-e % 32), np.uint32).astype(np.int32))

    above = (("int8", "esp32c3"), ("int8", "esp32p4"), ("int8", "esp32s3"))
    yield from _each("exponent_shift", _input(modulo), "modulo 32", builds=above, size=LARGE)
    yield from _each("exponent_shift", _input(lambda x, e: 0 * x), "0", builds=above, size=LARGE)


def _input(steps: Callable[[Array, int], Array]) -> Make:
    """Floats to integers in another way, saturated."""

    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        index = model.graph.inputs[0]
        exponent = int(_exponent(model, index)[0])
        limits = np.iinfo(model.graph.tensors[index].dtype.name)

        def prepared(raw: Array, floats: Array | None, last: Array | None) -> Array:
            if floats is None:
                return raw
            return np.clip(steps(floats.astype(np.float64), exponent), limits.min, limits.max)

        return Device(prepared=prepared)

    return make


def inputs() -> Iterator[Variant]:
    yield from _each("input_not_quantized", _input(lambda x, e: np.trunc(x)), "a cast", size=30.0)
    yield from _each("input_truncated", _input(lambda x, e: np.trunc(x * 2.0**-e)), "towards zero")
    yield from _each("input_truncated", _input(lambda x, e: np.floor(x * 2.0**-e)), "down")
    orders: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("NHWC sent", lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape)),
        ("NCHW read as NHWC", lambda x: x.reshape(1, 9, 8, 3).transpose(0, 3, 1, 2)),
    )
    for note, order in orders:
        moved = lambda model, op, rng, order=order: Device(  # noqa: E731
            prepared=lambda raw, floats, last: order(raw)
        )
        yield from _each("input_layout", moved, note)


def vectors(builds: Sequence[Build] = BUILDS) -> Iterator[Variant]:
    never = lambda model, op, rng: Device(prepared=lambda raw, floats, last: np.zeros_like(raw))  # noqa: E731
    yield from _each("vector_old", never, "never written", builds=builds)
    yield from _each("vector_old", never, "never written, large samples", builds=builds, size=LARGE)


def roundings() -> Iterator[Variant]:
    def rule(name: str) -> Make:
        return lambda model, op, rng: Device(
            graph=with_params(op.index, requantize=lambda r: replace(r, rounding=name))
        )

    yield from _each("truncated_rounding", rule("floor"), "down", WEIGHTED)
    yield from _each("truncated_rounding", _cut, "towards zero", WEIGHTED, (BUILDS[0], BUILDS[2]))
    yield from _each("half_rounding", rule("half_even"), "even for up", WEIGHTED, (BUILDS[0],))
    yield from _each("half_rounding", rule("half_up"), "up for even", WEIGHTED, (BUILDS[2],))


def _cut(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    """C's division of the sums."""
    p = op.params
    weights, bias = (np.array(model.graph.tensors[i].data).astype(np.int64) for i in op.inputs[1:3])

    def run(values: tuple[Array, ...], right: Array) -> Array:
        x = values[0].astype(np.int64)
        if op.kind == "FULLY_CONNECTED":
            sums = x.reshape(-1, weights.shape[1]) @ weights.T
        else:
            sums = _window_sums(x, weights, p, right.shape)
        steps = np.trunc(np.ldexp((sums + bias).astype(np.float64), p.requantize.shift))
        return np.clip(steps, p.act_min, p.act_max).astype(right.dtype).reshape(right.shape)

    return Device(kernels={op.index: run})


def _window_sums(x: Array, weights: Array, p: Any, shape: tuple[int, ...]) -> Array:
    w = p.window
    padded = np.pad(x, ((0, 0), (w.pad_top, 9), (w.pad_left, 9), (0, 0)))
    sums = np.zeros(shape, np.int64)
    for _, oy, ox in np.ndindex(shape[:3]):
        top, left = oy * w.stride_h, ox * w.stride_w
        cells = padded[0, top : top + w.kernel_h, left : left + w.kernel_w]
        products = cells * weights
        sums[0, oy, ox] = products[0].sum(axis=(0, 1)) if p.depth_multiplier else products.sum(axis=(1, 2, 3))
    return sums


def layouts() -> Iterator[Variant]:
    yield from _each("weights_layout", _weights(_blocks), "blocks read plainly", ("CONV_2D",))
    depthwise = ("DEPTHWISE_CONV_2D",)
    yield from _each("weights_layout", _weights(_depthwise_blocks), "blocks of a depthwise filter", depthwise)
    yield from _each(
        "weights_layout", _weights(_from_blocks), "read in blocks", ("CONV_2D", "FULLY_CONNECTED")
    )


def _weights(change: Callable[[Array], Array]) -> Make:
    return lambda model, op, rng: Device(graph=with_constant(op.index, 1, change))


def _blocks(weights: Array) -> Array:
    """[N/b][H][W][C][b] in memory, read as [N][H][W][C]."""
    block, (n, h, w, c) = 16 // weights.itemsize, weights.shape
    row = [
        weights[first + i, y, x, k]
        for first in range(0, n - block + 1, block)
        for y in range(h)
        for x in range(w)
        for k in range(c)
        for i in range(block)
    ]
    return np.array([*row, *weights[n // block * block :].reshape(-1)], weights.dtype).reshape(weights.shape)


def _depthwise_blocks(weights: Array) -> Array:
    block, (_, h, w, n) = 16 // weights.itemsize, weights.shape
    whole = n // block * block
    row = [
        weights[0, y, x, first + i]
        for first in range(0, whole, block)
        for y in range(h)
        for x in range(w)
        for i in range(block)
    ]
    flat = np.array([*row, *weights[0, :, :, whole:].reshape(-1)], weights.dtype)
    return flat.reshape(n, h, w).transpose(1, 2, 0)[None]


def _from_blocks(weights: Array) -> Array:
    """[N][H][W][C] in memory, read as [N/b][H][W][C][b]."""
    cells = weights.reshape(len(weights), -1)
    block, depth = 16 // weights.itemsize, cells.shape[1]
    out = cells.copy()
    for first in range(0, len(cells) - block + 1, block):
        rows = cells[first : first + block].reshape(depth, block)
        out[first : first + block] = rows.T
    return out.reshape(weights.shape)


def widths() -> Iterator[Variant]:
    wide = (("int16", "esp32s3"), ("int16", "esp32c3"))
    yield from _each("int8_int16", partial(_other_file, 0, False), "weights as they are", WEIGHTED, wide)
    yield from _each("int8_int16", partial(_other_file, 8, True), "the whole filter", WEIGHTED, wide)

    def values(x: Array, e: int) -> Array:
        return np.clip(np.rint(x * 2.0 ** -(e + 8)), -128, 127)

    yield from _each("int8_int16", _input(values), "input values", builds=wide)

    def held(x: Array, e: int) -> Array:
        data = values(x, e).astype(np.int8).tobytes()
        return np.frombuffer(data + bytes(len(data)), np.int16).reshape(x.shape)

    yield from _each("int8_int16", _input(held), "input bytes", builds=wide)


def _other_file(
    back: int, with_bias: bool, model: QuantizedModel, op: Operator, rng: np.random.Generator
) -> Device:
    """The layer's weights, or weights and biases, of the same network in int8."""
    _, target, seed = model.name.split("-")
    other = quantized(int(seed), "int8", target).graph
    its = next(each for each in other.operators if each.index == op.index)
    weights, bias = (np.array(other.tensors[i].data).astype(np.int64) for i in its.inputs[1:3])
    change = with_constant(op.index, 1, lambda data: (weights << back).astype(data.dtype))
    if not with_bias:
        return Device(graph=change)
    biased = with_constant(op.index, 2, lambda data: (bias << (2 * back)).astype(data.dtype))
    return Device(graph=lambda graph: biased(change(graph)))


def foreign() -> Iterator[Variant]:
    def drawn(weights: Array) -> Array:
        return np.random.default_rng(5).integers(-100, 100, weights.shape).astype(weights.dtype)

    yield from _each(FOREIGN, _weights(drawn), "powers of two, other weights", WEIGHTED)

    def noisy(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        step = rng.integers(-1, 2, model.graph.output_of(op).shape)
        return Device(kernels={op.index: lambda x, right: np.clip(right + step, 0, 127).astype(right.dtype)})

    yield from _each(FOREIGN, noisy, "powers of two, a pattern of one step", WEIGHTED)


def clean() -> Iterator[Variant]:
    for seed, build in enumerate(BUILDS):
        yield Variant(CLEAN, f"powers of two {'-'.join(build)}", partial(_sound, seed, build))


def _sound(seed: int, build: Build) -> Found:
    model, device = quantized(seed, *build), Device()
    reference = IntegerRunner().run(model, samples(seed))
    run = device.run(model, samples(seed))
    found = locate(run, reference, device, reference_runner=IntegerRunner())
    return Found(found is not None, found.ranking if found else ())


GROUPS = (exponents, inputs, vectors, roundings, layouts, widths, foreign, clean)


def variants() -> Iterator[Variant]:
    for group in GROUPS:
        yield from group()
