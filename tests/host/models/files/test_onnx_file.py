"""Float ONNX files: what is taken in, what is refused and in which words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conformance_models import onnx_nets as nets
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner

pytestmark = pytest.mark.host


def external(folder: Path, location: str, data: bytes = b"", **more: str) -> Path:
    """A dense layer whose weights lie in another file."""
    net = nets.Net()
    y = net.op("Gemm", net.input("x", 1, 4), net.constant(np.arange(12).reshape(4, 3)))
    model = onnx.load_from_string(net.model({y: (1, 3)}))
    weights = model.graph.initializer[0]
    if data:
        (folder / location).write_bytes(data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weights.external_data.append(onnx.StringStringEntryProto(key=key, value=value))
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_keeps_its_layout_and_its_batch_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(nets.residual(batch="N"))
    before = path.read_bytes()
    model = load("net.onnx", base=tmp_path)
    assert (model.name, model.tflite) == ("net", b"")
    assert model.input_shapes == ((3, 12, 10),)  # channels first, as in the file
    assert model.output_shapes == ((5,),)
    assert path.read_bytes() == before


def test_bytes_are_a_model_and_two_inputs_have_two_shapes() -> None:
    assert load(nets.two_inputs(), name="both").input_shapes == ((2, 6, 6), (5,))


def test_the_float_model_runs_on_onnxruntime() -> None:
    model = load(nets.flattened())
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype(np.float32)
    run = OnnxruntimeRunner().run(QuantizedModel("float", model.onnx), Samples(x))
    assert run.outputs[0].shape == (3, 7)
    assert run.outputs[0].dtype == np.float32
    assert not run.exact


def test_a_batch_in_a_reshape_follows_the_batch(tmp_path: Path) -> None:
    net = nets.Net()
    x = net.op("Reshape", net.input("x", "batch", 2, 3), net.constant([-1, 6], np.int64))
    assert load(net.model({net.op("Relu", x): ("batch", 6)})).output_shapes == ((6,),)


def test_external_data_beside_the_model_are_taken_in(tmp_path: Path) -> None:
    weights = np.arange(12, dtype="<f4").tobytes()
    model = load(external(tmp_path, "weights.bin", b"head" + weights, offset="4", length="48"))
    x = np.asarray([[1, 0, 0, 1]], np.float32)
    run = OnnxruntimeRunner().run(QuantizedModel("float", model.onnx), Samples(x))
    np.testing.assert_array_equal(run.outputs[0], [[9, 11, 13]])


@pytest.mark.parametrize(
    ("location", "more", "told"),
    [
        ("../secret.bin", {}, "outside of the model's folder"),
        ("/etc/hostname", {}, "outside of the model's folder"),
        ("", {}, "outside of the model's folder"),
        ("missing.bin", {}, "cannot be read"),
        ("w.bin\0", {}, "cannot be read"),
        (".", {}, "which is no file"),
        ("pipe", {}, "which is no file"),
        ("loop", {}, "cannot be read"),
        ("w.bin/deeper", {}, "cannot be read"),
        ("w.bin", {"offset": "40", "length": "48"}, "but the file has 48"),
        ("w.bin", {"offset": "-1"}, "but the file has 48"),
        ("w.bin", {"offset": "many"}, "cannot be read"),
    ],
)
def test_external_data_lie_in_the_models_folder(
    tmp_path: Path, location: str, more: dict[str, str], told: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "w.bin").write_bytes(bytes(48))
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelError, match=told):
        load(external(folder, location, **more))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelError, match="outside of the model's folder"):
        load(external(folder, "w.bin"))


def test_bytes_have_no_folder(tmp_path: Path) -> None:
    content = external(tmp_path, "w.bin", bytes(48)).read_bytes()
    with pytest.raises(ModelError, match="give its file name"):
        load(content)


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16"])
def test_half_precision_becomes_float32(dtype: str) -> None:
    half = getattr(onnx.TensorProto, dtype)
    weights = onnx.helper.make_tensor("w", half, [2, 2], [0.5, 1.25, -3.0, 0.0])
    value = onnx.helper.make_tensor("", half, [2], [1.5, -2.0])
    nodes = [
        onnx.helper.make_node("Constant", [], ["b"], value=value),
        onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
    ]
    edges = [[onnx.helper.make_tensor_value_info(name, half, ["N", 2])] for name in "xy"]
    graph = onnx.helper.make_graph(nodes, "half", *edges, [weights])
    imports = [onnx.helper.make_opsetid("", 17)]
    content = onnx.helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()
    x = np.asarray([[1, 2]], np.float32)
    run = OnnxruntimeRunner().run(QuantizedModel("float", load(content).onnx), Samples(x))
    np.testing.assert_array_equal(run.outputs[0], np.asarray([[-4, -0.75]], np.float32))


@pytest.mark.parametrize(
    ("mean", "variance", "told"),
    [(np.nan, 1.0, "the constant 'c2' holds NaN"), (0.0, -0.5, "'BatchNormalization_0' has a negative var")],
)
def test_what_comes_of_training_that_went_wrong_is_told(mean: float, variance: float, told: str) -> None:
    net = nets.Net()
    parts = (net.constant([value]) for value in (1.0, 0.0, mean, variance))
    y = net.op("BatchNormalization", net.input("x", 1, 1, 2), *parts)
    with pytest.raises(ModelError, match=f"{told}.* Look at the training"):
        load(net.model({y: (1, 1, 2)}))


def refused(*shape: int | str, dtype: str = "float32") -> bytes:
    net = nets.Net()
    return net.model({net.op("Identity", net.input("x", *shape, dtype=dtype)): shape}, dtype)


def looped() -> bytes:
    net = nets.Net()
    net.input("x", 1, 4)
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, (1, 4))]
    )
    return net.model({net.op("If", net.constant(True, bool), then_branch=branch, else_branch=branch): (1, 4)})


def integer_weights() -> bytes:
    net = nets.Net()
    w = net.op("Cast", net.constant(np.ones((4, 2)), np.int8), to=TensorProto.FLOAT)
    return net.model({net.op("MatMul", net.input("x", 1, 4), w): (1, 2)})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (refused("N", 3, "height", "width"), r"shape \(N, 3, height, width\).*make_dynamic_shape_fixed"),
        (refused(4, 3), r"shape \(4, 3\); a microcontroller needs batch 1"),
        (refused(1, 3, dtype="int8"), "input 'x' is int8"),
        (nets.custom_domain(), r"other domains: com\.example\.Whiten"),
        (looped(), r"control flow \(If\)"),
        (integer_weights(), "int8 or uint8 weights"),
        (
            nets.between("Relu", [(1, 4)], [nets.Q(0.1, 0)], nets.Q(0.1, 0), (1, 4)),
            "holds DequantizeLinear.*give it as the artefact",
        ),
        (nets.residual()[:1000], "not a sound ONNX file"),
        (b"\x08\x09", "no version, no operator set or no operators"),
    ],
)
def test_what_cannot_be_quantized_is_told(content: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(content, name="net")


def test_local_functions_are_inlined() -> None:
    """A function of the model's own is no operator of another domain."""
    function = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    net = nets.Net()
    model: Any = onnx.load_from_string(
        net.model({net.op("Twice", net.input("x", 1, 4), domain="own"): (1, 4)})
    )
    model.functions.append(function)
    assert nets.structure(load(model.SerializeToString()).onnx) == ["Add"]


