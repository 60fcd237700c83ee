"""The espdl quantizer: exponents, biases, weights and sums by the rules of each chip and generation."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

from conformance_models import onnx_nets as nets
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.demo.artefacts import DATA, demo_samples
from pytest_quantcheck.errors import (
    CombinationError,
    MissingExtraError,
    ModelError,
    QuantizationError,
    UsageError,
)
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_onnx.read import read_onnx
from pytest_quantcheck.numerics.power_of_two import CHIP_RULES
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.espdl.calibration import Range, exponent
from pytest_quantcheck.quantizers.espdl.options import TARGETS, EspdlOptions
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.onnxruntime import OnnxruntimeRunner
from pytest_quantcheck.runners.prepare import dequantize_output

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Array = npt.NDArray[Any]
RNG = np.random.default_rng(7)
IMAGES = Samples(RNG.normal(size=(24, 3, 12, 10)).astype(np.float32))


def config(**how: Any) -> QuantConfig:
    return QuantConfig(quantizer="espdl", **how)


def make(cache: Cache, source: bytes = b"", data: Samples = IMAGES, **how: Any) -> QuantizedModel:
    return quantize(source or nets.residual(), config(**how), data, cache=cache, name="net")


def error_against_float(model: QuantizedModel, data: Samples) -> float:
    """Root mean square, relative to the float outputs' spread."""
    theirs = OnnxruntimeRunner().run(QuantizedModel("float", model.float_model), data).outputs[0]
    ours = dequantize_output(model, IntegerRunner().run(model, data).outputs[0])
    return float(np.sqrt(((theirs - ours) ** 2).mean()) / theirs.std())


def constants(model: QuantizedModel) -> dict[str, Array]:
    graph = onnx.load_from_string(model.artefact).graph
    return {each.name: numpy_helper.to_array(each) for each in graph.initializer}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize(
    ("scheme", "granularity", "most"),
    [("int8", "per_tensor", 0.5), ("int8", "per_channel", 0.5), ("int16", "per_tensor", 0.01)],
)
def test_every_combination_is_what_was_asked_for(
    cache: Cache, target: str, generation: int, scheme: str, granularity: str, most: float
) -> None:
    how = {"scheme": scheme, "granularity": granularity}
    model = make(cache, options={"target": target, "generation": generation}, **how)
    assert model.config is not None
    assert audit(model.artefact, model.config) == ()
    found = constants(model)
    scales = np.concatenate([v.reshape(-1) for name, v in found.items() if "_scale" in name])
    assert np.all(np.frexp(scales)[0] == 0.5)
    assert error_against_float(model, IMAGES) < most
    said = {e.key: e.value for e in onnx.load_from_string(model.artefact).metadata_props}
    rounding = "floor" if generation == 1 else CHIP_RULES[target].rounding
    assert said == {
        "quantcheck.rounding": rounding,
        "quantcheck.dtype": scheme,
        "quantcheck.target": target,
        "quantcheck.generation": str(generation),
    }


