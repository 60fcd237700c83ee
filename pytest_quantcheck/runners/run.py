"""``Run``: the one result type of every way to run a model, and the ``Runner`` interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Protocol, Union

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.device import HOST, NO_EFFORT, Device, Effort
from pytest_quantcheck.runners.estimate import Estimate

Vectors = Union[Samples, Raw]
Tensor = npt.NDArray[np.generic]
"""A raw tensor of a model, of whatever type the model has."""


@cache
def installed(package: str) -> str:
    """The version of an installed distribution, looked up once: every run names its runtime."""
    return version(package)


@dataclass(frozen=True)
class OperatorRecord:
    """What one operator's output was: ``kind`` as in the source graph, ``index`` its ``operator_index``.

    ``crc32`` is over the output's bytes (NHWC, little-endian), one inference, with the channels that it has
    in ``Run.graph``; ``counter`` is in the run's unit. Either is None when the runner does not report it.
    ``step`` counts the inferences of a sequence.
    """

    index: int
    kind: str
    crc32: int | None = None
    counter: int | None = None
    step: int = 0


@dataclass(frozen=True)
class Footprint:
    """Bytes. None where the runner cannot know.

    ``image``: the model in flash; ``arena``: its activations and scratch; ``stack``: the deepest use during
    an inference; ``firmware``: the program without the model.
    """

    image: int | None = None
    arena: int | None = None
    stack: int | None = None
    firmware: int | None = None


def _no_estimate() -> Estimate | None:
    return None


@dataclass(frozen=True, eq=False)
class Run:
    """N samples, run by one model on one runner: an inference each, or one for each step of a sequence.

    ``inputs`` are the raw tensors that went in, ``outputs`` those that came out, (N, ...) each in
    the model's own dtype. ``operators[i]`` holds the records of inference i where they were asked
    for. ``counters`` has one value per inference in ``unit``. ``exact``: the runner promises the integers of
    TFLM's kernels. ``log`` is the file of the serial log. ``folded``: a device image ran, which lacks
    channels that cannot change an output. ``steps`` is () or, of sequences, (T,): inputs and outputs are
    (N, T, ...) then, and each step has a counter and records.
    ``estimate()``, while the board is open, says what a virtual board's chip takes; None: nobody can tell.
    """

    runner: str
    runtime: str
    model: QuantizedModel
    vectors: Vectors
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    exact: bool = False
    operators: tuple[tuple[OperatorRecord, ...], ...] = ()
    counters: tuple[int, ...] = ()
    footprint: Footprint = Footprint()
    device: Device = HOST
    effort: Effort = NO_EFFORT
    log: str = ""
    folded: bool = False
    estimate: Callable[[], Estimate | None] = _no_estimate
    steps: tuple[int, ...] = ()

    @property
    def scored(self) -> tuple[Tensor, ...]:
        """The outputs that a sample is scored by, (N, ...) each: of a sequence those of its last step."""
        return tuple(x[:, -1] for x in self.outputs) if self.steps else self.outputs

    @property
    def graph(self) -> QuantGraph:
        """What was run: the graph whose operators the records are about."""
        return self.model.folded if self.folded else self.model.graph

    @property
    def inferences(self) -> tuple[tuple[OperatorRecord, ...], ...]:
        """The records of each inference: those of a sequence step after step, as the counters are."""
        if not self.steps:
            return self.operators
        steps = range(self.steps[0])
        return tuple(tuple(r for r in each if r.step == step) for each in self.operators for step in steps)

    @property
    def target(self) -> str:
        """The board's target, ``host`` on this machine."""
        return self.device.target

    @property
    def unit(self) -> str:
        """What ``counters`` count: ``instructions``, ``cycles`` or ``microseconds``."""
        return self.device.unit

    @property
    def clock_hz(self) -> int:
        """The rate of a counter of cycles or microseconds; 0 where there is none."""
        return self.device.clock_hz

    def __len__(self) -> int:
        return len(self.outputs[0])


class Runner(Protocol):
    """A way to run a model, known by its name."""

    @property
    def name(self) -> str:
        """``tflm``, ``board``, ...: what commands and reports call it."""

    def run(self, model: QuantizedModel, vectors: Vectors, *, operators: bool = False) -> Run:
        """Run all vectors; with ``operators`` also record every operator's output CRC."""

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:
        """One inference up to the operator with source index ``operator``; returns its output, as it is in
        the graph of this runner's runs.

        ``inputs`` are raw tensors without the sample axis, i.e. exactly the model's input shapes; of a
        sequence (T, *shape): the output is that of the last step.
        """