def calling(*bodies: list[str]) -> bytes:
    """Functions f0, f1, ... in the graph; each body names what it calls, one after the other."""
    net = nets.Net()
    model: Any = onnx.load_from_string(net.model({net.op("f0", net.input("x", 1, 4), domain="own"): (1, 4)}))
    for i, body in enumerate(bodies):
        steps = [
            helper.make_node(kind, [f"v{j}"], [f"v{j + 1}"], domain="own" if kind[0] == "f" else "")
            for j, kind in enumerate(body)
        ]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", f"f{i}", ["v0"], [f"v{len(body)}"], steps, opsets))
    return bytes(model.SerializeToString())


def test_functions_that_grow_without_bound_are_counted_before_they_are_inlined() -> None:
    doubling = [[f"f{i + 1}"] * 2 for i in range(40)] + [["Relu"]]
    with pytest.raises(ModelError, match=f"come to {2**40} nodes"):
        load(calling(*doubling), name="net")
    chain = [[f"f{i + 1}"] for i in range(3000)] + [["Relu"]]
    with pytest.raises(ModelError, match="3002 calls deep"):
        load(calling(*chain), name="net")
    assert (
        nets.structure(load(calling(["f1", "f1"], ["Relu", "Neg"]), name="net").onnx) == ["Relu", "Neg"] * 2
    )


def test_functions_that_call_themselves_are_refused() -> None:
    with pytest.raises(ModelError, match="call themselves"):
        load(calling(["f1"], ["Relu", "f0"]), name="net")


def test_equal_files_have_equal_hashes() -> None:
    first, second, other = (FloatModel.from_onnx(nets.residual(seed), "n", "n") for seed in (0, 0, 1))
    assert first.semantic_sha256 == second.semantic_sha256 != other.semantic_sha256
