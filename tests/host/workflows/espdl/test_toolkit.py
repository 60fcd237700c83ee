"""ESP-DL's quantization toolkit by its own names: the tutorial's script, its table, its log, its files."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from conformance_models import mnist_gemm
from conformance_models import onnx_nets as nets
from pytest_quantcheck.cli import main
from pytest_quantcheck.errors import CombinationError, ModelError, QuantizationError, UsageError
from pytest_quantcheck.workflows.espdl import Calibrator, Evaluator, optimize_fp_model
from pytest_quantcheck.workflows.espdl.table import Table, read_table, write_table
from tests.espdl_headers import write_headers

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Array = npt.NDArray[Any]
FLOAT_ACCURACY = 0.93  # of the network, on its card

# The tutorial's program, but for its import lines and the variable that it forgets to set.
SCRIPT = """
model_path = 'mnist_model_example.onnx'
optimized_model_path = optimize_fp_model(model_path)

with open('mnist_test_data.pickle', 'rb') as f:
    (test_images, test_labels) = pickle.load(f)
test_images = test_images / 255.0
calib_dataset = test_images[0:200:2]
pickle_file_path = 'mnist_calib.pickle'

model_proto = onnx.load(optimized_model_path)
print('Generating the quantization table:')
calib = Calibrator('int16', 'per-tensor', 'minmax')
calib.set_providers(['CPUExecutionProvider'])
calib.generate_quantization_table(model_proto, calib_dataset, pickle_file_path)
calib.export_coefficient_to_cpp(model_proto, pickle_file_path, 'esp32s3', '.', 'mnist_coefficient', True)
"""
LOG = """Generating the quantization table:
Converting coefficient to int16 per-tensor quantization for esp32s3
Exporting finish, the output files are: ./mnist_coefficient.cpp, ./mnist_coefficient.hpp

