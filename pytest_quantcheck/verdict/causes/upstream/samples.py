"""Do the samples fit the float model? Undone mistakes of preprocessing, labels, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.metrics.classification import class_count, correct, decisions
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.metrics.paired import paired
from pytest_quantcheck.verdict.sanity.labels import LABEL_ORDER, label_findings
from pytest_quantcheck.verdict.sanity.preprocessing import best_change, most_tried

_CHANCE = 0.001


def sample_causes(model: QuantizedModel, data: Dataset, floats: FloatSource) -> Iterator[Cause]:
    """Of a classification with labels; nothing of other tasks."""
    few = min(len(data.test), most_tried(len(model.float_model)))
    samples = data.test.take(subset(data.test, few))
    outputs = floats(model, samples)
    if outputs is None or not data.purpose.labels or samples.labels is None:
        return
    if len(samples.truths) > 1:
        yield from _outputs_order(outputs, samples)
        return
    labels = np.asarray(samples.labels)
    classes = class_count(outputs[0])
    if len(outputs) != 1 or labels.min() < 0 or labels.max() >= classes:
        return
    for finding in label_findings(decisions(outputs[0]), labels, classes, data.classes):
        if finding.code == LABEL_ORDER:
            yield Cause(
                "label_order", finding.sentence.partition(" with ")[2] or finding.sentence, finding.sentence
            )
            return

    def right(changed: Samples) -> Bools:
        given = floats(model, changed)
        assert given is not None, "it gave outputs above"
        return correct(given[0], changed.truths[0])

    best = best_change(samples, right, data.calibration if len(data.calibration) else None)
    if best is not None and best.convincing:
        yield Cause(best.code, f"the samples should be {best.words}", best.sentence)
    elif best is not None:
        yield Cause(best.code, f"perhaps samples that should be {best.words}: {best.sentence}")


def _outputs_order(outputs: tuple[np.ndarray, ...], samples: Samples) -> Iterator[Cause]:
    """Truth for several outputs, right for more samples with the outputs in another order."""
    truths = samples.truths
    if len(outputs) != len(truths) or len(outputs) > 4:
        return
    if any(t.ndim != 1 or t.dtype.kind not in "iu" for t in truths):
        return

    def right(order: tuple[int, ...]) -> Bools | None:
        parts = []
        for place, truth in zip(order, truths, strict=True):
            if truth.max(initial=0) >= class_count(outputs[place]):
                return None
            parts.append(correct(outputs[place], truth))
        return np.concatenate(parts)

    before = right(tuple(range(len(outputs))))
    for order in permutations(range(len(outputs))):
        after = right(order)
        if before is None or after is None:
            continue
        flips = paired(before, after)
        if flips.gained > flips.lost and flips.p_value <= _CHANCE:
            text = f"outputs in the order {', '.join(map(str, order))}"
            told = (
                f"the float model is right on {before.mean():.1%} of all truths; with {text} on "
                f"{after.mean():.1%}"
            )
            yield Cause("outputs_order", text, told)
            return
