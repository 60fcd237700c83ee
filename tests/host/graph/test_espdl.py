"""``.espdl`` files that esp-ppq exports are read, their test vectors reproduced; damaged ones are refused.

The files beside this one were exported by esp-ppq 1.3.12 (calibration ``minmax``, ``export_test_values``)
from ``network()`` with ``samples()``. Our own quantizer must choose the same integers for them.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError, QuantcheckError
from pytest_quantcheck.formats import espdl
from pytest_quantcheck.formats.espdl import parse
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Array = npt.NDArray[Any]
FILES = Path(__file__).with_name("espdl_files")
NAMES = sorted(path.stem for path in FILES.glob("*.espdl"))
SEED = 2


def network() -> bytes:
    """NCHW (3, 16, 16) to 10 values: convolutions, depthwise too, a residual, pools, a dense layer."""
    rng = np.random.default_rng(SEED)
    constants: list[Any] = []
    nodes: list[Any] = []

    def constant(values: Array, name: str) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def conv(
        x: str, outputs: int, inputs: int, kernel: int, name: str, group: int = 1, stride: int = 1
    ) -> str:
        depth = inputs // group
        scale = (2 / (depth * kernel * kernel)) ** 0.5
        weights = constant(rng.normal(0, scale, (outputs, depth, kernel, kernel)), f"{name}_w")
        bias = constant(rng.normal(0, 0.2, outputs), f"{name}_b")
        how = {
            "kernel_shape": [kernel] * 2,
            "pads": [kernel // 2] * 4,
            "strides": [stride] * 2,
            "group": group,
        }
        nodes.append(helper.make_node("Conv", [x, weights, bias], [f"{name}_c"], name, **how))
        return f"{name}_c"

    def relu(x: str, name: str) -> str:
        nodes.append(helper.make_node("Relu", [x], [f"{name}_r"], f"{name}_relu"))
        return f"{name}_r"

    a = relu(conv("x", 8, 3, 3, "c1"), "c1")
    b = relu(conv(a, 8, 8, 3, "d1", group=8), "d1")
    c = conv(b, 8, 8, 1, "p1")
    nodes.append(helper.make_node("Add", [a, c], ["a1"], "a1"))
    nodes.append(helper.make_node("MaxPool", ["a1"], ["m1"], "m1", kernel_shape=[2, 2], strides=[2, 2]))
    d = relu(conv("m1", 16, 8, 3, "c2", stride=2), "c2")
    nodes.append(helper.make_node("GlobalAveragePool", [d], ["g1"], "g1"))
    nodes.append(helper.make_node("Flatten", ["g1"], ["f1"], "f1"))
    w = constant(rng.normal(0, 0.3, (10, 16)), "fc_w")
    bias = constant(rng.normal(0, 0.3, 10), "fc_b")
    nodes.append(helper.make_node("Gemm", ["f1", w, bias], ["y"], "fc", transB=1))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 16, 16]), ("y", [1, 10]))
    )
    graph = helper.make_graph(nodes, "n", [x], [y], constants)
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def samples() -> Samples:
    rng = np.random.default_rng(100 + SEED)
    rows = [rng.normal(0, 1, (1, 3, 16, 16)).astype(np.float32) for _ in range(16)]
    return Samples(np.concatenate(rows))


def vector(content: bytes) -> tuple[Array, Array]:
    file = parse(content)
    (x,), (y,) = file.test_inputs, file.test_outputs
    return tuple(each.data[: int(np.prod(each.shape))].reshape(each.shape) for each in (x, y))  # type: ignore[return-value]


@pytest.mark.parametrize("name", NAMES)
def test_the_vector_in_the_file_is_reproduced(name: str) -> None:
    content = (FILES / f"{name}.espdl").read_bytes()
    graph = read_onnx(qdq_of(content))
    x, y = vector(content)
    found = execute.run(graph, [x])[graph.outputs[0]]
    assert found is not None
    np.testing.assert_array_equal(found, y)
    assert len(np.unique(y)) > 5


@pytest.mark.parametrize("name", NAMES)
def test_our_quantizer_chooses_the_same_integers(name: str, tmp_path: Path) -> None:
    target, scheme = name.split("_")
    config = QuantConfig(
        quantizer="espdl",
        scheme=scheme,
        granularity="per_channel" if target == "esp32p4" else "per_tensor",
        options={"target": "esp32c3" if target == "c" else target},
    )
    content = (FILES / f"{name}.espdl").read_bytes()
    file = parse(content)
    graph = quantize(network(), config, samples(), cache=Cache(tmp_path)).graph
    ours = {t.name.removesuffix("_q"): t for t in graph.tensors if t.quantization is not None}
    for value in file.values.values():
        if value.name in ours:
            quantization = ours[value.name].quantization
            assert quantization is not None
            assert value.exponents == (int(np.log2(quantization.scale[0])),), value.name
    x, y = vector(content)
    found = execute.run(graph, [np.ascontiguousarray(x.transpose(0, 3, 1, 2))])[graph.outputs[0]]
    assert found is not None
    np.testing.assert_array_equal(found, y)


def test_the_command_runs_the_vector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = FILES / "esp32p4_int8.espdl"
    assert main(["compare", str(path), "--a", "file", "--b", "integer"]) == 0
    assert "the file's outputs are reproduced, bit for bit" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    _, y = vector(bytes(content))
    at = bytes(content).rindex(y.astype(np.int8).tobytes())
    content[at + 3] ^= 1
    wrong = tmp_path / "wrong.espdl"
    wrong.write_bytes(bytes(content))
    assert main(["compare", str(wrong), "--a", "file", "--b", "integer"]) == 1
    assert "output 'y': 1 of 10 values differ; value 3 is " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--a", "file", "--b", "integer", "--inputs", "x.npy"], "leave out --inputs"),
        (["--a", "integer", "--b", "onnxruntime"], "--inputs X.npy is missing"),
    ],
)
def test_wrong_use_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(FILES / "c_int8.espdl"), *words]) == 2
    assert told in capsys.readouterr().err


def test_another_file_holds_no_vector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(qdq_of((FILES / "c_int8.espdl").read_bytes()))
    assert main(["compare", str(path), "--a", "file", "--b", "integer"]) == 2
    assert "no other holds a test vector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: b"EDL1" + d[4:], "does not begin with EDL2"),
        (lambda d: d[:4] + struct.pack("<I", 1) + d[8:], "is encrypted"),
        (lambda d: d[:-9], "ends after"),
        (lambda d: d[:19], "does not begin with EDL2 and its length"),
        (lambda d: d[:16] + struct.pack("<I", 0x7FFFFFFF) + d[20:], "damaged"),
    ],
)
def test_what_is_no_such_file_is_refused(change: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        qdq_of(change((FILES / "c_int8.espdl").read_bytes()))


@pytest.mark.parametrize("name", ["esp32s3_int8", "esp32p4_int16"])
def test_damaged_files_are_errors_and_nothing_else(name: str) -> None:
    content = (FILES / f"{name}.espdl").read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(400):
        changed = bytearray(content)
        at = int(rng.integers(16, len(content) - 4))
        value = int(rng.choice([0, 1, 0xFF, 0x7F, 0x80, 0xFFFF, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF]))
        struct.pack_into("<I", changed, at, value)
        try:
            graph = read_onnx(qdq_of(bytes(changed)))
        except QuantcheckError:
            refused += 1
        else:
            assert graph.operators
    assert refused > 20
    onnx.checker.check_model(onnx.load_from_string(qdq_of(content)))


def test_records_that_share_their_bytes_cannot_multiply_them() -> None:
    content = espdl._Content(bytes(1 << 20))
    for _ in range(5):
        assert len(content.take(0, 1 << 20)) == 1 << 20
    with pytest.raises(ModelError, match="share their bytes"):
        content.take(0, 1 << 20)


def test_a_copy_elsewhere_is_checked_like_any_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(FILES / "esp32s3_int16.espdl", tmp_path / "net.espdl"))
    assert main(["check", str(path), "--target", "esp32c3"]) == 0
    assert "Conv" in capsys.readouterr().out
