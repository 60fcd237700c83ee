"""ONNX files as onnxruntime's other ways to quantize leave them: what they are, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cli import main
from pytest_quantcheck.formats.onnx import edge_type

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore")]

SHAPE = 3, 12, 10


class Reader(CalibrationDataReader):  # type: ignore[misc]  # no types
    """Random images."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._rows = iter([{"image": rng.normal(size=(1, *SHAPE)).astype(np.float32)} for _ in range(8)])

    def get_next(self) -> Any:
        return next(self._rows, None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(nets.residual())
    np.save("x.npy", np.random.default_rng(1).normal(size=(6, *SHAPE)).astype(np.float32))
    return tmp_path


def static(source: str, form: QuantFormat = QuantFormat.QDQ, **how: Any) -> None:
    types = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(source, "out.onnx", Reader(), quant_format=form, **{**types, **how})


def told(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    code = main(list(command))
    both = capsys.readouterr()
    return code, both.out + both.err


@pytest.mark.parametrize(
    ("form", "what", "remedy"),
    [
        (
            "by operator",
            "quantized operator by operator (QOperator: QLinearConv",
            "quant_format=QuantFormat.QDQ",
        ),
        (
            "dynamically",
            "quantized dynamically (DynamicQuantizeLinear",
            "Quantize the float model with samples",
        ),
    ],
)
def test_another_form_is_told_with_the_way_to_qdq(
    form: str, what: str, remedy: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if form == "dynamically":
        quantize_dynamic("net.onnx", "out.onnx")
    else:
        static("net.onnx", QuantFormat.QOperator, activation_type=QuantType.QUInt8)
    capsys.readouterr()
    for code, command in (
        (1, ["check", "out.onnx", "--target", "virtual-esp32c3"]),
        (2, ["compare", "out.onnx", "--a", "integer", "--b", "onnxruntime", "--float", "--inputs", "x.npy"]),
        (2, ["quantize", "out.onnx", "-o", "again.onnx", "--calibration", "random:4"]),
    ):
        found, words = told(capsys, *command)
        assert (found, words.count(what), words.count(remedy)) == (code, 1, 1), words
        assert "is not supported" not in words


def test_a_partly_quantized_file_says_which_scales_are_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(node for node in onnx.load("net.onnx").graph.node if node.op_type == "Conv")
    static("net.onnx", nodes_to_exclude=[first.name])
    capsys.readouterr()
    code, words = told(capsys, "check", "out.onnx", "--target", "virtual-esp32c3")
    assert code == 1
    assert f"(Conv '{first.name}') computes in float: '{first.input[0]}', '{first.input[1]}'" in words
    assert "Quantize again without leaving it out (nodes_to_exclude" in words


def test_an_open_batch_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.Net()
    x = net.op("Relu", net.op("Conv", net.input("image", 1, *SHAPE), net.normal(4, 3, 3, 3)))
    model = onnx.load_from_string(
        net.model({net.op("Flatten", net.op("MaxPool", x, kernel_shape=[2, 2])): (1, 252)})
    )
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]
    onnx.save(model, "open.onnx")
    static("open.onnx")
    capsys.readouterr()
    code, words = told(capsys, "check", "out.onnx", "--target", "virtual-esp32c3")
    assert (code, "float32 (1, 3, 12, 10)" in words) == (0, True), words
    compared = ["compare", "out.onnx", "--a", "integer", "--b", "onnxruntime", "--float", "--inputs", "x.npy"]
    code, words = told(capsys, *compared)
    assert "b: onnxruntime" in words
    assert code in (0, 1), words  # the processor's own kernels may round otherwise


def test_an_open_size_that_is_no_batch_stays_open() -> None:
    for shape, wanted in ((("T",), ("T",)), (("N", 4), (1, 4)), ((2, "T"), (2, "T"))):
        info = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, list(shape))
        assert edge_type(info) == (wanted, "float32")
