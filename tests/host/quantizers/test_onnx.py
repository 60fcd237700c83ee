"""The onnx quantizer: every type, granularity and calibration, integer edges, and an audit of the file."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import CombinationError, ModelError, QuantizationError, UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.models.conversion.worker import shared_worker
from pytest_quantcheck.quantizers.artefact import read_artefact, write_artefact
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.onnx import quantize as quantizer
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner
from pytest_quantcheck.runners.prepare import dequantize_output

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RNG = np.random.default_rng(7)
IMAGES = Samples(RNG.standard_t(2, size=(24, 3, 12, 10)).clip(-30, 30).astype(np.float32))
BOTH = Samples(
    (RNG.normal(size=(24, 2, 6, 6)).astype(np.float32), RNG.normal(size=(24, 5)).astype(np.float32))
)


def config(**how: Any) -> QuantConfig:
    return QuantConfig(quantizer="onnx", **how)


def make(cache: Cache, source: bytes = b"", data: Samples = IMAGES, **how: Any) -> QuantizedModel:
    return quantize(source or nets.residual(), config(**how), data, cache=cache, name="net")


def error_against_float(model: QuantizedModel, data: Samples) -> float:
    """Root mean square, relative to the float outputs' spread."""
    theirs = OnnxruntimeRunner().run(QuantizedModel("float", model.float_model), data).outputs[0]
    ours = dequantize_output(model, IntegerRunner().run(model, data).outputs[0])
    return float(np.sqrt(((theirs - ours) ** 2).mean()) / theirs.std())


@pytest.mark.parametrize("scheme", ["int8", "uint8", "int16x8"])
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("edges", ["integer", "float32", "mixed"])
def test_every_combination_is_what_was_asked_for(
    cache: Cache, scheme: str, granularity: str, edges: str
) -> None:
    integer = {"int8": "int8", "uint8": "uint8", "int16x8": "int16"}[scheme]
    first = integer if edges != "float32" else "float32"
    last = integer if edges == "integer" else "float32"
    model = make(cache, scheme=scheme, granularity=granularity, input_type=first, output_type=last)
    summary = read_summary(model.artefact)
    assert [t.dtype for t in summary.input_tensors] == [first]
    assert [t.dtype for t in summary.output_tensors] == [last]
    assert summary.input_tensors[0].shape == (1, 3, 12, 10)
    scales = [
        len(t.scales) for t in summary.tensors if t.dtype == "int8" and t.data is not None and len(t.scales)
    ]
    assert max(scales) == (1 if granularity == "per_tensor" else 8)
    onnx.checker.check_model(onnx.load_from_string(model.artefact))
    if scheme != "int16x8":
        assert error_against_float(model, IMAGES) < 0.15


@pytest.mark.parametrize(
    ("variable", "value", "told"), [("QC_CONVERSION_MIB", "20", "20 MiB"), ("QC_CONVERSION_S", "1", "1 s")]
)
def test_quantizing_has_a_limit_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    make(Cache(tmp_path / "before"))  # the process has loaded its libraries, so that it is over 20 MiB
    process, _ = shared_worker(quantizer.CONVERT, "onnxruntime's quantizer")._running()
    monkeypatch.setenv(variable, value)
    os.kill(process.pid, signal.SIGSTOP)  # it takes for ever
    with pytest.raises(ModelError, match=f"quantizer did not finish .* within {told}; raise .* {variable}"):
        make(Cache(tmp_path))
    monkeypatch.undo()
    assert make(Cache(tmp_path)).artefact  # the next one works


def test_two_inputs_become_integers(cache: Cache) -> None:
    model = make(cache, nets.two_inputs(), BOTH)
    assert [t.dtype for t in read_summary(model.artefact).input_tensors] == ["int8", "int8"]
    assert error_against_float(model, BOTH) < 0.06


def test_a_flatten_keeps_the_models_order(cache: Cache) -> None:
    data = Samples(RNG.normal(size=(16, 2, 4, 6)).astype(np.float32))
    assert error_against_float(make(cache, nets.flattened(), data), data) < 0.06


def test_softmax_ends_at_one(cache: Cache) -> None:
    output = read_summary(make(cache).artefact).output_tensors[0]
    assert (output.scales[0], output.zero_points[0]) == (np.float32(1 / 256), -128)


