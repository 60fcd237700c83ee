"""The operator at the end of TensorFlow's detection models: cut off, and done on the host as LiteRT does."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from flatbuffers import flexbuffers

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.tasks.heads.post_process import NAME, PostProcess
from pytest_quantcheck.data.tasks.registry import task
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.quantizers.artefact import read_artefact, write_artefact
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.registry import host_runner

pytestmark = pytest.mark.host
MANIFEST = {"name": "detector", "config": QuantConfig().to_dict()}
ANCHORS, CLASSES = 40, 3
"""Of the detector in these tests; its classes are one background and three."""


def settings(**changes):
    usual = {
        "max_detections": 10,
        "max_classes_per_detection": 1,
        "detections_per_class": 5,
        "use_regular_nms": False,
        "nms_score_threshold": 0.3,
        "nms_iou_threshold": 0.5,
        "num_classes": CLASSES,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
    }
    return {**usual, **changes}


def anchors(seed=0):
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.uniform(0.2, 0.8, (ANCHORS, 2)), random.uniform(0.1, 0.4, (ANCHORS, 2))]
    ).astype("f4")


def detector(**changes) -> bytes:
    """Two inputs through a quantized copy each, and the operator behind them."""
    writer = TfliteWriter()
    offsets = writer.tensor((1, ANCHORS, 4), scale=0.1, zero_point=0, name="offsets")
    scores = writer.tensor((1, ANCHORS, 1 + CLASSES), scale=1 / 256, zero_point=-128, name="scores")
    outputs = [writer.dequantize(writer.reshape(each, each.shape)) for each in (offsets, scores)]
    return with_operator(writer.finish([offsets, scores], outputs), settings(**changes))


def with_operator(content: bytes, options: dict[str, object]) -> bytes:
    """The operator put behind a model's outputs, by TensorFlow's own schema."""
    from pytest_quantcheck.models.rewriting.tree import Tree

    tree = Tree(content)
    schema, graph = tree.schema, tree.graph

    def added(shape, data=None):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = np.array(shape, np.int32), schema.TensorType.FLOAT32, b"x"
        tree.model.buffers.append(schema.BufferT())
        tensor.buffer = len(tree.model.buffers) - 1
        if data is not None:
            tree.set_constant(tensor, data)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = NAME.encode(), 1
    tree.model.operatorCodes.append(code)
    last = schema.OperatorT()
    last.opcodeIndex = len(tree.model.operatorCodes) - 1
    places = options["max_detections"] * options["max_classes_per_detection"]
    outputs = [added(shape) for shape in ((1, places, 4), (1, places), (1, places), (1,))]
    last.inputs = np.array([*graph.outputs, added((ANCHORS, 4), anchors())], np.int32)
    last.outputs = np.array(outputs, np.int32)
    last.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
    graph.operators.append(last)
    graph.outputs = last.outputs
    return tree.bytes()


def vectors(count=12, seed=1):
    random = np.random.default_rng(seed)
    offsets = random.normal(0, 3, (count, ANCHORS, 4)).round(1)
    scores = (random.beta(0.5, 2, (count, ANCHORS, 1 + CLASSES)) * 255).round() / 256
    return Samples((offsets.astype(np.float32), scores.astype(np.float32)))


def as_litert_does(content, samples):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    found = []
    for row in range(len(samples)):
        for detail, x in zip(interpreter.get_input_details(), samples.inputs, strict=True):
            scale, zero = detail["quantization"]
            interpreter.set_tensor(detail["index"], np.rint(x[row : row + 1] / scale + zero).astype(np.int8))
        interpreter.invoke()
        found.append(
            [interpreter.get_tensor(each["index"]).copy() for each in interpreter.get_output_details()]
        )
    return [np.concatenate(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_classes_per_detection": 2},
        {"use_regular_nms": True},
        {"use_regular_nms": True, "detections_per_class": 2, "max_detections": 5},
        {"nms_iou_threshold": 0.2, "nms_score_threshold": 0.6},
        {"nms_score_threshold": 1.0},
        {"y_scale": 4.0, "w_scale": 2.0},
    ],
)
def test_the_host_does_what_litert_does(changes):
    content, samples = detector(**changes), vectors()
    wanted = as_litert_does(content, samples)
    model = QuantizedModel("detector", content)
    run = host_runner("litert_reference").run(model, samples)
    assert [output.shape[1:] for output in run.outputs] == [(ANCHORS, 4), (ANCHORS, 1 + CLASSES)]
    found = model.finish(tuple(prepare.dequantize_output(model, raw, i) for i, raw in enumerate(run.outputs)))
    count = wanted[3].astype(int).reshape(-1) * changes.get("max_classes_per_detection", 1)
    assert found[3].astype(int).tolist() == count.tolist()
    for row in range(len(samples)):
        for mine, theirs in zip(found[:3], wanted[:3], strict=True):
            np.testing.assert_allclose(mine[row, : count[row]], theirs[row, : count[row]], atol=1e-5)
    (predictions,) = task("detection").decode(found, samples.inputs)
    assert ((predictions[..., 5] >= 0).sum(axis=1) == count).all()


def test_the_model_without_it_runs_on_a_board_and_the_file_stays():
    content = detector()
    model = QuantizedModel("detector", content)
    assert read_tflite_summary(content).kinds[-1] == f"CUSTOM:{NAME}"
    assert [operator.kind for operator in model.graph.operators] == ["RESHAPE", "DEQUANTIZE"] * 2 or len(
        model.graph.operators
    ) == 4
    assert len(model.artefact) == len(content)
    np.testing.assert_array_equal(model.finish.post.anchors, anchors())


def test_the_manifest_keeps_its_settings_for_an_artefact_alone(tmp_path):
    """The operator is cut off what a quantizer sees; the artefact's own file has no trace of it."""
    whole = QuantizedModel("detector", detector(use_regular_nms=True, y_scale=7.0), QuantConfig())
    bare = QuantizedModel("detector", whole.artefact, QuantConfig(), manifest=MANIFEST, finish=whole.finish)
    write_artefact(bare, tmp_path / "d.tflite")
    again = read_artefact(tmp_path / "d.tflite")
    samples = vectors()
    given = [np.asarray(each) for each in samples.inputs]
    for mine, theirs in zip(again.finish(given), whole.finish(given), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert again.finish.post.scales == (7.0, 10.0, 5.0, 5.0)
    assert "ends before TFLite_Detection_PostProcess" in again.manifest["findings"][0]["sentence"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("anchors", [[1, 2, 3]]),
        ("anchors", [[0, 0, 1, float("inf")]]),
        ("max_detections", 10**9),
        ("scales", [1, 2]),
        ("scales", [10, 10, 0, 5]),
        ("nms_score_threshold", "high"),
        ("more", 1),
    ],
)
def test_a_manifest_with_other_settings_is_refused(tmp_path, key, value):
    whole = QuantizedModel("detector", detector(), QuantConfig())
    bare = QuantizedModel("detector", whole.artefact, QuantConfig(), manifest=MANIFEST, finish=whole.finish)
    path = write_artefact(bare, tmp_path / "d.tflite")
    manifest = json.loads(path.read_text())
    manifest["detection_postprocess"][key] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="detection_postprocess"):
        read_artefact(tmp_path / "d.tflite")


