"""Faults of the arithmetic, injected by plain kernels, changed parameters and changed inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.graph.model import Operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.run import Runner
from tests.catalogue import networks
from tests.catalogue.device import Device, operators, with_params
from tests.catalogue.kernels import Knobs, fixed, kernel, saturated
from tests.catalogue.variant import Found, Variant, judge

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D")
SEEDS = range(3)
Make = Callable[[QuantizedModel, Operator, np.random.Generator], Device]


def shuffled(items: Sequence[Any], seed: int) -> list[Any]:
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[i] for i in order]


def _judge(
    code: str, seed: int, build: Callable[[int], QuantizedModel], kinds: Sequence[str], make: Make
) -> Found:
    model = build(seed)
    rng = np.random.default_rng([seed, sum(map(ord, code))])
    devices = (make(model, op, rng) for op in shuffled(operators(model, *kinds), seed))
    return judge(model, _samples(model), devices)


def _samples(model: QuantizedModel) -> Samples:
    if model.name == "digits":
        return networks.digit_samples(24)
    return networks.samples_of(model, count=24)


def _each(
    code: str, build: Callable[[int], QuantizedModel], kinds: Sequence[str], make: Make, note: str = ""
) -> Iterator[Variant]:
    for seed in SEEDS:
        name = f"{build.__name__} {seed}{f', {note}' if note else ''}"
        yield Variant(code, name, partial(_judge, code, seed, build, kinds, make))


def _params(**changes: Any) -> Make:
    return lambda model, op, rng: Device(graph=with_params(op.index, **changes))


def _knobs(**knobs: Any) -> Make:
    return lambda model, op, rng: Device(kernels={op.index: kernel(model.graph, op, Knobs(**knobs))})


def zero_points() -> Iterator[Variant]:
    yield from _each("zero_point_ignored", networks.pictures, WEIGHTED, _params(input_zero_point=0))
    yield from _each("zero_point_ignored", networks.gates, ("CONV_2D", "MUL"), _ignored)

    def wrong(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        step = int(rng.integers(2, 60))
        return Device(graph=with_params(op.index, input_zero_point=lambda z: z + step))

    yield from _each("zero_point_wrong", networks.pictures, WEIGHTED, wrong)
    yield from _each(
        "zero_point_wrong", networks.branches, ("ADD",), _params(input2_zero_point=lambda z: z + 9)
    )
    for step in (128, -128):
        yield from _each(
            "zero_point_int8_uint8",
            networks.gates,
            ("CONV_2D",),
            _params(input_zero_point=lambda z, step=step: z + step),
            f"{step:+d}",
        )


def _ignored(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    name = "input_zero_point" if hasattr(op.params, "input_zero_point") else "input1_zero_point"
    return Device(graph=with_params(op.index, **{name: 0}))


def _moved(**changes: Any) -> Make:
    return _params(requantize=lambda r: replace(r, **{k: v(getattr(r, k)) for k, v in changes.items()}))


def scales() -> Iterator[Variant]:
    yield from _each("exponent_sign", networks.pictures, WEIGHTED, _moved(shift=lambda s: -s))
    for step in (1, -2):
        yield from _each(
            "scale_power_of_two",
            networks.branches,
            WINDOWS,
            _moved(shift=lambda s, step=step: s + step),
            f"{step:+d}",
        )

    def scaled(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        factor = float(rng.choice([0.83, 0.97, 1.04, 1.21]))

        def scale(sums: Array, rule: Any) -> Array:
            changed = np.rint(rule.multiplier * factor).astype(np.int64)
            over = changed >= 1 << 31
            changed = np.where(over, changed >> 1, changed)
            return fixed(sums, replace(rule, multiplier=changed, shift=rule.shift + over))

        return Device(kernels={op.index: kernel(model.graph, op, Knobs(scale=scale))})

    yield from _each("scale_wrong", networks.pictures, WINDOWS, scaled)

    def without_weights(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        """Input scale and output scale exchanged."""
        tensors = [model.graph.tensors[i] for i in (op.inputs[0], op.outputs[0])]
        ratio = float(tensors[1].quantization.scale[0]) / float(tensors[0].quantization.scale[0])

        def scale(sums: Array, rule: Any) -> Array:
            real = rule.multiplier / 2.0**31 * 2.0**rule.shift * ratio
            m, e = np.frexp(real)
            return fixed(
                sums, replace(rule, multiplier=np.rint(m * 2**31).astype(np.int64), shift=e.astype(int))
            )

        return Device(kernels={op.index: kernel(model.graph, op, Knobs(scale=scale))})

    yield from _each("scale_wrong", networks.gates, ("CONV_2D",), without_weights, "scales exchanged")
    first = _moved(multiplier=lambda m: np.full_like(m, m[0]), shift=lambda s: np.full_like(s, s[0]))
    yield from _each("per_channel_scale", networks.pictures, WINDOWS, first, "first for all")
    rolled = _moved(multiplier=lambda m: np.roll(m, 1), shift=lambda s: np.roll(s, 1))
    yield from _each("per_channel_scale", networks.branches, WINDOWS, rolled, "next one's")


def roundings() -> Iterator[Variant]:
    def single(sums: Array, rule: Any) -> Array:
        total = 31 - rule.shift
        return (sums * rule.multiplier + (np.int64(1) << (total - 1))) >> total

    def floor(sums: Array, rule: Any) -> Array:
        return (sums * rule.multiplier) >> (31 - rule.shift)

    def cut(sums: Array, rule: Any) -> Array:
        return np.trunc(sums * (rule.multiplier / 2.0**31 * 2.0**rule.shift)).astype(np.int64)

    def by_float(sums: Array, rule: Any) -> Array:
        factor = (rule.multiplier / 2.0**31 * 2.0**rule.shift).astype(np.float32)
        return np.rint(sums.astype(np.float32) * factor).astype(np.int64)

    # one output channel of a small layer seldom shows a half: all layers of the kind have the rule
    everywhere = partial(_all_kernels, WINDOWS)
    yield from _each("single_rounding", networks.pictures, ("CONV_2D",), everywhere(single), "all windows")
    yield from _each("single_rounding", networks.gates, ("CONV_2D", "SUB"), _single, "one layer")
    yield from _each("truncated_rounding", networks.pictures, WEIGHTED, _knobs(scale=floor), "down")
    yield from _each("truncated_rounding", networks.gates, ("CONV_2D",), _knobs(scale=cut), "towards zero")
    yield from _each(
        "float_requantization", networks.gates, ("CONV_2D",), everywhere(by_float), "all windows"
    )


def _single(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    rules = [name for name in ("requantize", "input1", "input2", "output") if hasattr(op.params, name)]
    return Device(
        graph=with_params(op.index, **dict.fromkeys(rules, lambda r: replace(r, rounding="single")))
    )


def _all_kernels(kinds: Sequence[str], scale: Callable[[Array, Any], Array]) -> Make:
    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        chosen = operators(model, *kinds)
        return Device(kernels={each.index: kernel(model.graph, each, Knobs(scale=scale)) for each in chosen})

    return make


def activations() -> Iterator[Variant]:
    whole = _params(act_min=-128, act_max=127)
    yield from _each("activation_missing", networks.pictures, (*WINDOWS, "ADD"), whole)
    yield from _each("activation_missing", networks.branches, WINDOWS, whole)
    yield from _each("activation_missing", networks.gates, ("LOGISTIC", "TANH"), _passed_on, "table skipped")

    def relu(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        return Device(graph=with_params(op.index, act_min=op.params.output_zero_point))

    yield from _each("activation_added", networks.gates, ("CONV_2D", "SUB"), relu)
    yield from _each("activation_at_zero", networks.branches, ("CONV_2D",), _params(act_min=0))
    yield from _each("activation_at_zero", networks.pictures, (*WINDOWS, "ADD"), _params(act_min=0))


def _passed_on(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    return Device(kernels={op.index: lambda inputs, right: inputs[0].copy()})


def windows() -> Iterator[Variant]:
    yield from _each("padding_value", networks.pictures, WINDOWS, _knobs(pad=0))
    yield from _each("padding_value", networks.branches, WINDOWS, _knobs(pad=-128), "-128")

    def moved(window: Any) -> Any:
        return replace(window, pad_top=window.pad_top + 1, pad_left=window.pad_left + 1)

    yield from _each("padding_side", networks.pictures, WINDOWS, _params(window=moved), "1 more")

    def less(window: Any) -> Any:
        return replace(window, pad_top=max(window.pad_top - 1, 0), pad_left=max(window.pad_left - 1, 0))

    yield from _each("padding_side", networks.branches, WINDOWS, _params(window=less), "1 less")
    yield from _each("dilation_ignored", networks.pictures, WINDOWS, _knobs(dilation=1))


def biases() -> Iterator[Variant]:
    yield from _each("bias_missing", networks.pictures, WEIGHTED, _knobs(bias=np.zeros_like))
    yield from _each("bias_missing", networks.gates, WEIGHTED, _knobs(bias=np.zeros_like))
    for bits, build in ((8, networks.pictures), (12, networks.branches)):
        high = (1 << (bits - 1)) - 1
        cut = _knobs(bias=lambda b, high=high: np.clip(b, -high - 1, high))
        yield from _each("bias_saturated", build, WEIGHTED, cut, f"{bits} bits")
    yield from _each("bias_order", networks.pictures, WEIGHTED, _knobs(bias=lambda b: np.roll(b, 1)))
    swapped = _knobs(bias=lambda b: b.astype(np.int32).byteswap().astype(np.int64))
    yield from _each("bias_order", networks.gates, WEIGHTED, swapped, "bytes")
    yield from _each("bias_wrong", networks.branches, WEIGHTED, _knobs(bias=lambda b: 2 * b), "twice")
    yield from _each("bias_wrong", networks.pictures, WEIGHTED, _knobs(bias=lambda b: -b), "subtracted")


def sums() -> Iterator[Variant]:
    wrapped = _knobs(sums=lambda s: s.astype(np.int16).astype(np.int64))
    yield from _each("sums_overflow", networks.branches, WINDOWS, wrapped, "16 bits, wrapping")
    kept = _knobs(sums=lambda s: np.clip(s, -(1 << 15), (1 << 15) - 1))
    yield from _each("sums_overflow", networks.pictures, WINDOWS, kept, "16 bits, saturating")
    yield from _each(
        "narrowing_wraps", networks.branches, WINDOWS, _knobs(narrow=lambda v, p: v.astype(np.int8))
    )

    def early(values: Array, p: Any) -> Array:
        return saturated(np.clip(values - p.output_zero_point, -128, 127) + p.output_zero_point, p)

    yield from _each("narrowing_early", networks.branches, WINDOWS, _knobs(narrow=early))
    yield from _each("narrowing_early", networks.gates, WINDOWS, _knobs(narrow=early))


def weights() -> Iterator[Variant]:
    def oihw(w: Array) -> Array:
        o, h, width, i = w.shape
        return w.reshape(o, i, h, width).transpose(0, 2, 3, 1)

    def dense(w: Array) -> Array:
        return w.reshape(w.shape[1], w.shape[0]).T

    yield from _each("weights_layout", networks.branches, ("CONV_2D",), _knobs(weights=oihw), "OIHW")
    yield from _each(
        "weights_layout", networks.pictures, ("FULLY_CONNECTED",), _knobs(weights=dense), "dense"
    )
    turned = _knobs(weights=lambda w: w[:, ::-1, ::-1])
    yield from _each("weights_layout", networks.pictures, WINDOWS, turned, "turned")
    unsigned = _knobs(weights=lambda w: w & 0xFF)
    yield from _each("weights_int8_uint8", networks.pictures, WEIGHTED, unsigned)


def functions() -> Iterator[Variant]:
    halved = _params(input_left_shift=lambda s: s - 1)
    yield from _each("softmax_scale", networks.pictures, ("SOFTMAX",), halved, "half")
    yield from _each(
        "softmax_scale", networks.digits, ("SOFTMAX",), _params(input_left_shift=lambda s: s + 1)
    )
    yield from _each("softmax_table", networks.pictures, ("SOFTMAX",), _softmax(math.e, np.floor), "cut")
    yield from _each("softmax_table", networks.digits, ("SOFTMAX",), _softmax(2.0, np.rint), "powers of two")

    def unsigned(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        values = op.params.values.astype(np.int8)
        return Device(kernels={op.index: lambda inputs, right: values[inputs[0].view(np.uint8)]})

    yield from _each("table_index", networks.gates, ("LOGISTIC", "TANH"), unsigned)

    def positive(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        values = op.params.values.astype(np.int8)
        return Device(kernels={op.index: lambda inputs, right: values[np.maximum(inputs[0].astype(int), 0)]})

    yield from _each("table_index", networks.gates, ("LOGISTIC", "TANH"), positive, "from zero on")

    def real(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        source, target = (model.graph.tensors[i].quantization for i in (op.inputs[0], op.outputs[0]))

        def run(inputs: tuple[Array, ...], right: Array) -> Array:
            x = (inputs[0].astype(float) - source.zero_point[0]) * float(source.scale[0])
            y = np.tanh(x) if op.kind == "TANH" else 1 / (1 + np.exp(-x))
            steps = np.trunc(y / float(target.scale[0]) + target.zero_point[0])
            return np.clip(steps, -128, 127).astype(np.int8)

        return Device(kernels={op.index: run})

    yield from _each("table_float", networks.gates, ("TANH", "LOGISTIC"), real)


def _softmax(base: float, rounded: Callable[[Array], Array]) -> Make:
    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        scale = float(model.graph.tensors[op.inputs[0]].quantization.scale[0])

        def run(inputs: tuple[Array, ...], right: Array) -> Array:
            x = inputs[0].astype(float) * scale
            powers = base ** (x - x.max(axis=-1, keepdims=True))
            share = powers / powers.sum(axis=-1, keepdims=True)
            return np.clip(rounded(share * 256) - 128, -128, 127).astype(np.int8)

        return Device(kernels={op.index: run})

    return make


def pools() -> Iterator[Variant]:
    yield from _each("pool_start", networks.gates, ("MAX_POOL_2D",), _pool(start=0))
    yield from _each("pool_padding", networks.pictures, ("AVERAGE_POOL_2D",), _pool(count_all=True))
    yield from _each("pool_rounding", networks.pictures, ("AVERAGE_POOL_2D",), _pool(cut=True))


def _pool(*, start: int = -128, count_all: bool = False, cut: bool = False) -> Make:
    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        w = op.params.window

        def run(inputs: tuple[Array, ...], right: Array) -> Array:
            x, out = inputs[0].astype(int), np.empty(right.shape, int)
            for _, oy, ox, c in np.ndindex(right.shape):
                ys = range(oy * w.stride_h - w.pad_top, oy * w.stride_h - w.pad_top + w.kernel_h)
                xs = range(ox * w.stride_w - w.pad_left, ox * w.stride_w - w.pad_left + w.kernel_w)
                cells = [
                    int(x[0, j, i, c]) for j in ys for i in xs if 0 <= j < x.shape[1] and 0 <= i < x.shape[2]
                ]
                if op.kind == "MAX_POOL_2D":
                    out[0, oy, ox, c] = max(start, *cells)
                    continue
                count = w.kernel_h * w.kernel_w if count_all else len(cells)
                half = 0 if cut else 0.5
                out[0, oy, ox, c] = int(math.copysign(int(abs(sum(cells)) / count + half), sum(cells)))
            return np.clip(out, op.params.act_min, op.params.act_max).astype(np.int8)

        return Device(kernels={op.index: run})

    return make


def wiring() -> Iterator[Variant]:
    def swapped(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        def change(graph: Any) -> Any:
            done = [
                replace(each, inputs=each.inputs[::-1]) if each.index == op.index else each
                for each in graph.operators
            ]
            return replace(graph, operators=tuple(done))

        return Device(graph=change)

    yield from _each("operands_swapped", networks.gates, ("SUB",), swapped)
    yield from _each("operands_swapped", networks.branches, ("ADD",), swapped)

    def in_order(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        return Device(kernels={op.index: lambda inputs, right: inputs[0].reshape(right.shape)})

    yield from _each("transpose_ignored", networks.gates, ("TRANSPOSE",), in_order)


def memory() -> Iterator[Variant]:
    for seed in SEEDS:
        yield Variant("arena_overlap", f"branches {seed}", partial(_overlap, seed))
        yield Variant("not_repeatable", f"pictures {seed}", partial(_not_repeatable, seed))


def _overlap(seed: int) -> Found:
    """The skip connection's tensor is overwritten by one that is written while it waits."""
    model = networks.branches(seed)
    graph = model.graph
    add = next(op for op in graph.operators if op.kind == "ADD")
    early = add.inputs[0]
    writers = [op.outputs[0] for op in graph.operators if op.kind == "CONV_2D" and op.index < add.index][1:]
    writer, offset = writers[seed % len(writers)], (0, 128, -256)[seed]

    def written(op: Operator, values: dict[int, Array]) -> dict[int, Array]:
        if op.index != add.index:
            return values
        data, its = bytearray(values[early].tobytes()), values[writer].tobytes()
        for i, byte in enumerate(its):
            if 0 <= i + offset < len(data):
                data[i + offset] = byte
        return {**values, early: np.frombuffer(bytes(data), np.int8).reshape(values[early].shape)}

    return judge(model, networks.samples_of(model), [Device(written=written)])


