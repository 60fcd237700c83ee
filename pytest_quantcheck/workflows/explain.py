"""The whole diagnosis of one quantized model: each stage's score, each layer's noise, board, causes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.float_execute import run_float
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.causes.catalogue import remedied
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.counters import rig_causes
from pytest_quantcheck.verdict.causes.upstream.study import RISE, Study
from pytest_quantcheck.verdict.causes.upstream.upstream import upstream_causes
from pytest_quantcheck.verdict.causes.upstream.weights import float_weights
from pytest_quantcheck.verdict.differing import differing_samples
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.locate import locate
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.metrics.paired import paired
from pytest_quantcheck.verdict.metrics.regression import sqnr
from pytest_quantcheck.wording import counted, shortened

COLLAPSED = 10.0  # dB: a layer's noise is a tenth of its signal


@dataclass(frozen=True)
class Stage:
    """What is right of all, with the network as far on its way to integers as ``name`` says."""

    name: str
    right: int
    total: int


@dataclass(frozen=True)
class Layer:
    """An operator's output beside the network in real numbers: signal to noise in dB; None: no noise."""

    operator: int
    kind: str
    tensor: str
    sqnr: float | None


@dataclass(frozen=True)
class Board:
    """A board beside the exact integers on a part of the samples."""

    name: str
    runtime: str
    samples: int
    differing: int


@dataclass(frozen=True)
class Explanation:
    """``measure`` says what the stages count. ``collapse`` is the first layer with almost as much noise as
    signal. ``lost`` and ``gained`` are samples that only the float model, or only the integers have right.
    ``reason`` says why there are no stages and layers, where there are none.
    """

    samples: int
    measure: str = ""
    stages: tuple[Stage, ...] = ()
    layers: tuple[Layer, ...] = ()
    collapse: Layer | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    board: Board | None = None
    divergence: Divergence | None = None
    causes: tuple[Cause, ...] = ()
    reason: str = ""

    @property
    def sound(self) -> bool:
        """Whether there is nothing to explain."""
        return self.divergence is None and not self.causes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the JSON document."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        if self.reason:
            yield f"the network cannot be computed here: {self.reason}"
        if self.stages:
            yield f"{self.measure}, {counted(self.samples, 'sample')}"
            width = max(len(stage.name) for stage in self.stages)
            for stage in self.stages:
                share = f"{stage.right / max(stage.total, 1):7.1%}"
                yield f"  {stage.name:{width}} {share}  ({stage.right} of {stage.total})"
        for names, words in ((self.lost, "lost against"), (self.gained, "gained over")):
            if names:
                yield f"{counted(len(names), 'sample')} {words} the float model: {shortened(list(names), 5)}"
        yield from self._layer_lines()
        if self.board is not None and self.divergence is None:
            count = counted(self.board.samples, "output")
            yield f"{self.board.name} ({self.board.runtime}): {count}, all the exact integers"
        if self.board is not None and self.divergence is not None:
            yield f"{self.board.name} ({self.board.runtime}):"
            yield from (f"  {line}" for line in str(self.divergence).splitlines())
        for cause in self.causes:
            yield from str(cause).splitlines()
        if self.sound:
            yield f"nothing to explain: quantizing costs less than {RISE:.0%} here{self._yet()}"

    def _yet(self) -> str:
        if self.collapse is None:
            return ""
        return (
            f", yet operator {self.collapse.operator} has almost as much noise as signal: try other samples"
        )

    def _layer_lines(self) -> Iterator[str]:
        if not self.layers:
            return
        yield "signal to noise of each operator's output, beside the network in real numbers:"
        for layer in self.layers:
            level = "exact" if layer.sqnr is None else f"{layer.sqnr:5.1f} dB"
            mark = "  <- the first that collapses" if layer == self.collapse else ""
            yield f"  {layer.operator:3} {layer.kind:18} {level}{mark}"


def explain(
    model: QuantizedModel,
    data: Dataset,
    floats: FloatSource,
    board: Runner | None = None,
    vectors: int = 20,
) -> Explanation:
    """Diagnose ``model`` on the test samples of ``data``; ``board`` computes ``vectors`` of them, too.

    Raises what the runners do; a network that our interpreter does not know is explained by its files only.
    """
    causes = upstream_causes(model, data, floats)
    found = Explanation(samples=len(data.test))
    try:
        found = _of_stages(Study(model, data, floats))
    except ModelError as error:
        found = replace(found, reason=str(error))
    if board is not None:
        found, more = _on_board(found, model, data.test, board, vectors)
        causes += more
    return replace(found, causes=remedied(causes))


def _of_stages(study: Study) -> Explanation:
    real, integers = study.float_right, study.integer_right
    first = "float model" if study.from_file else "network in real numbers"
    stages = [
        _stage(first, real),
        _stage("quantized weights, real activations", study.weights_right),
        _stage("integers", integers),
    ]
    names, flips = study.samples.names, paired(real, integers)
    each = len(real) == len(names)
    layers = tuple(_layers(study))
    low = (layer for layer in layers if layer.sqnr is not None and layer.sqnr < COLLAPSED)
    return Explanation(
        samples=len(study),
        measure=_measure(study),
        stages=tuple(stages),
        layers=layers,
        collapse=next(low, None),
        lost=tuple(names[i] for i in np.flatnonzero(real & ~integers)) if each and flips.lost else (),
        gained=tuple(names[i] for i in np.flatnonzero(integers & ~real)) if each and flips.gained else (),
    )


def _stage(name: str, right: Bools) -> Stage:
    return Stage(name, int(right.sum()), len(right))


def _measure(study: Study) -> str:
    if study.labels is not None:
        return "right class"
    theirs = "the float model" if study.from_file else "the network in real numbers"
    return f"class of {theirs}" if study.classes else f"values near {theirs}"


def _layers(study: Study) -> Iterator[Layer]:
    """Beside the float model's weights where they can be told, else the quantized ones in real numbers."""
    weights = {op.inputs[1]: values for op, values in float_weights(study)}
    real = run_float(study.graph, study.inputs, constants=weights)
    for op in study.graph.operators:
        index = op.outputs[0]
        if index in study.rounded:
            level = sqnr(study.real(index), computed(real[index]))
            tensor = study.graph.tensors[index].name
            yield Layer(op.source, op.kind, tensor, float(level) if np.isfinite(level) else None)


def _on_board(
    found: Explanation, model: QuantizedModel, samples: Samples, board: Runner, vectors: int
) -> tuple[Explanation, list[Cause]]:
    chosen = samples.take(subset(samples, min(vectors, len(samples))))
    run = board.run(model, chosen)
    reference = IntegerRunner()
    expected = reference.run(model, chosen)
    differing = len(differing_samples(run, expected))
    beside = Board(run.device.board or run.runner, run.runtime, len(run), differing)
    divergence = locate(run, expected, board, reference_runner=reference) if differing else None
    return replace(found, board=beside, divergence=divergence), rig_causes(run)
