"""Faults outside the catalogue: they must be found, and no cause named with confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pytest_quantcheck.graph.model import Operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from tests.catalogue import networks
from tests.catalogue.device import Device, with_constant, with_params
from tests.catalogue.integers import WEIGHTED, WINDOWS, Make, _each
from tests.catalogue.kernels import Knobs, fixed, kernel
from tests.catalogue.variant import FOREIGN, Variant


def _after(change: Callable[[Array, np.random.Generator], Array]) -> Make:
    """The operator's right output, then something done to it, the same in every inference."""

    def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        seed = int(rng.integers(1 << 30))

        def run(inputs: tuple[Array, ...], right: Array) -> Array:
            changed = change(right.astype(np.int64), np.random.default_rng(seed))
            return np.clip(changed, -128, 127).astype(right.dtype).reshape(right.shape)

        return Device(kernels={op.index: run})

    return make


AFTER: tuple[tuple[str, Callable[[Array, np.random.Generator], Array]], ...] = (
    ("a pattern of one step", lambda y, r: y + r.integers(-1, 2, y.shape)),
    ("gains of elements", lambda y, r: np.rint(y * r.uniform(0.7, 1.3, y.shape))),
    ("channels shuffled", lambda y, r: y[..., r.permutation(y.shape[-1])]),
    ("a square", lambda y, r: np.sign(y) * y * y // 128),
    ("some elements lost", lambda y, r: np.where(r.random(y.shape) < 0.15, 0, y)),
    ("everything shuffled", lambda y, r: y.reshape(-1)[r.permutation(y.size)]),
    ("offsets of channels", lambda y, r: y + r.integers(-9, 10, y.shape[-1])),
    ("a slope", lambda y, r: y + (np.arange(y.size).reshape(y.shape) % 23) - 11),
    ("even values only", lambda y, r: y & ~1),
    ("no sign", lambda y, r: np.abs(y)),
)


def variants() -> Iterator[Variant]:
    for name, change in AFTER:
        yield from _each(FOREIGN, networks.pictures, WINDOWS, _after(change), name)

    def two(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        return Device(
            graph=with_params(
                op.index,
                input_zero_point=lambda z: z + 5,
                requantize=lambda r: replace(r, shift=r.shift - 1),
            )
        )

    yield from _each(FOREIGN, networks.branches, WINDOWS, two, "zero point and shift at once")

    def drawn(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        seed = int(rng.integers(1 << 30))

        def other(weights: Array) -> Array:
            return np.random.default_rng(seed).integers(-100, 100, weights.shape).astype(weights.dtype)

        return Device(graph=with_constant(op.index, 1, other))

    yield from _each(FOREIGN, networks.gates, WEIGHTED, drawn, "other weights")

    def factors(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        gains = rng.uniform(0.6, 1.0, model.graph.output_of(op).shape[-1])

        def scale(sums: Array, rule: Any) -> Array:
            return fixed(sums, replace(rule, multiplier=np.rint(rule.multiplier * gains).astype(np.int64)))

        return Device(kernels={op.index: kernel(model.graph, op, Knobs(scale=scale))})

    yield from _each(FOREIGN, networks.pictures, ("CONV_2D",), factors, "a factor for each channel")

    def warm(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        return Device(graph=with_params(op.index, input_multiplier=lambda m: int(m * 0.73)))

    yield from _each(FOREIGN, networks.pictures, ("SOFTMAX",), warm, "another temperature")
    ordered = lambda model, op, rng: Device(outputs=lambda given: tuple(np.sort(each, -1) for each in given))  # noqa: E731
    yield from _each(FOREIGN, networks.gates, (), ordered, "sorted outputs")
    yield from _each(FOREIGN, networks.branches, (), _noisy_input, "one input value changed")


def _noisy_input(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
    place, step = int(rng.integers(0, 200)), int(rng.integers(20, 60))

    def made(raw: Array, floats: Array | None, last: Array | None) -> Array:
        flat = raw.astype(np.int64).reshape(-1)
        flat[place] = (flat[place] * 3 + step) % 200 - 100
        return flat.astype(raw.dtype).reshape(raw.shape)

    return Device(prepared=made)


__all__ = ["partial", "variants"]
