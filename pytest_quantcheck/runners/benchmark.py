"""What a model takes on each target, layer by layer, without a board; a board adds what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph.macs import operator_macs
from pytest_quantcheck.graph.model import output_of, source_of
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.families import memories
from pytest_quantcheck.runners.board import ram_bytes
from pytest_quantcheck.runners.prepare import sample_shape, summary_of
from pytest_quantcheck.runners.run import Run

KIB = 1024


@dataclass(frozen=True)
class Layer:
    """One operator: ``index`` in the source graph, ``output`` which of its outputs, ``shape`` of that output,
    sizes in bytes (``image.compile.OperatorSize``). ``counter`` is a board's median, in its unit.
    """

    index: int
    output: int
    kind: str
    shape: tuple[int, ...]
    macs: int
    flash: int
    arena: int
    counter: float | None = None


@dataclass(frozen=True)
class TargetUse:
    """Of one target: what our firmware leaves of flash and RAM and reserves for its stack, in bytes (0: not
    known), and whether the model ``fits``.
    """

    target: str
    flash: int
    ram: int
    stack: int
    fits: bool


@dataclass(frozen=True)
class Benchmark:
    """Bytes: ``flash`` is the device image, ``arena`` activations and scratch, ``ram`` what a board takes
    from its RAM for them, inputs and operator records included. ``macs`` are those of one inference.
    """

    macs: int
    flash: int
    arena: int
    ram: int
    layers: tuple[Layer, ...]
    targets: tuple[TargetUse, ...]


def benchmark(model: QuantizedModel, targets: Sequence[str] = (), *, profile: Run | None = None) -> Benchmark:
    """Compile the device image and compare it with ``targets``, by default all that are known.

    ``profile`` is a run of the same model on a board with operator records. Raises ``ModelError`` and
    ``ImageError`` for what no image can be made of, ``UsageError`` for an unknown target.
    """
    known = memories()
    for name in targets:
        if name not in known:
            raise UsageError(f"target {name!r} is not known; allowed: {', '.join(known)}")
    graph = model.graph
    image = compile_image(model.folded)
    counters = _counters(profile)
    layers = tuple(
        Layer(
            source_of(operator.index),
            output_of(operator.index),
            operator.kind,
            graph.output_of(operator).shape,
            operator_macs(graph, operator),
            size.flash,
            size.arena,
            counters.get(operator.index),
        )
        for operator, size in zip(graph.operators, image.operators, strict=True)
    )
    flash, ram = len(image.data), ram_bytes(image)
    uses = []
    for name in targets or known:
        store, pool, stack = (
            KIB * each for each in (known[name].store_kib, known[name].pool_kib, known[name].stack_kib)
        )
        uses.append(TargetUse(name, store, pool, stack, flash <= store and ram <= pool))
    macs = sum(layer.macs for layer in layers)
    return Benchmark(macs, flash, image.arena_bytes, ram, layers, tuple(uses))


def random_vectors(model: QuantizedModel, count: int) -> Raw:
    """Something to run a model on: all values of an integer input, (-1, 1) of a float32 one; seeded."""
    random = np.random.default_rng(0)
    inputs = []
    for tensor in summary_of(model.artefact).input_tensors:
        shape, dtype = (count, *sample_shape(tensor.shape)), np.dtype(tensor.dtype)
        if dtype.kind == "f":
            inputs.append(random.uniform(-1, 1, shape).astype(dtype))
        else:
            limits = np.iinfo(dtype)
            inputs.append(random.integers(limits.min, limits.max, shape, dtype, endpoint=True))
    return Raw(tuple(inputs))


def _counters(profile: Run | None) -> dict[int, float]:
    """The median counter of each operator that has one, by its index."""
    if profile is None:
        return {}
    found = {}
    for records in zip(*profile.operators, strict=True):
        counted = [record.counter for record in records if record.counter is not None]
        if counted:
            found[records[0].index] = float(median(counted))
    return found
