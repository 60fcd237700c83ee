"""Why the score is low although the integers agree: named where undoing the suspect brings it back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models, demo_samples
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.verdict.causes.upstream.study import Study
from pytest_quantcheck.verdict.causes.upstream.upstream import upstream_causes

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def floats() -> FloatOutputs:
    return FloatOutputs()


def test_a_sound_model_has_no_cause(floats: FloatOutputs) -> None:
    assert upstream_causes(demo_models()[0], demo_dataset(), floats) == []


def test_the_evidence_says_the_scores_with_and_without(floats: FloatOutputs) -> None:
    samples = demo_samples()
    wrong = Samples(samples.inputs[0] * 255, samples.y, samples.names)
    causes = upstream_causes(demo_models()[0], Dataset(wrong.take([]), wrong), floats)
    assert [each.code for each in causes] == ["preprocessing"]
    assert causes[0].text == "the samples should be divided by 255"
    assert "of 200 test samples" in causes[0].evidence or "On 200 test samples" in causes[0].evidence


def test_a_change_that_brings_back_only_a_part_is_a_suspicion(floats: FloatOutputs) -> None:
    """Half of the labels are wrong: dividing by 255 helps, and is not what is wrong."""
    samples = demo_samples()
    assert samples.labels is not None
    labels = np.asarray(samples.labels)
    labels = np.where(np.arange(len(samples)) % 2, labels, (labels + 3) % 10)
    wrong = Samples(samples.inputs[0] * 255, labels, samples.names)
    cause = upstream_causes(demo_models()[0], Dataset(wrong.take([]), wrong), floats)[0]
    assert cause.code == "preprocessing"
    assert not cause.proven
    assert cause.reason.startswith(
        "cause: unknown; perhaps samples that should be divided by 255: On 200 test"
    )


def test_without_a_float_model_the_quantized_weights_in_real_numbers_take_its_place(
    floats: FloatOutputs,
) -> None:
    model = replace(demo_models()[0], float_model=b"")
    study = Study(model, demo_dataset(), floats)
    assert not study.from_file
    assert study.float_right.mean() > 0.95
    assert upstream_causes(model, demo_dataset(), floats) == []


def test_a_drop_that_nothing_explains_is_unknown(floats: FloatOutputs) -> None:
    """Another float model than the artefact's: its digits are mirrored in value."""
    samples = demo_samples()

    class Other:
        def __call__(self, model: QuantizedModel, samples: Samples) -> tuple[np.ndarray, ...] | None:
            found = floats(model, samples)
            return None if found is None else tuple(np.roll(each, 1, axis=1) for each in found)

        def missing(self, model: QuantizedModel) -> str:
            return floats.missing(model)

    bare = Samples(samples.inputs[0], None, samples.names)
    causes = upstream_causes(demo_models()[0], Dataset(bare.take([]), bare), Other())
    assert [each.code for each in causes] == ["unknown"]
    assert "quantizing costs" in causes[0].text


def test_a_loss_that_chance_explains_is_none(floats: FloatOutputs) -> None:
    """Two of twenty-four samples flipped."""
    samples = demo_samples().take(range(24))
    given = floats(demo_models()[0], samples)
    assert given is not None

    class Nearly:
        def __call__(self, model: QuantizedModel, samples: Samples) -> tuple[np.ndarray, ...]:
            outputs = given[0].copy()
            outputs[:2] = np.roll(outputs[:2], 1, axis=1)
            return (outputs,)

        def missing(self, model: QuantizedModel) -> str:
            return ""

    bare = Samples(samples.inputs[0], None, samples.names)
    assert upstream_causes(demo_models()[0], Dataset(bare.take([]), bare), Nearly()) == []