def scales(model: QuantizedModel) -> list[float]:
    return [float(t.scales[0]) for t in read_summary(model.artefact).tensors if len(t.scales)]


def test_the_number_of_bins_counts(cache: Cache) -> None:
    """onnxruntime's own quantize_static ignores it, and its 128 bins of entropy change nothing."""
    found = {
        text: scales(make(cache, options=options))
        for text, options in {
            "minmax": {},
            "entropy 256": {"method": "entropy", "bins": 256},
            "entropy 320": {"method": "entropy", "bins": 320},
            "percentile": {"method": "percentile", "percentile": 99},
            "percentile 50 bins": {"method": "percentile", "percentile": 99, "bins": 50},
        }.items()
    }
    assert len({tuple(values) for values in found.values()}) == 5
    assert sum(found["percentile"]) < sum(found["minmax"])


def test_reduced_range_leaves_weights_seven_bits(cache: Cache) -> None:
    def largest(model: QuantizedModel) -> int:
        weights = [numpy_helper.to_array(t) for t in onnx.load_from_string(model.artefact).graph.initializer]
        return max(int(np.abs(w.astype(int)).max()) for w in weights if w.dtype == np.int8 and w.ndim > 1)

    assert largest(make(cache)) == 127
    assert largest(make(cache, options={"reduce_range": True})) == 64


