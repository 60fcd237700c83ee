"""A network with power-of-two scales on every board of the rig: the integers of the interpreter."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.quant(
    model="conformance_models.onnx_nets:residual",
    data="conformance_models.onnx_nets:residual_data",
    quantizer="espdl",
    scheme=["int8", "int16"],
    options={"target": "esp32c3"},
)


def test_the_integers_stay_near_the_float_model(quantized_model, test_vectors, reference, gate):
    run = reference.run(quantized_model, test_vectors)
    assert run.runner == "integer"
    gate.check(run, min_score=0.95)  # without labels: agreement with the float model


def test_on_board(board, quantized_model, test_vectors, gate):
    verdict = gate.check(board.run(quantized_model, test_vectors.take(range(4)), operators=True))
    assert verdict.exact
    assert verdict.score.inherited == "integer"


@pytest.mark.quant(scheme="int8", granularity="per_channel", options={"target": "esp32p4"})
def test_the_rule_of_another_chip_on_board(board, quantized_model, test_vectors, gate):
    assert gate.check(board.run(quantized_model, test_vectors.take(range(4)))).exact


@pytest.mark.quant(scheme="int16", options={"target": "esp32s3", "generation": 1})
def test_sums_that_are_rounded_down_on_board(board, quantized_model, test_vectors, gate):
    assert gate.check(board.run(quantized_model, test_vectors.take(range(4)))).exact


@pytest.mark.quant(
    model="conformance_models.mnist_gemm:onnx_model",
    data="conformance_models.mnist_gemm:dataset",
    options={"target": "esp32s3", "generation": 1},
    calibration="count:100",
)
def test_the_tutorials_network_on_board(board, quantized_model, test_vectors, reference, gate):
    most = {"int8": 0.02, "int16": 0.005}[quantized_model.config.scheme]
    gate.check(reference.run(quantized_model, test_vectors), max_drop=most)
    assert gate.check(board.run(quantized_model, test_vectors.take(range(6)))).exact
