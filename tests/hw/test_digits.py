"""Digits on every board of the rig, tested as users test their models: by the plug-in's own fixtures."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.quant(
    model="conformance_models.digits:float_model",
    data="conformance_models.digits:dataset",
    input_type=["int8", "float32"],
    granularity=["per_channel", "per_tensor"],
    calibration="10%",
)


def test_host_accuracy(quantized_model, test_vectors, reference, gate):
    """All four configurations lose no more than one sample in a hundred."""
    verdict = gate.check(reference.run(quantized_model, test_vectors), max_drop=0.01, min_score=0.97)
    assert verdict.score.samples == 540


@pytest.mark.budget(instructions=600_000, arena_kib=8, flash_kib=12)
def test_on_board(board, quantized_model, test_vectors, gate):
    """Two integer cores; each board inherits the accuracy of the host, since it gives the same integers."""
    verdict = gate.check(board.run(quantized_model, test_vectors.take(range(40))), min_score=0.97)
    assert verdict.exact
    assert verdict.score.inherited == "tflm"


@pytest.mark.quant(input_type="uint8", granularity="per_channel", calibration="random:20")
def test_random_calibration_is_good_for_exactness_and_footprints(board, quantized_model, test_vectors, gate):
    """Nothing is claimed about accuracy."""
    verdict = gate.check(board.run(quantized_model, test_vectors.take(range(10))))
    assert verdict.exact
    assert [criterion.name for criterion in verdict.not_judged] == ["accuracy"]
