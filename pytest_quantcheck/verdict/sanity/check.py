"""``Sanity``: is there anything about model and data that makes a pass worth nothing? Asked once per pair."""

from __future__ import annotations

import hashlib

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.verdict.metrics.classification import class_count, correct, decisions, true_classes
from pytest_quantcheck.verdict.metrics.metric import Bools
from pytest_quantcheck.verdict.sanity.labels import (
    LABEL_ORDER,
    label_findings,
    one_class_findings,
    quantity_findings,
)
from pytest_quantcheck.verdict.sanity.preprocessing import most_tried, preprocessing_findings
from pytest_quantcheck.verdict.sanity.ranges import range_findings


class Sanity:
    """Keeps what it found, by the content of model and data. ``floats`` runs the float model."""

    def __init__(self, floats: FloatSource) -> None:
        self._floats = floats
        self._found: dict[tuple[str, bytes], tuple[Finding, ...]] = {}

    def findings(self, model: QuantizedModel, data: Dataset) -> tuple[Finding, ...]:
        """What is suspicious, each with its remedy; nothing where nothing can be asked."""
        key = model.sha256, data.test.digest
        if key not in self._found:
            self._found[key] = (*range_findings(model, data), *self._of_labels(model, data))
        return self._found[key]

    def _of_labels(self, model: QuantizedModel, data: Dataset) -> tuple[Finding, ...]:
        """Of data with one truth or none, and a float model that runs."""
        key = hashlib.sha256(model.float_model).hexdigest(), data.test.digest + b"labels"
        if len(data.test.truths) > 1 or not model.float_model:
            return ()
        ask = self._ask if data.purpose.labels and data.test.truths else self._ask_without_labels
        if key not in self._found:
            try:
                self._found[key] = ask(model, data)
            except QuantcheckError:  # is reported where the score is computed
                self._found[key] = ()
        return self._found[key]

    def _ask(self, model: QuantizedModel, data: Dataset) -> tuple[Finding, ...]:
        outputs = self._floats(model, data.test)
        if outputs is None or len(outputs) != 1:
            return ()
        labels, classes = true_classes(outputs[0], data.test.truths[0]), class_count(outputs[0])
        found = list(label_findings(decisions(outputs[0]), labels, classes, data.classes))
        if any(each.code == LABEL_ORDER for each in found):  # wrong labels cannot judge preprocessing
            return tuple(found)

        def right(samples: Samples) -> Bools:
            given = self._floats(model, samples)
            assert given is not None, "it gave outputs above"
            return correct(given[0], samples.truths[0])

        few = min(len(data.test), most_tried(len(model.float_model)))
        chosen = data.test.take(subset(data.test, few))
        return (*found, *preprocessing_findings(chosen, right))

    def _ask_without_labels(self, model: QuantizedModel, data: Dataset) -> tuple[Finding, ...]:
        """Of quantities with truth, and of classes without."""
        outputs = self._floats(model, data.test)
        if outputs is None or len(outputs) != 1:
            return ()
        if data.test.truths and data.purpose.metrics[:1] == ("rmse",):
            return tuple(quantity_findings(outputs[0], data.test.truths[0]))
        if not data.test.truths and data.purpose.unlabelled[:1] == ("agreement",):
            return tuple(one_class_findings(decisions(outputs[0])))
        return ()
