"""``.espdl`` files that esp-ppq exports are read, their test vectors reproduced; damaged ones are refused.

The files beside this one were exported by esp-ppq 1.3.12 (calibration ``minmax``, ``export_test_values``)
from ``network(SEED)`` with ``samples(SEED)``. Our own quantizer must choose the same integers for them.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.cli import main
from pytest_quantcheck.errors import ModelError, QuantcheckError
from pytest_quantcheck.formats import espdl
from pytest_quantcheck.formats.espdl import parse
from pytest_quantcheck.formats.espdl_writer import serialize
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from tests.espdl_networks import network, samples
from tests.nightly.esp_ppq.biases import half_up_in_float32, with_float32_biases

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Array = npt.NDArray[Any]
FILES = Path(__file__).with_name("espdl_files")
NAMES = sorted(path.stem for path in FILES.glob("*.espdl"))
SEED = 2


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
    graph = quantize(network(SEED), config, samples(SEED), cache=Cache(tmp_path)).graph
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


def test_biases_are_rounded_as_in_its_files_and_not_as_by_its_executor(tmp_path: Path) -> None:
    """``python -m tests.nightly.esp_ppq`` finds two outputs in which its executor differs: this is why."""
    assert half_up_in_float32(np.array([10229653, 10229654, -10229653, 8388607])).tolist() == [
        *(10229654, 10229654, -10229652, 8388607)
    ]
    config = QuantConfig(quantizer="espdl", scheme="int16", options={"target": "esp32s3"})
    graph = quantize(network(SEED), config, samples(SEED), cache=Cache(tmp_path)).graph
    other, biases = with_float32_biases(graph)
    assert biases == 4
    x = np.asarray(samples(SEED).inputs[0]) / graph.tensors[graph.inputs[0]].quantization.scale[0]
    inputs = [np.floor(x + 0.5).astype(np.int16)[:, None]]
    found, changed = (execute.run_batch(g, inputs)[g.outputs[0]] for g in (graph, other))
    assert found is not None
    assert int((found != changed).sum()) == 2
    held = parse((FILES / "esp32s3_int16.espdl").read_bytes()).constants["d1_b"].data
    assert 10229653 in held
    assert any(t.data is not None and t.data.shape == (8,) and 10229653 in t.data for t in graph.tensors)


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
    assert "output 'y': 1 of 10 values differ; in vector 0 value 3 is " in capsys.readouterr().out


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


def with_attributes(given: dict[str, Any]) -> bytes:
    """The first convolution, 'c1', has them."""
    model = parse((FILES / "c_int8.espdl").read_bytes())
    nodes = list(model.nodes)
    at = next(i for i, node in enumerate(nodes) if node.kind == "Conv")
    nodes[at] = replace(nodes[at], attributes={**nodes[at].attributes, **given})
    return serialize(replace(model, nodes=tuple(nodes)))


@pytest.mark.parametrize(
    "given",
    [
        *({"strides": []}, {"strides": "abc"}, {"group": -1}, {"group": 0}, {"pads": [2**40] * 4}),
        *({"kernel_shape": "x"}, {"activation": [1, 2]}, {"of_my_own": []}),
        *({key: [1]} for key in ("inputs", "name", "op_type", "kind", "output", "doc_string", "self")),
    ],
)
def test_attributes_of_the_wrong_kind_are_errors_that_name_the_operator(given: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="'c1'"):
        read_onnx(qdq_of(with_attributes(given)))


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
