"""The class for ESP-DL 1.1, compiled against headers written here and run: what is built, called, freed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from conformance_models import mnist_gemm
from conformance_models import onnx_nets as nets
from pytest_quantcheck.cli import main
from pytest_quantcheck.errors import QuantizationError, UsageError
from pytest_quantcheck.workflows.espdl import Calibrator
from tests.espdl_headers import write_headers

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PROGRAM = """#include "{name}_model.hpp"
int main() {{
  {kind} model;
  dl::Tensor<{feature}> input("input");
  model.build(input);
  model.call(input);
  printf("result %s\\n", model.{last}.get_output().name.c_str());
  return 0;
}}
"""


def events(folder: Path, name: str, kind: str, feature: str, last: str) -> list[str]:
    """What the compiled class does, line by line."""
    write_headers(folder)
    (folder / "main.cpp").write_text(PROGRAM.format(name=name, kind=kind, feature=feature, last=last))
    compiler = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-I.", f"{name}.cpp", "main.cpp"]
    subprocess.run([*compiler, "-o", "program"], cwd=folder, check=True)
    done = subprocess.run(["./program"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def export(folder: Path, model: Any, samples: Any, bit: str, granularity: str, name: str) -> str:
    calibrator = Calibrator(bit, granularity)
    calibrator.generate_quantization_table(model, samples, folder / "t.json")
    calibrator.export_coefficient_to_cpp(model, folder / "t.json", "esp32s3", folder, name)
    path = calibrator.export_model_class(model, folder / "t.json", "esp32s3", folder, name, "Net")
    assert path == folder / f"{name}_model.hpp"
    return path.read_text()


def test_the_tutorials_network_is_the_class_of_the_tutorial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mnist.onnx").write_bytes(mnist_gemm.onnx_model())
    np.save("calib.npy", np.asarray(mnist_gemm.dataset().calibration.x)[:20])
    words = ["mnist.onnx", "--bits", "16", "--data", "calib.npy", "-o", "mnist", "--model-class", "MNIST"]
    assert main(["export-espdl", *words]) == 0
    assert "The class MNIST is in mnist_model.hpp" in capsys.readouterr().out
    text = Path("mnist_model.hpp").read_text()
    assert "class MNIST : public dl::Model<int16_t>" in text
    assert "l1(dl::layer::Reshape<int16_t>({1, 1, 784}," in text
    layer = (
        "mnist::get_fused_gemm_2_filter(), mnist::get_fused_gemm_2_bias(), NULL, PADDING_SAME_END, {}, 1, 1"
    )
    assert layer in text
    assert events(tmp_path, "mnist", "MNIST", "int16_t", "l4") == [
        *("build l1 input", "build l2 l1", "build l3 l2", "build l4 l3"),
        *("call l1 input", "free input", "call l2 l1", "free l1", "call l3 l2", "free l2"),
        *("call l4 l3", "free l3", "result l4"),
    ]


def image_net() -> Any:
    """A residual, whose first part is read twice; depthwise, pools, a dense layer behind a turn to NHWC."""
    net = nets.Net(1)
    x = net.input("x", 1, 3, 8, 6)
    conv = net.op("Conv", x, net.normal(18, 3, 3, 3, scale=0.3), net.normal(18), pads=[1, 0, 2, 1])
    a = net.op("Relu", conv)
    b = net.op("Conv", a, net.normal(18, 1, 3, 3, scale=0.3), net.normal(18), group=18, pads=[1] * 4)
    c = net.op("Add", net.op("LeakyRelu", b, alpha=0.1), a)
    d = net.op("Relu", net.op("MaxPool", c, kernel_shape=[2, 2], strides=[2, 2]))
    e = net.op("AveragePool", d, kernel_shape=[2, 2], strides=[1, 1])
    flat = net.op("Flatten", net.op("Transpose", net.op("GlobalAveragePool", e), perm=[0, 2, 3, 1]))
    y = net.op("Gemm", flat, net.normal(18, 5), net.normal(5))
    return onnx.load_from_string(net.model({y: (1, 5)}))


def test_a_tensor_is_freed_behind_the_last_layer_that_reads_it(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(size=(8, 3, 8, 6)).astype(np.float32)
    text = export(tmp_path, image_net(), samples, "int8", "per-channel", "net")
    assert "PADDING_NOT_SET, {1, 2, 0, 1}, 1, 1" in text, "top, bottom, left, right"
    assert "dl::layer::Conv2D<int8_t, int16_t> l9;" in text, "biases of dense layers have 16 bits then"
    assert "MaxPool2D<int8_t>({2, 2}, PADDING_VALID, {}, 2, 2" in text
    found = events(tmp_path, "net", "Net", "int8_t", "l9")
    calls = [line for line in found if not line.startswith("build")]
    assert calls[:6] == ["call l1 input", "free input", "call l2 l1", "call l3 l2", "free l2", "free l1"]
    assert calls[6:] == [
        *("call l4 l3", "free l3", "call l5 l4", "free l4", "call l6 l5", "free l5", "call l7 l6", "free l6"),
        *("call l8 l7", "free l7", "call l9 l8", "free l8", "result l9"),
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("Sigmoid", "operator Sigmoid .*its layer is not known"),
        ("Softmax", "operator Softmax .*is not known"),
    ],
)
def test_an_operator_without_a_layer_gives_no_class(tmp_path: Path, kind: str, told: str) -> None:
    net = nets.Net(2)
    x = net.input("x", 1, 6)
    y = net.op(kind, net.op("Gemm", x, net.normal(6, 4), net.normal(4)))
    model = onnx.load_from_string(net.model({y: (1, 4)}))
    samples = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    with pytest.raises(QuantizationError, match=told):
        export(tmp_path, model, samples, "int8", "per-tensor", "net")
    assert not list(tmp_path.glob("*_model.hpp"))


def test_a_name_that_is_none_in_cpp_is_refused(tmp_path: Path) -> None:
    calibrator = Calibrator("int8")
    samples = np.random.default_rng(0).normal(size=(8, 3, 8, 6)).astype(np.float32)
    calibrator.generate_quantization_table(image_net(), samples, tmp_path / "t.json")
    with pytest.raises(UsageError, match="'my net' is no identifier"):
        calibrator.export_model_class(image_net(), tmp_path / "t.json", "esp32s3", tmp_path, "net", "my net")
