"""``Variant``: one injected fault, and what was found of it; ``judge`` runs a device beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.causes.cause import UNKNOWN
from pytest_quantcheck.verdict.differing import differing_samples
from pytest_quantcheck.verdict.locate import locate

FOREIGN, CLEAN = "(outside the catalogue)", "(no fault)"


@dataclass(frozen=True)
class Found:
    """``ranking``: causes that were named with confidence, the first one first. ``said`` is for people."""

    detected: bool
    ranking: tuple[str, ...] = ()
    said: str = ""

    @property
    def named(self) -> str:
        """The first cause."""
        return self.ranking[0] if self.ranking else UNKNOWN if self.detected else "-"


@dataclass(frozen=True)
class Variant:
    """``code`` is an entry of the catalogue, ``FOREIGN`` or ``CLEAN``."""

    code: str
    name: str
    find: Callable[[], Found]


def judge(
    model: QuantizedModel,
    samples: Samples,
    devices: Iterator[Runner] | Sequence[Runner],
    **more: Any,
) -> Found:
    """What the first device says whose fault has an effect on these samples."""
    reference = IntegerRunner().run(model, samples)
    for device in devices:
        run = device.run(model, samples)
        if not len(differing_samples(run, reference)):
            continue
        found = locate(run, reference, device, reference_runner=IntegerRunner(), **more)
        assert found is not None, "the outputs differ"
        return Found(True, found.ranking, f"{found.where}: {found.cause}")
    raise AssertionError("no device of this variant has any effect")
