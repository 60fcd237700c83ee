"""An ONNX network on every board of the rig: onnxruntime's arithmetic in integers, by our own fixtures."""

from __future__ import annotations

import pytest

from pytest_quantcheck.runners.registry import host_runner

pytestmark = pytest.mark.quant(
    model="conformance_models.onnx_nets:residual",
    data="conformance_models.onnx_nets:residual_data",
    quantizer="onnx",
    scheme=["int8", "uint8"],
)


@pytest.mark.quant(granularity=["per_channel", "per_tensor"])
def test_the_exact_integers_are_onnxruntimes_or_one_step_away(quantized_model, test_vectors, reference, gate):
    run = reference.run(quantized_model, test_vectors)
    assert run.runner == "integer"
    gate.check(host_runner("onnxruntime").run(quantized_model, test_vectors), exact=False, max_lsb=1)
    gate.check(run, min_score=0.95)  # without labels: agreement with the float model


@pytest.mark.quant(granularity=["per_channel", "per_tensor"])
def test_on_board(board, quantized_model, test_vectors, gate):
    verdict = gate.check(board.run(quantized_model, test_vectors.take(range(4)), operators=True))
    assert verdict.exact
    assert verdict.score.inherited == "integer"


@pytest.mark.quant(input_type="float32", output_type="float32")
def test_floats_at_the_edges_on_board(board, quantized_model, test_vectors, gate):
    assert gate.check(board.run(quantized_model, test_vectors.take(range(4)))).exact