Quantized model info:
model input name: input, exponent: -15
Reshape layer name: sequential/flatten/Reshape, output_exponent: -15
Gemm layer name: fused_gemm_0, output_exponent: -11
Gemm layer name: fused_gemm_1, output_exponent: -10
Gemm layer name: fused_gemm_2, output_exponent: -9
"""


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tutorial's files, the working folder of the test."""
    (tmp_path / "mnist_model_example.onnx").write_bytes(mnist_gemm.onnx_model())
    data = mnist_gemm.dataset().test
    images = np.rint(np.asarray(data.x) * 255).astype(np.uint8)
    (tmp_path / "mnist_test_data.pickle").write_bytes(pickle.dumps((images, np.asarray(data.y))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def elements(text: str, name: str) -> tuple[str, Array]:
    """Type and values of an array in a ``.cpp`` file."""
    found = re.search(rf"(\w+) {name}\[\] = \{{([^}}]*)\}}", text)
    assert found, name
    return found[1], np.asarray([int(word) for word in found[2].split(",")], np.int64)


def unblocked(flat: Array, shape: tuple[int, ...], block: int, depthwise: bool = False) -> Array:
    """Filters of the ESP32-S3 as (height, width, inputs, outputs) again."""
    height, width, inputs, outputs = shape
    whole = outputs // block * block
    cells = np.zeros(shape, flat.dtype)
    split = whole * height * width * inputs
    blocks = flat[:split].reshape(whole // block, height, width, inputs, block)
    for number in range(whole // block):
        cells[..., number * block : (number + 1) * block] = blocks[number]
    rest = flat[split:].reshape(outputs - whole, height, width, inputs)
    if depthwise:
        rest = np.moveaxis(flat[split:].reshape(height, width, inputs, outputs - whole), -1, 0)
    for number in range(outputs - whole):
        cells[..., whole + number] = rest[number]
    return cells


def test_the_tutorials_program_prints_the_tutorials_log(
    tutorial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {each.__name__: each for each in (Calibrator, Evaluator, optimize_fp_model)}
    exec(compile(SCRIPT, "example.py", "exec"), {**names, "onnx": onnx, "pickle": pickle})
    assert capsys.readouterr().out == LOG
    assert (tutorial / "mnist_model_example.onnx").read_bytes() == mnist_gemm.onnx_model()
    text = (tutorial / "mnist_coefficient.cpp").read_text()
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in _graph(tutorial).initializer}
    sizes = ((784, 128, -11), (128, 64, -10), (64, 10, -9))
    for i, (inputs, outputs, output_exponent) in enumerate(sizes):
        real = weights[f"sequential/dense_{i}/MatMul/ReadVariableOp:0"]
        kind, flat = elements(text, f"fused_gemm_{i}_filter_element")
        exponent = int(np.ceil(np.log2(np.abs(real).max() / 32768)))
        assert kind == "int16_t"
        made = (
            f"fused_gemm_{i}_filter(fused_gemm_{i}_filter_element, {exponent}, {{1, 1, {inputs}, {outputs}}}"
        )
        assert f"const static Filter<int16_t> {made}, {{1, 1}});" in text
        expected = np.clip(np.rint(real.astype(np.float64) * 2.0**-exponent), -32767, 32767)
        np.testing.assert_array_equal(unblocked(flat, (1, 1, inputs, outputs), 8)[0, 0], expected)
        bias = weights[f"sequential/dense_{i}/BiasAdd/ReadVariableOp:0"]
        _, held = elements(text, f"fused_gemm_{i}_bias_element")
        np.testing.assert_array_equal(held, np.rint(bias.astype(np.float64) * 2.0**-output_exponent))
        assert f"fused_gemm_{i}_bias(fused_gemm_{i}_bias_element, {output_exponent}, {{{outputs},}});" in text
        assert (f"fused_gemm_{i}_activation(ReLU);" in text) is (i < 2)


def _graph(folder: Path) -> Any:
    return onnx.load(folder / "mnist_model_example_optimized.onnx").graph


@pytest.mark.parametrize(
    ("bit", "granularity", "method", "most"),
    [
        ("int16", "per-tensor", "minmax", 0.005),
        ("int8", "per-tensor", "entropy", 0.02),
        ("int8", "per-channel", "minmax", 0.02),
    ],
)
def test_the_quantized_model_is_as_good_and_its_files_compile(
    tutorial: Path, bit: str, granularity: str, method: str, most: float
) -> None:
    model = onnx.load(optimize_fp_model("mnist_model_example.onnx"))
    data = mnist_gemm.dataset()
    calibrator = Calibrator(bit, granularity, method)
    assert calibrator.check_model(model) == 0
    for table in ("table.pickle", "table.json"):
        calibrator.generate_quantization_table(model, data.calibration.x[:100], table)
        evaluator = Evaluator(bit, granularity, "esp32s3")
        evaluator.generate_quantized_model(model, table)
        outputs, names = evaluator.evalute_quantized_model(data.test.x, False)
        assert (names, outputs[0].dtype.name) == (["output"], bit)
        right = float(np.mean(outputs[0].argmax(1) == data.test.y))
        assert right >= FLOAT_ACCURACY - most
        real, _ = evaluator.evaluate_quantized_model(data.test.x[:5], to_float=True)
        exponent = -10 if bit == "int16" else -2
        np.testing.assert_array_equal(real[0], np.ldexp(outputs[0][:5].astype(np.float32), exponent))
        calibrator.export_coefficient_to_cpp(model, table, "esp32s3", ".", "coefficients")
    _compiles(tutorial)


def _compiles(folder: Path) -> None:
    write_headers(folder)
    command = ["g++", "-std=c++11", "-Wall", "-Werror", "-I.", "-c", "coefficients.cpp", "-o", "made.o"]
    subprocess.run(command, cwd=folder, check=True)


def test_the_command_writes_the_same_files(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = mnist_gemm.dataset().calibration
    np.save("calib.npy", np.asarray(data.x)[:100])
    words = ["--bits", "16", "--granularity", "per_tensor", "--calibration-method", "minmax"]
    words += ["--data", "calib.npy", "--target", "esp32s3", "--table", "table.json"]
    code = main(["export-espdl", "mnist_model_example.onnx", *words, "-o", "coefficients"])
    assert code == 0
    printed = capsys.readouterr().out
    assert "Gemm layer name: fused_gemm_2, output_exponent: -10" in printed
    made = [Path(f"coefficients.{suffix}").read_text() for suffix in ("cpp", "hpp")]
    model = onnx.load(optimize_fp_model("mnist_model_example.onnx"))
    calibrator = Calibrator("int16")
    calibrator.generate_quantization_table(model, data.x[:100], "other.pickle")
    calibrator.export_coefficient_to_cpp(model, "other.pickle", "esp32s3", ".", "coefficients")
    assert made == [Path(f"coefficients.{suffix}").read_text() for suffix in ("cpp", "hpp")]
    assert json.loads(Path("table.json").read_text())["exponents"]["input"] == -15
    wrong = ["export-espdl", "no.onnx", "--data", "calib.npy", "-o", "coefficients"]
    assert main(wrong) == 2
    wrong[1] = "mnist_model_example.onnx"
    assert main([*wrong, "--bits", "16", "--granularity", "per_channel"]) == 2
    assert "int16 only supports per-tensor" in capsys.readouterr().err


def images(seed: int) -> Any:
    """Convolutions of 21 and, depthwise, 18 channels, so that no block is full; a leaky ReLU, a residual."""
    net = nets.Net(seed)
    x = net.input("x", 1, 3, 6, 6)
    a = net.op("Relu", net.op("Conv", x, net.normal(18, 3, 3, 3, scale=0.3), net.normal(18), pads=[1] * 4))
    b = net.op("Conv", a, net.normal(18, 1, 3, 3, scale=0.3), net.normal(18), group=18, pads=[1] * 4)
    c = net.op("Add", net.op("LeakyRelu", b, alpha=0.1), a)
    y = net.op("Conv", c, net.normal(21, 18, 1, 1, scale=0.3), dilations=[1, 1])
    return onnx.load_from_string(net.model({y: (1, 21, 6, 6)}))


@pytest.mark.parametrize(
    ("bit", "granularity"), [("int8", "per-tensor"), ("int8", "per-channel"), ("int16", "per-tensor")]
)
def test_convolutions_lie_in_blocks_and_the_rest_channel_by_channel(
    tmp_path: Path, bit: str, granularity: str
) -> None:
    model = images(1)
    calibrator = Calibrator(bit, granularity, "minmax")
    samples = np.random.default_rng(0).normal(size=(8, 3, 6, 6)).astype(np.float32)
    calibrator.generate_quantization_table(model, samples, tmp_path / "t.pickle")
    calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32s3", tmp_path, "coefficients")
    text = (tmp_path / "coefficients.cpp").read_text()
    block, limit = (16, 127) if bit == "int8" else (8, 32767)
    for name, number in (("Conv_0", 0), ("Conv_2", 2), ("Conv_5", 4)):
        real = onnx.numpy_helper.to_array(model.graph.initializer[number])
        cells = real.transpose(2, 3, 1, 0).astype(np.float64)
        _, flat = elements(text, f"{name}_filter_element")
        if granularity == "per-channel":
            _, exponents = elements(text, f"{name}_filter_channel_exponent")
            np.testing.assert_array_equal(exponents, np.ceil(np.log2(np.abs(cells).max((0, 1, 2)) / 128)))
        else:
            found = re.search(rf"{name}_filter\({name}_filter_element, (-?\d+),", text)
            assert found
            exponents = np.asarray(int(found[1]))
            assert exponents == np.ceil(np.log2(np.abs(cells).max() / (limit + 1)))
        expected = np.clip(np.rint(cells * 2.0**-exponents), -limit, limit)
        np.testing.assert_array_equal(unblocked(flat, cells.shape, block, number == 2), expected)
    assert "{3, 3, 3, 18}, {1, 1}" in text
    assert "{3, 3, 18, 1}, {1, 1}" in text  # depthwise
    assert "Conv_2_activation(LeakyReLU, Conv_2_activation_element" in text
    _compiles(tmp_path)


def test_other_chips_get_a_plain_order_that_says_so(tmp_path: Path) -> None:
    model = images(1)
    calibrator = Calibrator("int8")
    samples = np.random.default_rng(0).normal(size=(8, 3, 6, 6)).astype(np.float32)
    calibrator.generate_quantization_table(model, samples, tmp_path / "t.json")
    calibrator.export_coefficient_to_cpp(model, tmp_path / "t.json", "esp32c3", tmp_path, "coefficients")
    text = (tmp_path / "coefficients.cpp").read_text()
    assert "order of elements for this chip is documented nowhere" in text
    _, flat = elements(text, "Conv_0_filter_element")
    real = onnx.numpy_helper.to_array(model.graph.initializer[0]).transpose(2, 3, 1, 0)
    exponent = int(np.ceil(np.log2(np.abs(real).max() / 128)))
    expected = np.clip(np.rint(real.astype(np.float64) * 2.0**-exponent), -127, 127)
    np.testing.assert_array_equal(flat.reshape(real.shape), expected)


def test_a_table_is_the_same_in_both_forms(tmp_path: Path) -> None:
    table = Table({"input": -6, "y": 3}, {"w": np.asarray([-8, -9]), "b": np.asarray(-4)})
    for name in ("t.json", "t.pickle"):
        read = read_table(write_table(table, tmp_path / name), {"input", "y"})
        assert dict(read.activations) == {"input": -6, "y": 3}
        assert {key: value.tolist() for key, value in read.constants.items()} == {"w": [-8, -9], "b": -4}
    old = pickle.loads((tmp_path / "t.pickle").read_bytes())
    assert (old["input"], old["y"], old["w"].tolist()) == (64.0, 0.125, [256.0, 512.0])


def test_tables_of_the_old_toolkit_are_read(tmp_path: Path) -> None:
    old = {"input": 64.0, "fc1.weight": np.array([256.0]), "fc1.bias": np.float64(1024.0)}
    (tmp_path / "t.pickle").write_bytes(pickle.dumps(old))
    table = read_table(tmp_path / "t.pickle", {"input"})
    assert table.of("input") == -6
    assert {name: int(value) for name, value in table.constants.items()} == {
        "fc1.weight": -8,
        "fc1.bias": -10,
    }
    with pytest.raises(ModelError, match="no exponent for the tensor 'x'"):
        table.of("x")


class Evil:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.pickle", pickle.dumps({"x": Evil()}), "asks for builtins.print"),
        ("t.pickle", pickle.dumps({"x": 3.0}), "powers of two"),
        ("t.pickle", pickle.dumps({"x": -2.0}), "powers of two"),
        ("t.pickle", pickle.dumps({"x": float("inf")}), "powers of two"),
        ("t.pickle", b"\x80", "not a valid pickle"),
        ("t.json", b"[", "no quantization table"),
        ("t.json", b"[]", "no quantization table"),
        (
            "t.json",
            json.dumps({"format": "x", "version": 1, "exponents": {}}).encode(),
            "no quantization table",
        ),
        (
            "t.json",
            json.dumps({"format": "quantcheck.espdl_table", "version": 1, "exponents": {"x": 1.5}}).encode(),
            "whole numbers are allowed",
        ),
        (
            "t.json",
            json.dumps({"format": "quantcheck.espdl_table", "version": 1, "exponents": {"x": 999}}).encode(),
            "-126 to 127 are allowed",
        ),
        (
            "t.json",
            json.dumps(
                {"format": "quantcheck.espdl_table", "version": 1, "exponents": {"x": 10**30}}
            ).encode(),
            "no quantization table",
        ),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str, content: bytes, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=told):
        read_table(tmp_path / name, {"x"})
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("int4",), UsageError, "allowed: int8, int16"),
        (("int8", "per-layer"), UsageError, "allowed: per-tensor, per-channel"),
        (("int8", "per-tensor", "mse"), UsageError, "allowed: minmax, entropy"),
        (("int16", "per-channel"), CombinationError, "int16 only supports per-tensor quantization"),
        (("int16", "per-tensor", "entropy"), CombinationError, "int16 only supports minmax"),
    ],
)
def test_what_the_toolkit_does_not_know_is_refused(
    arguments: tuple[str, ...], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        Calibrator(*arguments)


def test_wrong_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = images(1)
    calibrator = Calibrator("int8")
    with pytest.raises(UsageError, match="unknown file format"):
        optimize_fp_model(tmp_path / "net.pb")
    with pytest.raises(UsageError, match="there is no model"):
        optimize_fp_model(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError):
        optimize_fp_model(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="allowed: CPUExecutionProvider"):
        calibrator.set_providers(["CUDAExecutionProvider"])
    with pytest.raises(UsageError, match=r"samples of shape \(2, 6, 6\); the model takes \(3, 6, 6\)"):
        calibrator.generate_quantization_table(model, np.zeros((4, 2, 6, 6)), tmp_path / "t.pickle")
    with pytest.raises(UsageError, match="there is no quantization table"):
        calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32s3", tmp_path, "c")
    calibrator.generate_quantization_table(model, np.ones((4, 3, 6, 6)), tmp_path / "t.pickle")
    with pytest.raises(UsageError, match="target chip 'esp32h2' is not known; allowed: esp32, "):
        calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32h2", tmp_path, "c")
    with pytest.raises(UsageError, match="becomes a namespace"):
        calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32s3", tmp_path, "my-net")
    with pytest.raises(UsageError, match="there is no folder"):
        calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32s3", tmp_path / "no", "c")
    with pytest.raises(UsageError, match="call generate_quantized_model first"):
        Evaluator("int8").evaluate_quantized_model(np.zeros((1, 3, 6, 6)))
    assert calibrator.check_model(onnx.load_from_string(nets.lstm())) == -1
    assert "current model is not supported by esp-dl: operator LSTM" in capsys.readouterr().out


def test_rows_that_would_lie_otherwise_on_the_chip_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(nets.flattened())
    calibrator = Calibrator("int8")
    samples = np.random.default_rng(0).normal(size=(4, 2, 4, 6))
    model = onnx.load(optimize_fp_model(_saved(model, tmp_path)))
    calibrator.generate_quantization_table(model, samples, tmp_path / "t.pickle")
    with pytest.raises(QuantizationError, match="channels outside, and ESP-DL flattens with them inside"):
        calibrator.export_coefficient_to_cpp(model, tmp_path / "t.pickle", "esp32s3", tmp_path, "c")


def _saved(model: Any, folder: Path) -> Path:
    path = folder / "net.onnx"
    onnx.save(model, path)
    return path
