"""Runs without a fault: nothing may be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.causes.counters import rig_causes
from pytest_quantcheck.verdict.locate import locate
from tests.catalogue import networks
from tests.catalogue.device import Device
from tests.catalogue.integers import SEEDS
from tests.catalogue.rig import honest_run
from tests.catalogue.variant import CLEAN, Found, Variant


def variants() -> Iterator[Variant]:
    for build in (networks.pictures, networks.gates, networks.branches, networks.pairs, networks.wide):
        for seed in SEEDS:
            yield Variant(CLEAN, f"{build.__name__} {seed}", partial(_integers, build, seed))
    for which in range(5):
        yield Variant(CLEAN, f"digits {which}", partial(_integers, networks.digits, which))
    for seed in SEEDS:
        yield Variant(CLEAN, f"counter {seed}", partial(_counter, seed))


def _integers(build: Callable[[int], QuantizedModel], seed: int) -> Found:
    """A sound device, beside our interpreter and beside TFLM."""
    model = build(seed)
    samples = networks.digit_samples(24) if model.name == "digits" else networks.samples_of(model)
    device = Device()
    run = device.run(model, samples)
    for reference in (IntegerRunner(), TflmRunner()):
        found = locate(run, reference.run(model, samples), device, reference_runner=reference)
        if found is not None:
            return Found(True, found.ranking, str(found))
    return Found(False)


def _counter(seed: int) -> Found:
    found = rig_causes(honest_run(seed))
    return Found(bool(found), tuple(each.code for each in found))
