"""Faults of the rig: models, vectors, answers, counters and boards mistaken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from pytest_quantcheck.graph.macs import graph_macs
from pytest_quantcheck.graph.model import Operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.device import Device as Described
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.causes.counters import rig_causes
from tests.catalogue import networks
from tests.catalogue.device import Device, operators, with_constant, with_params
from tests.catalogue.integers import SEEDS, WEIGHTED, _each, shuffled
from tests.catalogue.variant import Found, Variant, judge


def stale_models() -> Iterator[Variant]:
    for code, model, other in (
        ("pictures", networks.pictures, 1),
        ("branches", networks.branches, 2),
        ("digits", networks.digits, 1),
    ):
        yield Variant("stale_model", code, partial(_stale, model, other))


def _stale(build: Callable[[int], QuantizedModel], other: int) -> Found:
    model, held = build(0), build(other)
    samples = networks.digit_samples() if model.name == "digits" else networks.samples_of(model)
    device = Device(graph=lambda _: held.graph)
    others = [build(1), held]
    return judge(model, samples, [device], others=others)


def bits() -> Iterator[Variant]:
    def flip(position: int) -> Callable[[QuantizedModel, Operator, np.random.Generator], Device]:
        def make(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
            place = int(rng.integers(0, 1 << 30))
            bit = int(rng.integers(4, 7)) if position == 1 else int(rng.integers(9, 16))

            def change(data: Array) -> Array:
                flat = data.reshape(-1)
                flat[place % len(flat)] ^= flat.dtype.type(1 << bit)
                return data

            return Device(graph=with_constant(op.index, position, change))

        return make

    yield from _each("flash_bit", networks.pictures, WEIGHTED, flip(1), "weight")
    yield from _each("flash_bit", networks.branches, WEIGHTED, flip(1), "weight")
    yield from _each("flash_bit", networks.pictures, WEIGHTED, flip(2), "bias")

    def multiplier(model: QuantizedModel, op: Operator, rng: np.random.Generator) -> Device:
        place, bit = int(rng.integers(0, 8)), int(rng.integers(24, 30))

        def change(rule):
            changed = rule.multiplier.copy()
            changed[place % len(changed)] ^= 1 << bit
            return replace(rule, multiplier=changed)

        return Device(graph=with_params(op.index, requantize=change))

    yield from _each("flash_bit", networks.branches, ("CONV_2D",), multiplier, "multiplier")


def vectors() -> Iterator[Variant]:
    def bytes_of(change: Callable[[bytes], bytes]) -> Callable[..., Device]:
        def made(raw: Array, floats: Array | None, last: Array | None) -> Array:
            data = raw.tobytes()
            return np.frombuffer(change(data)[: len(data)].ljust(len(data), b"\0"), raw.dtype).reshape(
                raw.shape
            )

        return lambda model, op, rng: Device(prepared=made)

    for count in (1, 3):
        late = bytes_of(lambda data, n=count: b"\0" * n + data)
        yield from _each("vector_shifted", networks.pictures, (), late, f"{count} late")
    yield from _each("vector_shifted", networks.branches, (), bytes_of(lambda d: d[2:]), "2 early")
    yield from _each("vector_shifted", networks.gates, (), bytes_of(lambda d: d[:100] + d[101:]), "one lost")
    yield from _each(
        "vector_shifted", networks.pictures, (), bytes_of(lambda d: d[:51] + d[50:]), "one twice"
    )
    for length, build in ((64, networks.branches), (117, networks.pictures)):
        cut = bytes_of(lambda data, n=length: data[:n])
        yield from _each("vector_truncated", build, (), cut, f"after {length}")
    zeros = lambda model, op, rng: Device(prepared=lambda raw, floats, last: np.zeros_like(raw))  # noqa: E731
    yield from _each("vector_old", networks.pictures, (), zeros, "never written")


def orders() -> Iterator[Variant]:
    changes: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("input_layout", "NCHW", lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape)),
        ("channel_order", "", lambda x: x[..., ::-1]),
        ("input_transposed", "", lambda x: x.transpose(0, 2, 1, 3).reshape(x.shape)),
        ("input_turned", "upside down", lambda x: x[:, ::-1]),
    )
    for code, note, change in changes:
        moved = lambda model, op, rng, change=change: Device(  # noqa: E731
            prepared=lambda raw, floats, last: change(raw)
        )
        yield from _each(code, networks.branches, (), moved, f"on the device{' ' + note if note else ''}")
    swapped = lambda model, op, rng: Device(exchanged=True)  # noqa: E731
    yield from _each("inputs_swapped", networks.pairs, (), swapped, "on the device")
    other = lambda model, op, rng: Device(outputs=lambda given: given[::-1])  # noqa: E731
    yield from _each("outputs_order", networks.branches, (), other, "on the device")


def answers() -> Iterator[Variant]:
    def shuffle(x: Array) -> Array:
        return x[np.random.default_rng(len(x)).permutation(len(x))]

    changes: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("answers_late", "one behind", lambda x: np.concatenate([x[:1], x[:-1]])),
        ("answers_late", "two ahead", lambda x: np.concatenate([x[2:], x[:2]])),
        ("answers_order", "shuffled", shuffle),
        ("answers_stuck", "the first", lambda x: np.repeat(x[:1], len(x), axis=0)),
    )
    for code, note, change in changes:
        moved = lambda model, op, rng, change=change: Device(  # noqa: E731
            outputs=lambda given: tuple(change(each) for each in given)
        )
        yield from _each(code, networks.gates, (), moved, note)


def counters() -> Iterator[Variant]:
    for seed in SEEDS:
        for code in ("counter_wrapped", "counter_stopped", "counter_mistaken", "wrong_port"):
            yield Variant(code, f"pictures {seed}", partial(_counted, code, seed))


def honest_run(seed: int) -> Run:
    """A run on a board that counts about four instructions for each multiplication."""
    model = networks.pictures(seed)
    run = IntegerRunner().run(model, networks.samples_of(model))
    rng = np.random.default_rng(seed)
    counts = [int(4 * graph_macs(model.graph) + 20_000 + each) for each in rng.integers(0, 200, len(run))]
    device = Described("stm32f407vg", "bench-1", "STM32F405/407", "aa55", "quantcheck 1", unit="cycles")
    return replace(run, runner="board", counters=tuple(counts), device=device)


def _counted(code: str, seed: int) -> Found:
    run = honest_run(seed)
    rng = np.random.default_rng(seed)
    counts = np.array(run.counters)
    if code == "counter_wrapped":
        width = (16, 24, 32)[seed]
        counts = counts + (1 << width) * 3
        counts[rng.random(len(counts)) < 0.4] -= 1 << width
    if code == "counter_stopped":
        counts[:] = (0, 1, 2)[seed]
    if code == "counter_mistaken":
        counts = counts // (168, 84, 120)[seed]
    if code == "wrong_port":
        chip = ("ESP32-C3", "STM32F446", "STM32F411")[seed]
        run = replace(run, device=replace(run.device, chip=chip))
    found = rig_causes(replace(run, counters=tuple(int(each) for each in counts)))
    return Found(bool(found), tuple(each.code for each in found), "; ".join(each.evidence for each in found))


GROUPS = (stale_models, bits, vectors, orders, answers, counters)


def variants() -> Iterator[Variant]:
    for group in GROUPS:
        yield from group()


__all__ = ["operators", "shuffled", "variants"]
