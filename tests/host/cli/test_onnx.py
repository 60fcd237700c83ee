"""The commands take ONNX models: quantize, check, compare, and words for what is missing or wrong."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import MissingExtraError
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(nets.residual())
    data = nets.residual_data()
    np.save("samples.npy", data.calibration.x)
    np.save("x.npy", np.random.default_rng(0).integers(-128, 128, (4, 3, 12, 10)).astype(np.int8))
    return tmp_path


def quantize(*more):
    return main(["quantize", "net.onnx", "-o", "int8.onnx", "--data", "samples.npy", *more])


def test_a_file_is_quantized_checked_and_compared(folder, capsys):
    assert quantize("--option", "method=percentile", "--option", "percentile=99.9") == 0
    assert json.loads((folder / "int8.onnx.json").read_text())["config"]["quantizer"] == "onnx"
    assert main(["check", "int8.onnx", "--target", "virtual-esp32c3"]) == 0
    told = capsys.readouterr().out
    assert "net-onnx-i8-i8-perchannel-percentile99.9-cal100pct" in told
    assert "input  image  int8 (1, 3, 12, 10)" in told
    assert "will run on virtual-esp32c3" in told
    assert main(["compare", "int8.onnx", "--a", "integer", "--b", "onnxruntime", "--inputs", "x.npy"]) in (
        0,
        1,
    )
    assert "b: onnxruntime (onnxruntime 1." in capsys.readouterr().out


def test_a_suffix_that_is_not_the_artefacts_is_told(folder, capsys):
    assert main(["quantize", "net.onnx", "-o", "int8.tflite", "--data", "samples.npy"]) == 2
    assert "give a name that ends in .onnx" in capsys.readouterr().err


def test_a_float_model_is_told_how_to_become_an_artefact(folder, capsys):
    assert main(["check", "net.onnx", "--target", "esp32c3"]) == 2
    assert "quantcheck quantize net.onnx -o net_int8.onnx" in capsys.readouterr().err


def test_an_operator_that_does_not_run_is_named(folder, capsys):
    content = nets.between("Sign", [(1, 4)], [nets.Q(0.1, 0)], nets.Q(0.1, 0), (1, 4))
    (folder / "sign.onnx").write_bytes(content)
    assert main(["check", "sign.onnx", "--target", "esp32c3"]) == 1
    told = capsys.readouterr().out
    assert "Sign is not supported: operator 1 (layer 't1'). Compute it before the network" in told
    assert "Supported: Conv, Gemm" in told


def test_tflm_is_told_not_to_be_for_onnx(folder, capsys):
    quantize()
    assert main(["compare", "int8.onnx", "--a", "tflm", "--b", "integer", "--inputs", "x.npy"]) == 2
    assert "this is an ONNX model, which TensorFlow Lite Micro does not run" in capsys.readouterr().err


def test_without_the_extra_its_name_is_told(monkeypatch):
    content, x = load(nets.flattened(seed=9)).onnx, Samples(np.ones((1, 2, 4, 6), np.float32))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"'onnxruntime'.*pytest-quantcheck\[onnx\]"):
        OnnxruntimeRunner().run(QuantizedModel("float", content), x)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"'onnx'.*pytest-quantcheck\[onnx\]"):
        load(nets.flattened())


def test_exact_integers_and_float_outputs_go_by_the_format():
    data = nets.residual_data()
    content = nets.between("Relu", [(1, 4)], [nets.Q(0.1, 0)], nets.Q(0.1, 0), (1, 4))
    x = Samples(np.ones((2, 4), np.float32))
    assert exact_runner().run(QuantizedModel("relu", content), x).runner == "integer"
    model = QuantizedModel("relu", content, float_model=load(nets.residual()).onnx)
    (floats,) = FloatOutputs()(model, data.test)
    expected = OnnxruntimeRunner().run(QuantizedModel("float", model.float_model), data.test).outputs[0]
    np.testing.assert_array_equal(floats, expected)
