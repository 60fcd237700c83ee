"""Nine combinations of types at the edges, two granularities, two networks: on the host and on all boards."""

from __future__ import annotations

import pytest

from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.quantizers.audit.tflite import granularity_of

TYPES = ["int8", "uint8", "float32"]

pytestmark = pytest.mark.quant(
    data="conformance_models.digits:dataset",
    input_type=TYPES,
    output_type=TYPES,
    granularity=["per_channel", "per_tensor"],
    calibration="20%",
)


class EveryEdge:
    """What holds for both networks."""

    def test_the_artefact_is_what_was_asked_for_and_loses_no_more_than_a_point(
        self, quantized_model, quant_config, test_vectors, reference, gate
    ):
        summary = read_summary(quantized_model.artefact)
        assert [t.dtype for t in summary.input_tensors] == [quant_config.input_type]
        assert [t.dtype for t in summary.output_tensors] == [quant_config.output_type]
        assert granularity_of(summary) == quant_config.granularity
        per_channel = quant_config.granularity == "per_channel"  # how much one scale for all loses varies
        run = reference.run(quantized_model, test_vectors)
        gate.check(run, max_drop=0.01 if per_channel else None, allow_unjudged=not per_channel)

    @pytest.mark.hw(io="all")
    def test_a_board_gives_the_integers_of_the_host(self, board, quantized_model, test_vectors, gate):
        assert gate.check(board.run(quantized_model, test_vectors.take(range(2)))).exact


@pytest.mark.quant(model="conformance_models.digits:float_model")
class TestDigits(EveryEdge):
    """Convolutions, a residual, both kinds of pooling."""


@pytest.mark.quant(model="conformance_models.mobilenetv2:float_model")
class TestMobilenetv2(EveryEdge):
    """Inverted residuals, depthwise layers, ReLU6."""