def _not_repeatable(seed: int) -> Found:
    """A sum starts with what the scratch memory held before."""
    model = networks.pictures(seed)
    op = shuffled(operators(model, *WEIGHTED), seed)[0]
    memory = np.random.default_rng(seed)

    def run(inputs: tuple[Array, ...], right: Array) -> Array:
        junk = memory.integers(-60, 60, right.shape)
        junk[..., : right.shape[-1] // 2] = 0
        return np.clip(right.astype(int) + junk, -128, 127).astype(np.int8)

    return judge(model, networks.samples_of(model), [Device(kernels={op.index: run})])


def runtimes() -> Iterator[Variant]:
    for name, code in (("litert", "optimised_kernels"), ("litert_reference", "reference_kernels")):
        for seed, build in ((0, networks.pictures), (1, networks.gates), (2, networks.pictures)):
            yield Variant(
                code, f"{build.__name__} {seed} on {name}", partial(_other_runtime, name, build, seed)
            )


def _other_runtime(name: str, build: Callable[[int], QuantizedModel], seed: int) -> Found:
    from pytest_quantcheck.runners.registry import host_runner

    model = build(seed)

    class Pretending:
        """It says that it has the integers of TFLM's kernels."""

        def __init__(self) -> None:
            self.name, self.runner = "pretending", host_runner(name)

        def run(self, model: QuantizedModel, vectors: Any, *, operators: bool = False) -> Any:
            return replace(self.runner.run(model, vectors, operators=operators), runner=self.name, exact=True)

        def tensor(self, *args: Any) -> Any:
            return self.runner.tensor(*args)

    samples = networks.samples_of(model, count=200)
    devices: list[Runner] = [Pretending()]
    return judge(model, samples, devices)


def inputs() -> Iterator[Variant]:
    def quantized(how: Callable[[Array, float, int], Array]) -> Make:
        """On int8 inputs by the one who sends them, in float models by the first operator."""

        def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
            first = model.graph.operators[0]
            if first.kind == "QUANTIZE" and model.graph.tensors[first.inputs[0]].dtype == np.float32:
                q = model.graph.output_of(first).quantization
                return Device(
                    kernels={
                        0: lambda x, _: how(x[0], float(q.scale[0]), int(q.zero_point[0])).astype(np.int8)
                    }
                )
            q = model.graph.tensors[model.graph.inputs[0]].quantization
            return Device(
                prepared=lambda raw, floats, _: (
                    raw
                    if floats is None
                    else how(floats, float(q.scale[0]), int(q.zero_point[0])).astype(raw.dtype)
                )
            )

        return make

    def clip(x: Array) -> Array:
        return np.clip(x, -128, 127)

    ways: tuple[tuple[str, str, Callable[[Array, float, int], Array]], ...] = (
        ("input_not_quantized", "", lambda x, s, z: clip(np.trunc(x))),
        ("input_truncated", "towards zero", lambda x, s, z: clip(np.trunc(x / s) + z)),
        ("input_truncated", "down", lambda x, s, z: clip(np.floor(x / s + z))),
        ("input_zero_point", "", lambda x, s, z: clip(np.rint(x / s))),
        ("input_wraps", "", lambda x, s, z: (np.rint(x / s) + z).astype(np.int64).astype(np.int8)),
        ("input_scale", "times the scale", lambda x, s, z: clip(np.rint(x * s) + z)),
        ("input_scale", "1/128", lambda x, s, z: clip(np.rint(x * 128))),
    )
    for code, note, how in ways:
        yield from _each(code, networks.pictures, (), quantized(how), note)
    yield from _each("input_truncated", networks.pairs, (), _pairs_cut, "two inputs")
    for code, how in (("input_not_quantized", ways[0][2]), ("input_truncated", ways[2][2])):
        yield Variant(
            code, "float edges", partial(_judge, code, 4, networks.digits, ("QUANTIZE",), quantized(how))
        )
    other = _prepared(lambda raw: (raw.view(np.uint8) ^ 128).view(raw.dtype))
    yield from _each("input_int8_uint8", networks.branches, (), other)
    yield Variant("input_int8_uint8", "uint8 model", partial(_judge, "", 2, networks.digits, (), other))
    swapped = _prepared(lambda raw: raw.byteswap())
    yield from _each("input_byte_order", networks.wide, (), swapped)


def _pairs_cut(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    q = model.graph.tensors[model.graph.inputs[0]].quantization
    scale, zero = float(q.scale[0]), int(q.zero_point[0])
    return Device(
        prepared=lambda raw, floats, _: (
            raw if floats is None else np.clip(np.floor(floats / scale) + zero, -128, 127)
        )
    )


def _prepared(change: Callable[[Array], Array]) -> Make:
    return lambda model, op, rng: Device(prepared=lambda raw, floats, last: change(raw))


def outputs() -> Iterator[Variant]:
    raw = _dequantize(lambda q, s, z: q)
    for which, note in ((3, "u8 to f32"), (4, "float edges")):
        find = partial(_judge, "", which, networks.digits, ("DEQUANTIZE",), raw)
        yield Variant("output_not_dequantized", f"the integers, {note}", find)
    find = partial(_judge, "", 4, networks.digits, ("DEQUANTIZE",), _dequantize(lambda q, s, z: q * s))
    yield Variant("output_not_dequantized", "no zero point", find)
    other = _outputs(lambda x: (x.view(np.uint8) ^ 128).view(x.dtype))
    yield from _each("output_int8_uint8", networks.gates, (), other)
    for which in (3, 4):
        find = partial(_judge, "", which, networks.digits, (), _outputs(lambda x: x.byteswap()))
        yield Variant("output_byte_order", f"digits {which}", find)
    yield from _each("output_byte_order", networks.wide, (), _outputs(lambda x: x.byteswap()))
    nchw = _outputs(lambda x: np.moveaxis(x, -1, 1).reshape(x.shape))
    yield from _each("output_layout", networks.branches, (), nchw)


def _dequantize(how: Callable[[Array, float, int], Array]) -> Make:
    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        p = op.params
        return Device(
            kernels={
                op.index: lambda x, _: np.asarray(
                    how(x[0].astype(np.float32), np.float32(p.scale), p.zero_point), np.float32
                )
            }
        )

    return make


def _outputs(change: Callable[[Array], Array]) -> Make:
    return lambda model, op, rng: Device(outputs=lambda given: tuple(change(each) for each in given))


GROUPS = (
    inputs,
    outputs,
    zero_points,
    scales,
    roundings,
    activations,
    windows,
    biases,
    sums,
    weights,
    functions,
    pools,
    wiring,
    memory,
    runtimes,
)


def variants() -> Iterator[Variant]:
    for group in GROUPS:
        yield from group()
