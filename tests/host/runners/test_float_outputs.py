"""Why there are no float outputs, and which extra helps."""

from __future__ import annotations

import pytest

from conformance_models import onnx_nets
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import float_outputs
from pytest_quantcheck.runners.float_outputs import FloatOutputs

pytestmark = pytest.mark.host

TFLITE = QuantizedModel("digits", b"", float_model=(DATA / FLOAT_MODEL).read_bytes())
ONNX = QuantizedModel("net", b"", float_model=onnx_nets.residual())


@pytest.mark.parametrize(("model", "extra"), [(TFLITE, "virtual"), (ONNX, "onnx")], ids=["tflite", "onnx"])
def test_a_float_model_that_nothing_here_can_run_names_the_extra_that_can(monkeypatch, model, extra) -> None:
    monkeypatch.setattr(float_outputs, "find_spec", lambda package: None)
    told = FloatOutputs().missing(model)
    assert told.startswith("nothing here can run the float model: the package ")
    assert told.endswith(f'pip install "pytest-quantcheck[{extra}]"')


def test_without_a_float_model_it_is_asked_for_and_with_one_nothing_is_missing() -> None:
    assert "give quant(model=...)" in FloatOutputs().missing(QuantizedModel("digits", b""))
    assert FloatOutputs().missing(TFLITE) == FloatOutputs().missing(ONNX) == ""
