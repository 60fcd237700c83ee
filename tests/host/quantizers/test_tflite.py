"""The TFLite quantizer under every configuration, on the digits."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.errors import QuantizationError, UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.quantizers.audit.tflite import granularity_of
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite import quantize as tflite
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.integer import IntegerRunner

pytestmark = pytest.mark.host

TYPES = ("int8", "uint8", "float32")
GRANULARITIES = ("per_channel", "per_tensor")


def accuracy(artefact: bytes, samples: Samples) -> float:
    """Of LiteRT's reference kernels, with inputs quantized by the artefact's own parameters."""
    reference = OpResolverType.BUILTIN_REF
    interpreter = Interpreter(model_content=artefact, experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]
    scale, zero_point = source["quantization"]
    x = samples.x
    if scale:
        limits = np.iinfo(source["dtype"])
        x = np.clip(np.rint(x / scale) + zero_point, limits.min, limits.max).astype(source["dtype"])
    right = 0
    for image, label in zip(x, samples.y, strict=True):
        interpreter.set_tensor(source["index"], image[np.newaxis])
        interpreter.invoke()
        right += interpreter.get_tensor(sink).argmax() == label
    return right / len(samples)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("output_type", TYPES)
@pytest.mark.parametrize("input_type", TYPES)
def test_every_combination_is_what_was_asked_for_and_still_knows_the_digits(
    quantize_digits, digits_data, input_type, output_type, granularity
):
    model = quantize_digits(input_type=input_type, output_type=output_type, granularity=granularity)
    summary = read_summary(model.artefact)
    assert summary.input_tensors[0].dtype == input_type
    assert summary.output_tensors[0].dtype == output_type
    assert granularity_of(summary) == granularity
    assert {f["severity"] for f in model.manifest["findings"]} <= {"note"}
    assert accuracy(model.artefact, digits_data.test) >= 0.97


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_int16_activations_are_one_integer_model_for_both_exact_references(
    quantize_digits, digits_data, granularity
):
    """Per-tensor with a depthwise layer is what TensorFlow cannot do, and rewriting can."""
    model = quantize_digits(scheme="int16x8", granularity=granularity)
    assert granularity_of(read_summary(model.artefact)) == granularity
    few = digits_data.test.take(range(40))
    oracle, own = (runner.run(model, few).outputs[0] for runner in (exact_runner(), IntegerRunner()))
    assert np.array_equal(oracle, own)
    assert np.mean(oracle.argmax(axis=1) == few.y) >= 0.95


@pytest.mark.parametrize("scheme", ["dynamic", "float16"])
def test_weights_alone_can_be_made_smaller_without_any_sample(float_digits, digits_data, cache, scheme):
    model = tflite.quantize(float_digits, QuantConfig(scheme=scheme), cache=cache)
    assert model.manifest["calibration"]["kind"] == "none"
    assert len(model.artefact) < len(float_digits.tflite)
    assert accuracy(model.artefact, digits_data.test) >= 0.97


def test_float32_is_the_converted_model_itself_and_runs_like_any_other(float_digits, digits_data, cache):
    model = tflite.quantize(float_digits, QuantConfig(scheme="float32"), cache=cache)
    assert model.artefact == float_digits.tflite
    assert model.config.id == "tflite-float32-f32-f32"
    run = exact_runner().run(model, digits_data.test)
    assert np.mean(run.outputs[0].argmax(axis=1) == digits_data.test.y) >= 0.97


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_integer_core_does_not_depend_on_the_types_at_the_edges(quantize_digits, granularity):
    cores = set()
    for input_type in TYPES:
        for output_type in TYPES:
            model = quantize_digits(input_type=input_type, output_type=output_type, granularity=granularity)
            summary = read_summary(model.artefact)
            core = [op for op in summary.operators if op.kind not in ("QUANTIZE", "DEQUANTIZE")]
            constants = [
                summary.tensors[i].data.tobytes()
                for op in core
                for i in op.inputs
                if summary.tensors[i].data is not None
            ]
            scales = [summary.tensors[op.outputs[0]].scales.tobytes() for op in core]
            cores.add((tuple(op.kind for op in core), tuple(constants), tuple(scales)))
    assert len(cores) == 1


def test_the_manifest_tells_how_the_artefact_was_made(quantize_digits, digits_data, float_digits):
    model = quantize_digits(calibration="count:7", seed=3)
    manifest = json.loads(json.dumps(model.manifest))
    assert manifest["source"] == {"file": FLOAT_MODEL, "sha256": float_digits.source_sha256}
    assert QuantConfig.from_dict(manifest["config"]) == model.config
    assert len(manifest["calibration"]["ids"]) == 7
    assert set(manifest["calibration"]["ids"]) <= set(digits_data.calibration.names)
    assert {"tensorflow", "keras", "pytest-quantcheck"} <= set(manifest["versions"])
    assert model.float_model == float_digits.tflite


def test_another_seed_calibrates_with_other_samples_and_gives_another_artefact(quantize_digits):
    first, second = quantize_digits("count:3", seed=0), quantize_digits("count:3", seed=1)
    assert first.manifest["calibration"]["sha256"] != second.manifest["calibration"]["sha256"]
    assert first.artefact != second.artefact


def test_a_random_calibration_is_marked(quantize_digits):
    model = quantize_digits("random:10")
    assert model.random_calibration
    assert model.manifest["findings"][0]["code"] == "random_calibration"
    assert model.manifest["calibration"]["ids"] == []


def test_a_leak_of_test_samples_is_in_the_manifest(float_digits, digits_data, cache):
    leaking = Dataset(digits_data.test, digits_data.test)
    model = tflite.quantize(
        float_digits, QuantConfig(calibration=Calibration.parse("count:5")), leaking, cache=cache
    )
    assert model.manifest["findings"][0]["code"] == "test_samples_in_calibration"


def test_samples_of_another_shape_never_reach_the_quantizer(float_digits, cache):
    with pytest.raises(UsageError, match=r"\(28, 28, 1\)"):
        tflite.quantize(float_digits, QuantConfig(), Samples(np.zeros((3, 28, 28, 1), "f4")), cache=cache)


def test_an_artefact_that_is_not_what_was_asked_for_is_an_error(
    quantize_digits, float_digits, digits_data, monkeypatch, tmp_path
):
    """A converter that ignores the wish for uint8 (as several do, silently) is caught."""
    wrong = quantize_digits(input_type="int8").artefact
    monkeypatch.setattr(tflite, "_convert", lambda model, config, samples, cache: wrong)
    with pytest.raises(QuantizationError, match=r"input_type.*is int8, uint8 was asked for"):
        tflite.quantize(float_digits, QuantConfig("uint8"), digits_data, cache=Cache(tmp_path))


def test_quantizing_again_gives_the_same_bytes(quantize_digits, float_digits, digits_data, tmp_path):
    first = quantize_digits()
    again = tflite.quantize(float_digits, first.config, digits_data, cache=Cache(tmp_path))
    assert again.artefact == first.artefact
    assert again.manifest == first.manifest


def test_a_warm_cache_answers_without_tensorflow_and_without_a_conversion(quantize_digits, cache):
    expected = quantize_digits()
    program = (
        "import sys\n"
        "from conformance_models import digits\n"
        "from pytest_quantcheck.models.conversion.worker import Worker\n"
        "from pytest_quantcheck.cache import Cache\n"
        "from pytest_quantcheck.quantizers.config import QuantConfig\n"
        "from pytest_quantcheck.data.calibration import Calibration\n"
        "from pytest_quantcheck.quantizers.tflite.quantize import quantize\n"
        "Worker.call = None  # a conversion would be a TypeError\n"
        "config = QuantConfig(calibration=Calibration.parse('10%'))\n"
        "model = quantize(sys.argv[1], config, digits.dataset(), cache=Cache(sys.argv[2]))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
        "print(model.sha256)"
    )
    command = [sys.executable, "-c", program, str(DATA / FLOAT_MODEL), str(cache.root)]
    assert subprocess.check_output(command, text=True).strip() == expected.sha256
