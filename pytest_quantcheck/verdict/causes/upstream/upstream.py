"""Why accuracy is low although the integers agree: samples, labels, files, weights, scales, in that order."""

from __future__ import annotations

from contextlib import suppress

from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatSource
from pytest_quantcheck.verdict.causes.cause import UNKNOWN, Cause
from pytest_quantcheck.verdict.causes.upstream.facts import file_causes, tie_cause
from pytest_quantcheck.verdict.causes.upstream.samples import sample_causes
from pytest_quantcheck.verdict.causes.upstream.scales import scale_causes
from pytest_quantcheck.verdict.causes.upstream.study import RISE, TRIES, Study
from pytest_quantcheck.verdict.causes.upstream.weights import weight_causes
from pytest_quantcheck.verdict.metrics.paired import paired

_CHANCE = 0.05  # a loss that chance explains so well is none
_UNKNOWN_REMEDY = (
    "quantcheck explain shows the first layer whose signal drowns in noise; check that the float model is "
    "the one that was quantized."
)


def upstream_causes(
    model: QuantizedModel, data: Dataset, floats: FloatSource, tries: int = TRIES
) -> list[Cause]:
    """Causes with evidence, the first one first. Where the score has dropped and nothing is proven, one
    ``UNKNOWN`` that says how far it has; nothing where nothing is wrong.

    Costs some passes of the float model and of the network in real numbers; ``tries`` is how many layers,
    the worst ones, are undone one by one.
    """
    found = list(file_causes(model))
    with suppress(QuantcheckError):
        found += sample_causes(model, data, floats)
    with suppress(QuantcheckError):
        found += quantization_causes(Study(model, data, floats), tries)
    return found


def quantization_causes(study: Study, tries: int = TRIES) -> list[Cause]:
    """What quantizing cost, and why."""
    drop = float(study.float_right.mean() - study.integer_right.mean())
    if drop < RISE or paired(study.float_right, study.integer_right).p_value > _CHANCE:
        return []
    weights, scales = weight_causes(study, tries), scale_causes(study, tries)
    of_weights = float(study.float_right.mean() - study.weights_right.mean())
    of_scales = float(study.weights_right.mean() - study.simulated_right.mean())
    found = [*tie_cause(study), *(weights + scales if of_weights >= of_scales else scales + weights)]
    if found:
        return found
    of = "samples" if study.classes else "values"
    cost = f"quantizing costs {drop:.1%} of {len(study.float_right)} {of}"
    text = f"{cost}, and nothing that is known explains it"
    return [Cause(UNKNOWN, text, remedy=_UNKNOWN_REMEDY)]