def test_equal_requests_give_equal_bytes_and_the_cache_answers(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(cache)
    assert make(Cache(tmp_path)).artefact == first.artefact
    monkeypatch.setattr(quantizer, "convert", None)
    assert make(cache).artefact == first.artefact


def test_the_artefact_goes_to_disk_with_its_manifest(cache: Cache, tmp_path: Path) -> None:
    model = make(cache, options={"method": "percentile", "percentile": 99.9})
    assert model.id == "net-onnx-i8-i8-perchannel-percentile99.9-cal100pct"
    assert [finding["code"] for finding in model.manifest["findings"]] == ["layout"]
    assert "(1, 3, 12, 10): NCHW" in model.manifest["findings"][0]["sentence"]
    write_artefact(model, tmp_path / "net.onnx")
    again = read_artefact(tmp_path / "net.onnx")
    assert again.config == model.config
    assert set(again.manifest["versions"]) == {"onnx", "onnxruntime", "pytest-quantcheck"}


@pytest.mark.parametrize("opset", [11, 13, 21])
def test_older_and_newer_operator_sets_are_quantized(cache: Cache, opset: int) -> None:
    net = nets.Net()
    x = net.input("x", 1, 3, 8, 8)
    y = net.op("Relu", net.op("Conv", x, net.normal(4, 3, 3, 3)))
    content = net.model({net.op("Flatten", y): (1, 144)}, opset=opset)
    data = Samples(RNG.normal(size=(8, 3, 8, 8)).astype(np.float32))
    assert error_against_float(make(cache, content, data), data) < 0.05


@pytest.mark.parametrize("edge", ["int8", "float32"])
def test_what_stays_in_float_is_named(cache: Cache, edge: str) -> None:
    data = Samples(RNG.normal(size=(8, 5, 3)).astype(np.float32))
    told = r"operator \d+ \(LSTM.*\) computes in float.*\n? *.*export its steps one by one, or take Conv"
    with pytest.raises(QuantizationError, match=told):
        make(cache, nets.lstm(), data, input_type=edge, output_type=edge)


def test_another_format_is_told_where_to_go(cache: Cache, float_digits: Any, digits_data: Any) -> None:
    with pytest.raises(UsageError, match=r"no ONNX model.*quantizer='tflite'"):
        quantize(float_digits, config(), digits_data, cache=cache)
    with pytest.raises(UsageError, match="quantizer='onnx'"):
        quantize(nets.residual(), QuantConfig(), IMAGES, cache=cache)


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ({"options": {"method": "kl"}}, UsageError, "allowed: minmax, entropy, percentile"),
        ({"options": {"methd": "kl"}}, UsageError, "'methd' of the quantizer onnx is not known"),
        ({"options": {"bins": 0}}, UsageError, "bins=0: leave bins out, or give a positive number"),
        ({"options": {"bins": 512}}, CombinationError, "bins=512 is impossible with method='minmax'"),
        ({"options": {"method": "entropy", "bins": 128}}, UsageError, "whole number from 256"),
        ({"options": {"method": "percentile", "bins": 2.5}}, UsageError, "whole number from 2 to"),
        ({"options": {"percentile": 99}}, CombinationError, "percentile=99 is impossible"),
        ({"options": {"method": "percentile", "percentile": 0.99}}, UsageError, "above 50, up to 100"),
        ({"options": {"reduce_range": "yes"}}, UsageError, "allowed: True, False"),
        ({"input_type": "uint8"}, CombinationError, "or scheme='uint8'"),
        ({"scheme": "uint8", "output_type": "int8"}, CombinationError, "or scheme='int8'"),
        ({"scheme": "dynamic"}, CombinationError, "allowed: int8, uint8, int16x8"),
    ],
)
def test_impossible_requests_are_refused_when_they_are_made(
    how: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        config(**how)


def changed(model: QuantizedModel, change: Any) -> bytes:
    proto = onnx.load_from_string(model.artefact)
    change(proto.graph)
    return bytes(proto.SerializeToString())


def codes(content: bytes, wanted: QuantConfig | None = None) -> set[str]:
    return {finding.code for finding in audit(content, wanted)}


def test_the_audit_reads_the_file(cache: Cache) -> None:
    model = make(cache)
    assert not codes(model.artefact, model.config)
    assert codes(model.artefact, config(granularity="per_tensor")) == {"granularity"}
    assert codes(make(cache, granularity="per_tensor").artefact, config()) == {"granularity"}
    assert codes(model.artefact, config(input_type="float32", output_type="float32")) == {
        "input_type",
        "output_type",
    }

    def weights_moved(graph: Any) -> None:
        for node in graph.node:
            if node.op_type == "DequantizeLinear" and "c0" in node.input[0]:
                zero = next(t for t in graph.initializer if t.name == node.input[2])
                zero.CopyFrom(numpy_helper.from_array(np.ones_like(numpy_helper.to_array(zero)), zero.name))

    def scale_broken(graph: Any) -> None:
        name = next(node.input[1] for node in graph.node if node.op_type == "QuantizeLinear")
        scale = next(t for t in graph.initializer if t.name == name)
        scale.CopyFrom(numpy_helper.from_array(np.float32(np.inf).reshape(()), name))

    def operator_of_another_domain(graph: Any) -> None:
        next(node for node in graph.node if node.op_type == "Conv").domain = "com.example"

    assert codes(changed(model, weights_moved)) == {"asymmetric_weights"}
    assert codes(changed(model, scale_broken)) == {"scale"}
    assert "custom_operator" in codes(changed(model, operator_of_another_domain))
    float_codes = codes(nets.residual())
    assert float_codes == {"float_operator"}


def test_a_file_of_another_scheme_is_told(cache: Cache) -> None:
    edges = {"input_type": "float32", "output_type": "float32"}
    schemes = ("int8", "uint8", "int16x8")
    found = {scheme: make(cache, scheme=scheme, **edges).artefact for scheme in schemes}
    for has, artefact in found.items():
        for asked in schemes:
            told = codes(artefact, config(scheme=asked, **edges))
            assert told == (set() if asked == has else {"scheme"}), (has, asked)


def dense(weights: np.ndarray, weight_scale: float, output_scale: float) -> bytes:
    return nets.between(
        "MatMul",
        [(1, 4)],
        [nets.Q(0.1, 0)],
        nets.Q(output_scale, 0),
        (1, weights.shape[1]),
        weights=[(weights.astype(np.int8), weight_scale, 1)],
    )


def test_an_output_that_never_changes_is_told() -> None:
    assert codes(dense(np.full((4, 2), 100), 0.01, 0.1)) == set()
    assert codes(dense(np.full((4, 2), 100), 0.01, 1e6)) == {"constant_output"}
    assert codes(dense(np.zeros((4, 2)), 0.01, 0.1)) == {"constant_output"}


def test_a_scale_that_an_outlier_has_stretched_is_told() -> None:
    weights = np.full((4, 2), 2)
    weights[:, 1] = 127
    assert codes(dense(weights, 0.01, 0.1)) == {"scale_outlier"}


def test_the_ones_of_a_pool_are_no_weights() -> None:
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    q = nets.Q(0.1, 0)
    assert codes(nets.between("AveragePool", [(1, 3, 4, 4)], [q], q, (1, 3, 2, 2), attributes=pool)) == set()
