"""Scores of a new artefact and of its float model on the given data: the last lines of ``quantize``."""

from __future__ import annotations

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import MissingExtraError
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.verdict.measure import measure
from pytest_quantcheck.verdict.metrics.registry import find
from pytest_quantcheck.verdict.sanity.check import Sanity
from pytest_quantcheck.verdict.score import Score


def first_score(
    model: QuantizedModel, data: Dataset | Samples | None
) -> tuple[tuple[Score, ...], tuple[Finding, ...]]:
    """The scores of ``model`` by the first metric of the data's task, and what is suspicious about the data.

    Of a ``Dataset`` on its test samples, of ``Samples`` with class labels on them. Nothing where there is
    no truth, no runner, or the calibration was random. Raises ``UsageError`` where truth and outputs do not
    fit together.
    """
    if data is None or model.random_calibration:
        return (), ()
    if isinstance(data, Samples):
        if data.labels is None:
            return (), ()
        data = Dataset(calibration=data, test=data)
    if not data.test.truths or not data.purpose.metrics:
        return (), ()
    floats = FloatOutputs()
    try:
        run = exact_runner().run(model, data.test)
        outputs = floats(model, data.test)
    except MissingExtraError:  # the artefact is made all the same
        return (), ()
    scores = measure(run, data.test, data.purpose, find(data.purpose.metrics[0]), outputs)
    return scores, Sanity(floats).findings(model, data)
