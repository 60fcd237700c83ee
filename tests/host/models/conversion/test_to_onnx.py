"""tf2onnx's result is compared with its source. Here a stand-in for tf2onnx hands out what a test made."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.models.conversion import to_onnx
from pytest_quantcheck.models.conversion.worker import Worker
from pytest_quantcheck.models.float_model import FloatModel

pytestmark = pytest.mark.host

WEIGHTS = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
BIAS = np.array([0.5, -1, 2], np.float32)
STAND_IN = """
from pathlib import Path
import onnx

def from_tflite(path, opset):
    assert Path(path).exists() and opset == 17
    return onnx.load({made!r}), None
"""

Convert = Callable[[bytes], FloatModel]


def source() -> FloatModel:
    writer = TfliteWriter()
    x, y = writer.tensor((1, 6), "float32"), writer.tensor((1, 3), "float32")
    constants = [writer.tensor(each.shape, "float32", data=each) for each in (WEIGHTS, BIAS)]
    writer.operator("FULLY_CONNECTED", [x, *constants], [y])
    return FloatModel.from_tflite(writer.finish([x], [y]), "net", "net.tflite")


def made(weights: np.ndarray, bias: np.ndarray, inputs: int = 6) -> bytes:
    net = nets.Net()
    x = net.input("x", 1, inputs)
    y = net.op("Gemm", x, net.constant(weights.T), net.constant(bias))
    return net.model({y: (1, len(bias))})


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, Path]]:
    """A worker that takes the stand-in for tf2onnx, and where that looks for its result."""
    folder = tmp_path_factory.mktemp("stand_in")
    package, result = folder / "tf2onnx", folder / "made.onnx"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "convert.py").write_text(STAND_IN.format(made=str(result)))
    worker = Worker(module=to_onnx.MODULE, library="tf2onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield worker, result
    worker.close()


@pytest.fixture
def convert(stand_in: tuple[Worker, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    worker, result = stand_in
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "1" if name == "tf2onnx" else version(name)
    )
    monkeypatch.setattr(to_onnx, "shared_worker", lambda *_: worker)

    def run(content: bytes) -> FloatModel:
        result.write_bytes(content)
        return to_onnx.as_onnx(source(), Cache(tmp_path / "cache"))

    return run


def test_what_computes_the_same_is_taken(convert: Convert) -> None:
    model = convert(made(WEIGHTS * np.float32(1 + 1e-6), BIAS))
    assert model.onnx
    assert model.tflite == b""
    assert model.input_shapes == ((6,),)


def test_what_computes_something_else_is_refused_and_not_kept(convert: Convert) -> None:
    for weights, bias in (WEIGHTS, BIAS + np.float32(0.01)), (-WEIGHTS, BIAS):
        with pytest.raises(
            ModelError, match=r"net\.tflite, converted by tf2onnx: it computes something else"
        ):
            convert(made(weights, bias))
    assert convert(made(WEIGHTS, BIAS)).onnx


def test_other_shapes_are_refused(convert: Convert) -> None:
    with pytest.raises(ModelError, match=r"its outputs have the shapes \[\(1, 2\)\], those of the source"):
        convert(made(WEIGHTS[:2], BIAS[:2]))
    with pytest.raises(ModelError, match=r"its inputs have the shapes \[\[1, 5\]\], those of the source"):
        convert(made(WEIGHTS[:, :5], BIAS, 5))
