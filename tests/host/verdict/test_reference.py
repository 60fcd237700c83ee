"""Which runner a model's reference is: by its format, and by what is quantized in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conformance_models import onnx_nets
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.tflm import TflmRunner
from pytest_quantcheck.verdict.gate import Gate

pytestmark = pytest.mark.host

WEIGHTS = np.arange(-6, 6).reshape(3, 4)
X = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)


def dense(kept: str) -> QuantizedModel:
    """FULLY_CONNECTED in float32 with WEIGHTS / 4 kept as int8, float16 or float32."""
    writer = TfliteWriter()
    x = writer.tensor((1, 4), "float32")
    if kept == "int8":
        weights = writer.tensor((3, 4), scale=0.25, data=WEIGHTS)
    else:
        weights = writer.tensor((3, 4), kept, data=WEIGHTS / 4)
    if kept == "float16":
        wide = writer.tensor((3, 4), "float32")
        writer.operator("DEQUANTIZE", [weights], [wide])
        weights = wide
    y = writer.tensor((1, 3), "float32")
    writer.operator("FULLY_CONNECTED", [x, weights, None], [y], FusedActivationFunction=0)
    return QuantizedModel(kept, writer.finish([x], [y]))


@pytest.mark.parametrize(("kept", "runner"), [("int8", "litert"), ("float16", "litert"), ("float32", "tflm")])
def test_weights_alone_quantized_run_on_litert(kept: str, runner: str) -> None:
    run = exact_runner().run(dense(kept), Samples(X))
    assert run.runner == runner
    np.testing.assert_allclose(run.outputs[0], X @ WEIGHTS.T / 4, atol=0.03)


def relu() -> QuantizedModel:
    ends = [onnx_nets.Q(0.1, 0)], onnx_nets.Q(0.1, 0)
    return QuantizedModel("relu", onnx_nets.between("Relu", [(1, 4)], *ends, (1, 4)))


@pytest.mark.parametrize("model", [dense("int8"), relu()], ids=["weights only", "onnx"])
def test_a_run_of_the_reference_is_not_equal_to_itself_whichever_runner_it_was(model: QuantizedModel) -> None:
    reference = Remembering(exact_runner())
    gate, run = Gate(reference=reference), reference.run(model, Samples(X))
    assert run.runner != reference.name
    assert gate.check(run, allow_unjudged=True).criteria == ()
    with pytest.raises(UsageError, match="the run is the reference's own"):
        gate.check(run, exact=True)


@pytest.mark.parametrize("kept", ["int8", "float16"])
def test_tflm_and_check_say_what_such_a_model_is(
    kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = dense(kept)
    assert read_summary(model.artefact).weights_only == kept
    with pytest.raises(ModelError, match=rf"has {kept} weights, but computes in float32.*run it with litert"):
        TflmRunner().run(model, Samples(X))
    (tmp_path / "m.tflite").write_bytes(model.artefact)
    assert main(["check", str(tmp_path / "m.tflite"), "--target", "esp32c3"]) == 2
    assert f"has {kept} weights, but computes in float32; boards compute in" in capsys.readouterr().err