def test_a_model_that_does_not_end_so_stays_as_it_is():
    writer = TfliteWriter()
    x = writer.tensor((1, 4), scale=0.1, zero_point=0, name=NAME)
    plain = writer.finish([x], [writer.reshape(x, (1, 2, 2))])
    assert PostProcess.cut_off(plain) == (plain, None)


@pytest.mark.parametrize(
    "changes",
    [{"max_detections": 0}, {"num_classes": 1 << 30}, {"y_scale": 0.0}, {"y_scale": float("nan")}],
)
def test_settings_without_sense_are_refused(changes):
    content = detector()
    damaged = with_operator_options(content, settings(**changes))
    with pytest.raises(ModelError, match="settings of TFLite_Detection_PostProcess"):
        QuantizedModel("detector", damaged)


def with_operator_options(content, options):
    from pytest_quantcheck.models.rewriting.tree import Tree

    tree = Tree(content)
    tree.graph.operators[-1].customOptions = np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
    return tree.bytes()


def test_damaged_options_never_crash():
    content = detector()
    at = content.index(b"max_detections")
    for place in range(at - 40, at + 200):
        spoiled = bytearray(content)
        spoiled[place] ^= 0xFF
        with contextlib.suppress(ModelError):
            PostProcess.cut_off(bytes(spoiled))
