"""``Study``: a quantized model beside its float model, to see what undoing a suspect changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import Values, computed
from pytest_quantcheck.graph.float_execute import activations, run_float
from pytest_quantcheck.graph.macs import graph_macs
from pytest_quantcheck.graph.model import QuantGraph, Quantization
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.verdict.metrics.classification import class_count, decisions
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.metrics.paired import paired

TRIES = 16  # layers that are undone one by one
RISE = 0.02  # of the samples: less is not looked at
SURE = 0.01  # chance that explains as much
_HALF = 0.5  # of what was lost must come back
_PRODUCTS = 300_000_000  # multiplications of one pass: seconds on one core
_FEWEST, _MOST = 24, 200  # samples
_CLOSE = 10.0  # dB: what has no classes is right where its error is that far below the float model's output


class Study:
    """``right`` says whether outputs, real numbers, are as good as they should be.

    With labels of classes that is of each sample whether the class is named; without, whether the float
    model's class is; for other outputs of each sample and each of the last axis's values whether it is near
    the float model's. Raises what the runners do.
    """

    def __init__(self, model: QuantizedModel, data: Dataset, floats: FloatSource) -> None:
        self.model, self.data = model, data
        self.graph: QuantGraph = model.graph
        affordable = _PRODUCTS // max(graph_macs(self.graph), 1)
        count = min(len(data.test), max(_FEWEST, min(_MOST, affordable)))
        self.samples: Samples = data.test.take(subset(data.test, count))
        found = floats(model, self.samples)
        self.from_file = found is not None
        self.float_outputs: tuple[Array, ...] = found if found is not None else self.outputs(self.plain)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def inputs(self) -> list[Array]:
        """Real inputs, (N, *shape) each."""
        shapes = [self.graph.tensors[i].shape for i in self.graph.inputs]
        pairs = zip(self.samples.inputs, shapes, strict=True)
        return [np.asarray(x, np.float32).reshape(len(x), *shape) for x, shape in pairs]

    @cached_property
    def integers(self) -> Values:
        """Every tensor of the integer network, raw."""
        raw = prepare.model_inputs(self.model, prepare.quantize_inputs(self.model, self.samples))
        return execute.run_batch(self.graph, raw)

    @cached_property
    def plain(self) -> Values:
        """Every tensor with quantized weights and real activations."""
        return run_float(self.graph, self.inputs)

    @cached_property
    def rounded(self) -> tuple[int, ...]:
        """All activations that have a scale."""
        return activations(self.graph)

    def real(self, index: int) -> Array:
        """A tensor of the integer network in real numbers."""
        tensor, raw = self.graph.tensors[index], computed(self.integers[index])
        q = tensor.quantization
        if q is None or raw.dtype.kind not in "iu":
            return np.asarray(raw, np.float32)
        return np.asarray((raw - q.zero_point[0]) * q.scale[0], np.float32)

    def simulated(
        self,
        *,
        left_out: Collection[int] = (),
        constants: Mapping[int, Array] | None = None,
        scales: Mapping[int, Quantization] | None = None,
        exact: bool = False,
    ) -> Bools:
        """What is right with all activations rounded but those ``left_out``; ``exact``: none is."""
        chosen = () if exact else [i for i in self.rounded if i not in left_out]
        values = run_float(self.graph, self.inputs, rounded=chosen, constants=constants, scales=scales)
        return self.right(self.outputs(values))

    def outputs(self, values: Values) -> tuple[Array, ...]:
        """The outputs among the values of a float run, as a float model gives them."""
        whole = [np.asarray(computed(values[i])) for i in self.graph.outputs]
        return prepare.model_outputs(self.model, whole)

    @cached_property
    def float_right(self) -> Bools:
        """Which samples the float model has right."""
        return self.right(self.float_outputs)

    @cached_property
    def integer_right(self) -> Bools:
        """Which samples the integer network has right."""
        whole = tuple(self.real(i) for i in self.graph.outputs)
        return self.right(prepare.model_outputs(self.model, whole))

    @cached_property
    def simulated_right(self) -> Bools:
        """Which samples are right with everything rounded in real arithmetic: nearly the integer network."""
        return self.simulated()

    @cached_property
    def weights_right(self) -> Bools:
        """Which samples are right with quantized weights and real activations."""
        return self.right(self.outputs(self.plain))

    @property
    def classes(self) -> bool:
        """Whether the first output names classes."""
        first = self.float_outputs[0]
        one = len(self.float_outputs) == 1 and first.ndim == 2 and first.shape[1] > 1
        return one and self.data.purpose.labels

    @cached_property
    def labels(self) -> Array | None:
        """The class of each sample, where the samples say it and the output can name it."""
        labels = self.samples.labels
        if labels is None or not self.classes:
            return None
        known = np.asarray(labels)
        return known if known.min() >= 0 and known.max() < class_count(self.float_outputs[0]) else None

    def right(self, outputs: tuple[Array, ...]) -> Bools:
        """See the class."""
        if self.classes:
            wanted = self.labels if self.labels is not None else decisions(self.float_outputs[0])
            return np.asarray(decisions(outputs[0]) == wanted, dtype=np.bool_)
        pairs = zip(outputs, self.float_outputs, strict=True)
        near = np.concatenate([_near(mine, theirs) for mine, theirs in pairs])
        if not len(near):
            raise UsageError(
                "the float outputs are 0 for all of these samples: give samples that the model answers to"
            )
        return near

    def rises(self, before: Bools, after: Bools) -> bool:
        """Whether so many more samples are right that neither chance nor another fault explains it."""
        flips = paired(before, after)
        gain, lost = float(after.mean() - before.mean()), float(self.float_right.mean() - before.mean())
        return gain >= max(RISE, _HALF * lost) and flips.p_value <= SURE

    def told(self, before: Bools, after: Bools, undone: str) -> str:
        """A rise in words, with the numbers that show it."""
        what, of = ("right on", "samples") if self.classes else ("near the float model on", "values")
        return (
            f"the quantized network is {what} {before.mean():.1%} of {len(before)} {of}; {undone} it is on "
            f"{after.mean():.1%} (float model {self.float_right.mean():.1%})"
        )


def _near(mine: Array, theirs: Array) -> Bools:
    """Of each sample and last axis's value, whether its error is far below what the float model's values
    spread over the samples. Values that do not spread are left out.
    """
    its = theirs.reshape(len(theirs), -1, theirs.shape[-1]).astype(np.float64)
    error = np.square(mine.reshape(its.shape) - its).mean(axis=1)
    spread = its.var(axis=(0, 1))
    good: Bools = error * 10 ** (_CLOSE / 10) <= spread
    return good[:, spread > 0].reshape(-1)