def test_the_targets_are_those_with_a_rule() -> None:
    assert set(TARGETS) == set(CHIP_RULES)


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ({"options": {"target": "esp32h2"}}, UsageError, r"target='esp32h2' is not known; allowed: esp32, "),
        ({"options": {"chip": "esp32"}}, UsageError, "option 'chip' of the quantizer espdl is not known"),
        ({"options": {"calibration_method": "mse"}}, UsageError, "allowed: minmax, entropy, percentile"),
        ({"options": {"generation": 3}}, UsageError, "generation=3 is not known"),
        ({"options": {"percentile": 99.0}}, CombinationError, "calibration_method='percentile'"),
        ({"scheme": "int4"}, UsageError, "scheme='int4' is not known"),
    ],
)
def test_what_is_not_known_is_refused_by_name(how: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        config(**how)


def digits(tmp_path: Path) -> QuantizedModel:
    samples = demo_samples()
    data = Dataset(samples.take(range(100)), samples.take(range(100, 300)), "classification")
    return quantize(DATA / "digits.tflite", config(), data, cache=Cache(tmp_path), name="digits")


def test_what_is_no_onnx_model_needs_a_package_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name == "tf2onnx":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(MissingExtraError, match=r"'tf2onnx'.*pip install \"pytest-quantcheck\[espdl\]\""):
        digits(tmp_path)


def test_a_tflite_network_is_converted_and_stays_as_good(tmp_path: Path) -> None:
    model = digits(tmp_path)
    assert model.graph.tensors[model.graph.inputs[0]].shape == (1, 8, 8, 1)
    samples = demo_samples().take(range(100, 300))
    found = IntegerRunner().run(model, samples).outputs[0].argmax(1)
    assert float(np.mean(found == np.asarray(samples.y))) > 0.97


def test_int16_takes_the_largest_value_only(cache: Cache) -> None:
    with pytest.raises(CombinationError, match="impossible with scheme='int16'; allowed: minmax"):
        make(cache, scheme="int16", options={"calibration_method": "entropy"})


def test_int16_of_the_old_toolkit_has_one_exponent_per_layer(cache: Cache) -> None:
    how: dict[str, Any] = {"scheme": "int16", "granularity": "per_channel"}
    with pytest.raises(CombinationError, match="allowed: per_tensor, or generation=2"):
        make(cache, options={"generation": 1}, **how)
    _, exponents, *_ = layer(make(cache, options={"target": "esp32p4"}, **how))
    assert exponents.shape == (5,)


def test_what_has_no_integers_is_refused_by_name(cache: Cache) -> None:
    steps = Samples(np.zeros((4, 5, 3), np.float32))
    with pytest.raises(QuantizationError, match=r"operator LSTM.* is not supported for ESP-DL"):
        make(cache, nets.lstm(), steps)
    images = Samples(RNG.normal(size=(4, 3, 6, 4)).astype(np.float32))
    with pytest.raises(QuantizationError, match=r"ConvTranspose.*: int16 is not supported; int8 is"):
        make(cache, nets.decoder(), images, scheme="int16")


def dense(weights: Array, bias: Array, relu: bool = False) -> bytes:
    net = nets.Net()
    y = net.op("Gemm", net.input("x", 1, len(weights)), net.constant(weights), net.constant(bias))
    return net.model({net.op("Relu", y) if relu else y: (1, len(bias))})


def layer(model: QuantizedModel) -> tuple[Array, Array, Array, int, int]:
    """Weights, their exponents, bias in the sums' scale, exponents of input and output of the only layer."""
    graph = model.graph
    (op,) = [op for op in graph.operators if op.kind == "FULLY_CONNECTED"]
    x, w, b = (graph.tensors[i] for i in op.inputs)
    y = graph.output_of(op)
    exponents = [np.log2(t.quantization.scale).astype(int) for t in (x, w, y) if t.quantization]
    assert w.data is not None
    assert b.data is not None
    return w.data, exponents[1], b.data, int(exponents[0][0]), int(exponents[2][0])


def test_exponents_are_the_specifications(cache: Cache) -> None:
    """The example of the toolkit: inputs up to 1 have exponent -15 in int16, and 1.0 itself saturates."""
    weights, bias = np.asarray([[0.5, -1.0], [0.25, 3.6]]), np.asarray([0.1, -0.3])
    x = Samples(np.asarray([[1.0, 0.0], [0.5, -0.25]], np.float32))
    old = make(cache, dense(weights, bias), x, scheme="int16", options={"generation": 1, "target": "esp32s3"})
    w, ew, b, ex, ey = layer(old)
    assert (ex, ew.tolist(), ey) == (-15, [-13], -14)
    np.testing.assert_array_equal(w, np.rint(weights.T * 2**13))
    held = np.rint(bias * 2.0**14).astype(np.int64)  # 16 bits, with the exponent of the output
    np.testing.assert_array_equal(b, held << (ey - ex - ew[0]))
    new = make(cache, dense(weights, bias), x, scheme="int16", options={"target": "esp32s3"})
    _, ew, b, ex, _ = layer(new)
    assert ex == -14  # 1.0 fits
    np.testing.assert_array_equal(b, np.floor(np.float32(bias) * 2.0 ** -(ex + ew[0]) + 0.5))


def test_weights_of_the_old_toolkit_leave_out_the_smallest_integer(cache: Cache) -> None:
    weights, x = np.asarray([[-1.0], [0.5]]), Samples(np.ones((2, 2), np.float32))
    for generation, smallest in ((1, -127), (2, -64)):
        w, *_ = layer(make(cache, dense(weights, np.zeros(1)), x, options={"generation": generation}))
        assert w.min() == smallest


@pytest.mark.parametrize(("target", "most"), [("esp32s3", 1 << 19), ("esp32c3", 1 << 31)])
def test_biases_saturate_at_the_chips_width(cache: Cache, target: str, most: int) -> None:
    weights, x = np.full((1, 1), 2.0**-12), Samples(np.full((2, 1), 2.0**-9, np.float32))
    _, _, b, _, _ = layer(make(cache, dense(weights, np.asarray([2.0**-10])), x, options={"target": target}))
    assert b[0] == min(most - 1, 1 << (18 + 15 - 10))  # exponents -18 and -15


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("scheme", ["int8", "int16"])
def test_a_layer_is_computed_by_its_rule(cache: Cache, scheme: str, generation: int, target: str) -> None:
    """Against real numbers in float64, where every product and sum of this size is exact."""
    rng = np.random.default_rng(3)
    source = dense(rng.normal(size=(6, 9)), rng.normal(size=9), relu=True)
    data = Samples(rng.normal(size=(60, 6)).astype(np.float32))
    model = make(cache, source, data, scheme=scheme, options={"target": target, "generation": generation})
    w, ew, b, ex, ey = layer(model)
    info = np.iinfo(scheme)
    x = rng.integers(info.min, info.max, (400, 1, 6), endpoint=True).astype(scheme)
    found = execute.run_batch(model.graph, [x])[model.graph.outputs[0]]
    real = np.ldexp(x[:, 0].astype(np.float64) @ w.T.astype(np.float64) + b, ex + ew - ey)
    half_up = np.floor(real + 0.5) if target == "esp32s3" else np.rint(real)
    expected = np.clip(np.floor(real) if generation == 1 else half_up, 0, info.max)
    assert found is not None
    np.testing.assert_array_equal(found[:, 0], expected)


def test_operators_that_move_or_choose_share_their_exponent(cache: Cache) -> None:
    net = nets.Net(1)
    x = net.input("x", 1, 3, 8, 8)
    a = net.op("Conv", x, net.normal(4, 3, 3, 3))
    b = net.op("Conv", x, net.normal(4, 3, 3, 3, scale=8))
    joined = net.op("MaxPool", net.op("Concat", a, b, axis=1), kernel_shape=[2, 2], strides=[2, 2])
    y = net.op("LeakyRelu", net.op("Transpose", joined, perm=[0, 2, 3, 1]), alpha=0.3)
    data = Samples(RNG.normal(size=(8, 3, 8, 8)).astype(np.float32))
    model = make(cache, net.model({y: (1, 3, 3, 8)}), data)
    graph = model.graph
    scales = set()
    for op in graph.operators:
        made = graph.output_of(op).quantization
        assert made is not None
        if op.kind in ("CONV_2D", "CONCATENATION", "MAX_POOL_2D", "LEAKY_RELU"):
            scales.add(float(made.scale[0]))
    assert len(scales) == 1
    kinds = {op.kind for op in graph.operators}
    assert "QUANTIZE" not in kinds  # nothing is left to rescale


def test_the_inputs_of_a_sum_get_the_exponent_of_its_output(cache: Cache) -> None:
    net = nets.Net(1)
    x, y = net.input("x", 1, 4), net.input("y", 1, 4)
    data = Samples((np.full((3, 4), 100, np.float32), np.full((3, 4), 0.9, np.float32)))
    model = make(cache, net.model({net.op("Sub", x, y): (1, 4)}), data)
    inputs = [np.full((1, 4), 100, np.int8), np.asarray([[32, 64, 96, -64]], np.int8)]
    found = execute.run(model.graph, inputs)[model.graph.outputs[0]]
    assert found is not None
    assert found.tolist() == [[100, 99, 99, 100]]  # 0.25, 0.5, 0.75, -0.5 become 0, 1, 1, 0: halves up


def test_slopes_are_integers_times_a_power_of_two(cache: Cache) -> None:
    net = nets.Net()
    source = net.model({net.op("LeakyRelu", net.input("x", 1, 8), alpha=0.3): (1, 8)})
    data = Samples(np.linspace(-1, 1, 80, dtype=np.float32).reshape(10, 8))
    for scheme, slope in (("int8", 77 / 256), ("int16", 19661 / 65536)):
        model = make(cache, source, data, scheme=scheme)
        info = np.iinfo(scheme)
        x = np.asarray([[info.min, -1000 % info.max, -101, -50, -2, -1, 0, info.max]]).astype(scheme)
        found = execute.run(model.graph, [x])[model.graph.outputs[0]]
        real = np.where(x < 0, x * slope, x.astype(np.float64))
        assert found is not None
        np.testing.assert_array_equal(found, np.floor(real + 0.5))


def histogram(values: Array) -> Range:
    seen = Range(float(np.abs(values).max()))
    seen.exponent = int(np.ceil(np.log2(seen.largest / 128)))
    width = 2.0**seen.exponent / 64
    bins = np.minimum((np.abs(values) / width).astype(np.int64), 128 * 64 - 1)
    seen.counts = np.bincount(bins, minlength=128 * 64)
    return seen


def test_outliers_move_the_largest_value_and_not_the_other_methods() -> None:
    values = np.append(np.random.default_rng(0).normal(size=100_000), 100.0)
    seen = histogram(values)

    def by(method: str) -> int:
        return exponent(seen, "int8", "esp_ppq", EspdlOptions(calibration_method=method))

    assert (by("minmax"), by("percentile")) == (0, -5)
    assert by("entropy") < 0
    flat = histogram(np.linspace(0, 1, 10_000))
    for method in ("minmax", "entropy", "percentile"):
        options = EspdlOptions(calibration_method=method)
        assert exponent(flat, "int8", "steps", options) == -7


def test_metadata_that_make_no_sense_are_refused(cache: Cache) -> None:
    model = onnx.load_from_string(make(cache).artefact)
    for key, value in (("quantcheck.rounding", "upwards"), ("quantcheck.dtype", "int4")):
        changed = onnx.ModelProto.FromString(model.SerializeToString())
        for entry in changed.metadata_props:
            if entry.key == key:
                entry.value = value
        with pytest.raises(ModelError, match=f"{key}='{value}'; allowed: "):
            read_onnx(changed.SerializeToString())


def test_scales_that_contradict_the_metadata_are_refused(cache: Cache) -> None:
    model = onnx.load_from_string(make(cache).artefact)
    for each in model.graph.initializer:
        if each.name.endswith("_scale") and not each.dims:
            each.CopyFrom(numpy_helper.from_array(np.asarray(0.3, np.float32), each.name))
    with pytest.raises(ModelError, match="is no power of two"):
        read_onnx(model.SerializeToString())


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (make(Cache(tmp_path / name)).artefact for name in ("a", "b"))
    assert first == second


def test_ranges_are_those_with_rounded_weights(cache: Cache) -> None:
    """Today's tool looks at activations when weights are rounded already; the old one did not."""
    weights, x = np.asarray([[1.9], [0.994]]), Samples(np.asarray([[1.0, 0.0], [0.0, 128.0]], np.float32))
    *_, new = layer(make(cache, dense(weights, np.zeros(1)), x))
    *_, old = layer(make(cache, dense(weights, np.zeros(1)), x, options={"generation": 1}))
    assert (old, new) == (0, 1)  # up to 127.2 by the float weights, 128 by the rounded ones
