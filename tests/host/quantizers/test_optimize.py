"""``optimize``: the float network stays what it is, and one scale per layer loses less."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck.cli import main
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.representative import Representative
from pytest_quantcheck.demo.artefacts import demo_samples
from pytest_quantcheck.errors import CombinationError, QuantizationError, UsageError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value, window_output
from pytest_quantcheck.models.float_model import FloatModel
from pytest_quantcheck.models.load import load
from pytest_quantcheck.plugin.cases import expand
from pytest_quantcheck.plugin.markers import override
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.tflite import optimize
from pytest_quantcheck.quantizers.tflite.quantize import quantize

pytestmark = [
    pytest.mark.host,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
    pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors:UserWarning"),
]


@dataclass
class Net:
    """Writes a float network, layer behind layer, with weights drawn from ``rng``."""

    rng: np.random.Generator
    shape: tuple[int, ...] = (1, 6, 6, 3)
    writer: TfliteWriter = field(default_factory=TfliteWriter)

    def __post_init__(self) -> None:
        self.input = self.x = self.writer.tensor(self.shape, "float32")

    def constant(self, values) -> Value:
        return self.writer.tensor(np.shape(values), "float32", data=np.asarray(values, np.float32))

    def operator(self, kind, inputs, shape, **options) -> Value:
        out = self.writer.tensor(shape, "float32")
        self.writer.operator(kind, inputs, [out], **options)
        return out

    def weights(self, kind, channels, size=1, spread=0.0) -> np.ndarray:
        """Uniform, and each output channel smaller by up to ``spread`` powers of ten.

        Never larger: behind a chain of large ones, float32 itself has no digits left to compare.
        """
        wide = self.x.shape[-1]
        shape = {
            "CONV_2D": (channels, size, size, wide),
            "DEPTHWISE_CONV_2D": (1, size, size, channels),
            "FULLY_CONNECTED": (channels, wide),
        }[kind]
        w = self.rng.uniform(-1, 1, shape)
        scale = 10 ** self.rng.uniform(-spread, 0, channels)
        return w * (scale if kind == "DEPTHWISE_CONV_2D" else scale.reshape(-1, *[1] * (w.ndim - 1)))

    def layer(self, kind, weights, bias=None, *, activation="RELU", padding="SAME", source=None) -> Value:
        """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED; arrays or tensors of the file as constants."""
        x = source or self.x
        w = weights if isinstance(weights, Value) else self.constant(weights)
        if bias is None:
            bias = np.zeros(w.shape[3 if kind == "DEPTHWISE_CONV_2D" else 0])
        inputs = [x, w, bias if isinstance(bias, Value) else self.constant(bias)]
        options = {"FusedActivationFunction": getattr(tflite.ActivationFunctionType, activation)}
        if kind == "FULLY_CONNECTED":
            shape = (1, w.shape[0])
        else:
            size, channels = w.shape[1], w.shape[0 if kind == "CONV_2D" else 3]
            spots = [window_output(n, size, 1, 1, padding) for n in x.shape[1:3]]
            shape = (1, *spots, channels)
            options |= {"Padding": getattr(tflite.Padding, padding), "StrideH": 1, "StrideW": 1}
            options |= {"DilationHFactor": 1, "DilationWFactor": 1}
        if kind == "DEPTHWISE_CONV_2D":
            options["DepthMultiplier"] = channels // x.shape[-1]
        self.x = self.operator(kind, inputs, shape, **options)
        return self.x

    def drawn(self, kind, channels, size=1, spread=0.0, **how) -> Value:
        bias = self.rng.uniform(-1, 1, channels)
        return self.layer(kind, self.weights(kind, channels, size, spread), bias, **how)

    def pool(self, kind="MAX_POOL_2D") -> None:
        _, h, w, c = self.x.shape
        options = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2, "Padding": 1}
        self.x = self.operator(kind, [self.x], (1, h // 2, w // 2, c), **options)

    def flatten(self) -> None:
        size = int(np.prod(self.x.shape))
        self.x = self.operator("RESHAPE", [self.x, self.writer.constant([1, size])], (1, size))

    def pointwise(self, kind, a, b) -> Value:
        """ADD or MUL of two tensors, the second perhaps an array."""
        b = b if isinstance(b, Value) else self.constant(b)
        self.x = self.operator(kind, [a, b], a.shape, FusedActivationFunction=0)
        return self.x

    def model(self, *outputs) -> FloatModel:
        return FloatModel.from_tflite(self.writer.finish([self.input], outputs or [self.x]), "net", "net")


def samples(rng, count=8, shape=(6, 6, 3)) -> Representative:
    x = rng.uniform(-1, 1, (count, *shape)).astype("f4")
    return Representative(Calibration(), (x,), tuple(map(str, range(count))))


def outputs(content: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rows = []
    for image in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
        interpreter.invoke()
        values = [interpreter.get_tensor(d["index"]).ravel() for d in interpreter.get_output_details()]
        rows.append(np.concatenate(values))
    return np.array(rows)


def layers(content: bytes) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Weights and bias of each layer."""
    summary = read_summary(content)
    return [
        tuple(summary.tensors[i].values if i >= 0 else None for i in (*op.inputs, -1)[1:3])
        for op in summary.operators
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]


def same(before: bytes, after: bytes, x: np.ndarray, tolerance: float = optimize.TOLERANCE) -> bool:
    truth = outputs(before, x)
    return bool(np.abs(outputs(after, x) - truth).max() <= tolerance * np.abs(truth).max())


@st.composite
def chains(draw):
    """A drawn network of convolutions, depthwise and dense layers, with what stands in the way of pairs."""
    net = Net(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    activation = st.sampled_from(["NONE", "RELU", "RELU", "RELU6"])
    for _ in range(draw(st.integers(2, 6))):
        kinds = ["pointwise", "conv", "grouped", "depthwise", "depthwise", "residual", "pool"]
        step = draw(st.sampled_from(kinds))
        how = {"spread": draw(st.sampled_from([0.0, 1.0, 3.0])), "activation": draw(activation)}
        how["padding"] = draw(st.sampled_from(["SAME", "VALID"])) if net.x.shape[1] > 3 else "SAME"
        wide = net.x.shape[-1]
        if step == "pointwise":
            net.drawn("CONV_2D", draw(st.integers(2, 6)), **how)
        elif step == "grouped" and wide % 2 == 0:
            del how["spread"]
            net.layer(
                "CONV_2D", net.rng.uniform(-1, 1, (4, 3, 3, wide // 2)), net.rng.uniform(-1, 1, 4), **how
            )
        elif step in ("conv", "grouped"):
            net.drawn("CONV_2D", draw(st.integers(2, 6)), 3, **how)
        elif step == "depthwise":
            net.drawn("DEPTHWISE_CONV_2D", wide * draw(st.sampled_from([1, 1, 2])), 3, **how)
        elif step == "residual":
            before = net.x
            net.pointwise("ADD", before, net.drawn("CONV_2D", wide, 1, how["spread"]))
        elif net.x.shape[1] >= 4:
            net.pool(draw(st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D"])))
    if draw(st.booleans()):
        net.flatten()
    if len(net.x.shape) == 2:
        net.drawn("FULLY_CONNECTED", 3, activation="NONE")
    return net


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=chains())
def test_drawn_networks_answer_the_same(cache, net):
    model, seen = net.model(), samples(net.rng)
    made, report = optimize.optimize(model, seen, cache)
    assert same(model.tflite, made.tflite, seen.inputs[0])
    for pair in report["pairs"]:
        assert 1 / 256 <= pair["factors"][0] <= pair["factors"][1] <= 256
    for weights, bias in layers(made.tflite):
        assert np.isfinite(weights).all()
        assert bias is None or np.isfinite(bias).all()


def separable(rng, *, activation="RELU", spread=2.0) -> Net:
    """Pointwise, depthwise, pointwise, with depthwise channels of very different size."""
    net = Net(rng)
    net.drawn("CONV_2D", 8, activation=activation)
    net.drawn("DEPTHWISE_CONV_2D", 8, 3, spread, activation=activation)
    net.drawn("CONV_2D", 4, activation="NONE")
    return net


def test_weights_into_and_out_of_a_channel_get_the_same_reach(cache):
    """Equation 11 of the paper, up to one number per pair that scales nothing relative to the rest."""
    rng = np.random.default_rng(0)
    net = Net(rng)
    net.drawn("CONV_2D", 8, 3, spread=2.0, activation="RELU")
    net.drawn("CONV_2D", 4, activation="NONE")
    model, seen = net.model(), samples(rng)
    made, report = optimize.optimize(model, seen, cache)
    (first, _), (second, _) = layers(made.tflite)
    ratio = np.abs(first).max(axis=(1, 2, 3)) / np.abs(second).max(axis=(0, 1, 2))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    (first, _), (second, _) = layers(model.tflite)
    ratio = np.abs(first).max(axis=(1, 2, 3)) / np.abs(second).max(axis=(0, 1, 2))
    assert ratio.max() > 10 * ratio.min()
    assert report["pairs"][0]["layers"] == ["CONV_2D 0", "CONV_2D 1"]


def test_no_activation_gets_a_wider_range(cache):
    net = separable(np.random.default_rng(1))
    model, seen = net.model(), samples(net.rng)
    made, _ = optimize.optimize(model, seen, cache)
    for before, after in zip(reaches(model, seen), reaches(made, seen), strict=True):
        assert after <= before * (1 + 1e-5)


def reaches(model: FloatModel, seen: Representative) -> list[float]:
    """The largest value that each operator puts out."""
    interpreter = Interpreter(model_content=model.tflite, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    largest = np.zeros(len(model.summary.operators))
    for image in seen.inputs[0]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
        interpreter.invoke()
        values = [interpreter.get_tensor(op.outputs[0]) for op in model.summary.operators]
        largest = np.maximum(largest, [np.abs(value).max() for value in values])
    return list(largest)


@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-30])
def test_dead_channels_keep_their_scale_and_no_factor_explodes(cache, tiny):
    """A batch norm of a channel that never fired leaves weights of 1e-12 beside a bias that counts."""
    rng = np.random.default_rng(2)
    net = Net(rng)
    first, second = net.weights("CONV_2D", 8), rng.uniform(-1, 1, (4, 1, 1, 8))
    first[2] *= tiny
    second[..., 5] *= tiny
    net.layer("CONV_2D", first, np.full(8, -0.1), activation="RELU")
    net.layer("CONV_2D", second, activation="NONE")
    model, seen = net.model(), samples(rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["pairs"][0]["kept"] == {"dead": 2}
    (after, _), (behind, _) = layers(made.tflite)
    np.testing.assert_array_equal(after[[2, 5]], np.float32(first[[2, 5]]))
    np.testing.assert_array_equal(behind[..., [2, 5]], np.float32(second[..., [2, 5]]))
    assert same(model.tflite, made.tflite, seen.inputs[0], 1e-6)


def test_a_layer_of_zeros_is_left_alone(cache):
    net = Net(np.random.default_rng(3))
    net.layer("CONV_2D", np.zeros((4, 1, 1, 3)), np.ones(4))
    net.drawn("CONV_2D", 2, activation="NONE")
    model, seen = net.model(), samples(net.rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["pairs"][0]["kept"] == {"dead": 4}
    assert same(model.tflite, made.tflite, seen.inputs[0], 1e-6)


def test_a_channel_that_reaches_the_clip_of_relu6_keeps_its_scale(cache):
    rng = np.random.default_rng(4)
    net = Net(rng)
    weights = net.weights("CONV_2D", 6, spread=0.5)
    bias = np.array([0, 8, 0, 7, 0, 0])
    net.layer("CONV_2D", weights, bias, activation="RELU6")
    net.drawn("CONV_2D", 3, activation="NONE")
    model, seen = net.model(), samples(rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["pairs"][0]["kept"] == {"reaches the clip at 6": 2}
    (after, moved), _ = layers(made.tflite)
    np.testing.assert_array_equal(after[[1, 3]], np.float32(weights[[1, 3]]))
    np.testing.assert_array_equal(moved[[1, 3]], [8, 7])
    assert not np.array_equal(after, np.float32(weights))
    assert same(model.tflite, made.tflite, seen.inputs[0], 1e-6)
    assert made.summary.operators[0].options["FusedActivationFunction"] == 3  # the clip is where it was


def test_where_every_channel_reaches_the_clip_nothing_is_scaled(cache):
    rng = np.random.default_rng(5)
    net = Net(rng)
    net.layer("CONV_2D", net.weights("CONV_2D", 4, spread=1.0), np.full(4, 60), activation="RELU6")
    net.drawn("CONV_2D", 3, activation="NONE")
    made, report = optimize.optimize(net.model(), samples(rng), cache)
    assert report["pairs"][0]["factors"] == [1.0, 1.0]
    assert layers(made.tflite)[0][0].tobytes() == layers(net.model().tflite)[0][0].tobytes()


def test_a_high_bias_moves_to_the_next_layer(cache):
    rng = np.random.default_rng(6)
    net = Net(rng)
    zeros = net.constant(np.zeros(4))
    net.layer("CONV_2D", 0.1 * rng.uniform(-1, 1, (4, 1, 1, 3)), np.array([9, 0, 0, 0]), activation="RELU")
    net.layer("CONV_2D", rng.uniform(-1, 1, (4, 1, 1, 4)), zeros, activation="NONE")
    net.pointwise("ADD", net.x, net.x)
    net.layer("CONV_2D", rng.uniform(-1, 1, (4, 1, 1, 4)), zeros, activation="NONE")
    model, seen = net.model(), samples(rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["pairs"][0]["absorbed"] == 1
    (_, first), (_, second), (_, third) = layers(made.tflite)
    assert 0 < first[0] < 1
    assert np.abs(second).max() > 1
    assert not third.any()  # the zeros were one tensor for both
    assert same(model.tflite, made.tflite, seen.inputs[0], 1e-6)
    assert reaches(made, seen)[0] < 0.2 * reaches(model, seen)[0]


def test_a_bias_is_not_absorbed_by_a_padded_layer(cache):
    """At the border it would see zeros where there was a constant."""
    net = Net(np.random.default_rng(7))
    net.layer("CONV_2D", 0.1 * net.weights("CONV_2D", 4), np.full(4, 9.0))
    net.drawn("DEPTHWISE_CONV_2D", 4, 3, activation="NONE", padding="SAME")
    made, report = optimize.optimize(net.model(), samples(net.rng), cache)
    assert report["pairs"][0]["absorbed"] == 0
    assert same(net.model().tflite, made.tflite, samples(net.rng, 20).inputs[0], 1e-5)


def shared_weights(net):
    w = net.constant(net.rng.uniform(-1, 1, (3, 1, 1, 3)))
    net.layer("CONV_2D", w)
    net.layer("CONV_2D", w, activation="NONE")
    return [net.x]


def two_readers(net):
    stem = net.drawn("CONV_2D", 4)
    branch = net.drawn("CONV_2D", 4, activation="NONE", source=stem)
    net.drawn("CONV_2D", 4, activation="NONE", source=stem)
    return [branch, net.x]


def residual(net):
    stem = net.drawn("CONV_2D", 3)
    net.pointwise("ADD", net.input, stem)
    net.drawn("CONV_2D", 4, activation="NONE")
    return [net.x]


def an_output_inside(net):
    inside = net.drawn("CONV_2D", 4)
    net.drawn("CONV_2D", 4, activation="NONE")
    return [inside, net.x]


def not_homogeneous(net):
    net.drawn("CONV_2D", 4, activation="NONE")
    net.x = net.operator("LOGISTIC", [net.x], net.x.shape)
    net.drawn("CONV_2D", 4, activation="NONE")
    return [net.x]


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (shared_weights, "its weights are shared"),
        (two_readers, "its output has several readers"),
        (residual, "ADD follows"),
        (an_output_inside, "its output is an output of the network"),
        (not_homogeneous, "LOGISTIC follows"),
    ],
)
def test_what_cannot_be_scaled_alone_is_left_as_it_is_and_named(cache, build, why):
    net = Net(np.random.default_rng(8))
    model = net.model(*build(net))
    made, report = optimize.optimize(model, samples(net.rng), cache)
    assert report["pairs"] == []
    assert "CONV_2D 0" in report["left"][why]
    assert made.semantic_sha256 == model.semantic_sha256


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_batch_norm_left_behind_a_layer_is_folded_into_it(cache, kind):
    net = Net(np.random.default_rng(9))
    channels, epsilon = 6, 0.1
    gamma, beta, mean = net.rng.normal(size=(3, channels))
    variance = net.rng.uniform(0, 1, channels)
    g = gamma / np.sqrt(variance + epsilon)
    net.layer(kind, net.weights(kind, channels, 3), activation="NONE")
    net.pointwise("MUL", net.x, g)
    net.pointwise("ADD", net.x, (beta - g * mean).reshape(1, 1, 1, channels))
    net.drawn("CONV_2D", 4, activation="NONE")
    model, seen = net.model(), samples(net.rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["folded_operators"] == 2
    assert made.summary.kinds == tuple(dict.fromkeys((kind, "CONV_2D")))
    assert len(made.summary.operators) == 2
    assert len(report["pairs"]) == 1
    assert same(model.tflite, made.tflite, samples(net.rng, 20).inputs[0], 1e-5)


def test_a_factor_of_each_row_is_no_batch_norm(cache):
    net = Net(np.random.default_rng(12))
    net.drawn("CONV_2D", 6, activation="NONE")
    net.pointwise("MUL", net.x, net.rng.normal(size=(6, 1, 1)))  # six rows, and six channels too
    net.drawn("CONV_2D", 4, activation="NONE")
    model, seen = net.model(), samples(net.rng)
    made, report = optimize.optimize(model, seen, cache)
    assert report["folded_operators"] == 0
    assert report["left"]["MUL follows"] == ["CONV_2D 0"]
    assert made.semantic_sha256 == model.semantic_sha256


def test_a_keras_batch_norm_is_folded_with_its_own_epsilon(cache):
    keras = pytest.importorskip("keras", reason="Keras is not installed: extra tensorflow")
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    x = keras.layers.DepthwiseConv2D(3, use_bias=False)(image)
    x = keras.layers.BatchNormalization(epsilon=0.3, moving_variance_initializer="random_uniform")(x)
    x = keras.layers.Conv2D(4, 1)(keras.layers.ReLU()(x))
    network = keras.Model(image, x)
    network.layers[2].set_weights(
        [np.r_[3.0, 0.1, 1], np.r_[0.5, 0, -0.5], np.r_[0.1, 0, 0.2], np.r_[0.01, 0.2, 0]]
    )
    seen = samples(np.random.default_rng(0))
    made, report = optimize.optimize(load(network), seen, cache)
    truth = np.concatenate([np.asarray(network(row[None])).reshape(1, -1) for row in seen.inputs[0]])
    np.testing.assert_allclose(outputs(made.tflite, seen.inputs[0]), truth, rtol=1e-4, atol=1e-5)
    assert len(report["pairs"]) == 1


def test_outputs_that_are_no_longer_numbers_are_an_error(cache):
    net = Net(np.random.default_rng(10))
    weights = net.weights("CONV_2D", 4)
    weights[1, 0, 0, 0] = np.inf
    net.layer("CONV_2D", weights)
    net.drawn("CONV_2D", 2, activation="NONE")
    with pytest.raises(QuantizationError, match="Leave optimize out"):
        optimize.optimize(net.model(), samples(net.rng), cache)


@pytest.fixture(scope="module")
def spread_digits(float_digits, edited):
    """The trained digits with the trouble of MobileNets: channels of very different size after batch norms.

    Each channel of the depthwise layer and of the last convolution is multiplied by a factor between 1/30 and
    30, what reads it is divided by it: the same network, as trained batch norms with uneven gammas make it.
    """
    rng = np.random.default_rng(0)

    def spread(model):
        graph = model.subgraphs[0]

        def values(operator, position):
            tensor = graph.tensors[graph.operators[operator].inputs[position]]
            return model.buffers[tensor.buffer].data.view("<f4").reshape(tensor.shape)

        for first, second, repeats in ((1, 2, 1), (5, 8, 4)):
            data = [values(first, 1), values(first, 2), values(second, 1)]
            assert len({id(d) for d in data}) == 3
            factors = 10 ** rng.uniform(-1.5, 1.5, len(data[1])).astype("f4")
            data[0] *= factors if first == 1 else factors.reshape(-1, 1, 1, 1)
            data[1] *= factors
            data[2] /= np.tile(factors, repeats)

    def writable(model):
        for buffer in model.buffers:
            if buffer.data is not None:
                buffer.data = np.array(buffer.data, np.uint8)
        spread(model)

    return FloatModel.from_tflite(edited(float_digits.tflite, writable), "spread", "spread digits")


def test_per_tensor_error_falls_to_less_than_half_on_a_depthwise_separable_network(
    spread_digits, float_digits, digits_data, cache
):
    x = digits_data.test.x
    assert same(float_digits.tflite, spread_digits.tflite, x, 1e-5)
    config = {
        "granularity": "per_tensor",
        "calibration": "10%",
        "output_type": "float32",
        "input_type": "float32",
    }
    plain, better = (
        quantize(spread_digits, QuantConfig(**config, optimize=on), digits_data, cache=cache)
        for on in (False, True)
    )
    truth = outputs(float_digits.tflite, x)
    error = {m.id: np.sqrt(np.mean((outputs(m.artefact, x) - truth) ** 2)) for m in (plain, better)}
    assert error[better.id] <= 0.5 * error[plain.id]
    told = better.manifest["optimize"]
    assert told["rmse"]["after"] <= 0.5 * told["rmse"]["before"]
    assert told["float_difference"] <= 1e-5
    assert [pair["layers"] for pair in told["pairs"]] == [
        ["DEPTHWISE_CONV_2D 1", "CONV_2D 2"],
        ["CONV_2D 5", "FULLY_CONNECTED 8"],
    ]
    assert "optimize" in [f["code"] for f in better.manifest["findings"]]
    assert better.float_model == spread_digits.tflite
    assert json.loads(json.dumps(better.manifest)) == better.manifest


def test_where_it_does_not_help_it_says_so_and_why(cache):
    net = Net(np.random.default_rng(11))
    model, seen = net.model(*residual(net)), samples(net.rng)
    config = QuantConfig(granularity="per_tensor", optimize=True)
    made = quantize(model, config, Samples(seen.inputs[0]), cache=cache)
    (told,) = [f for f in made.manifest["findings"] if f["code"] == "optimize_does_not_help"]
    assert told["severity"] == "warning"
    assert "equalised 0 pairs" in told["sentence"]
    assert "is no gain" in told["sentence"]
    assert "ADD follows (CONV_2D 0)" in told["sentence"]
    rmse = made.manifest["optimize"]["rmse"]
    assert rmse["before"] == rmse["after"] > 0
    assert made.id == "net-tflite-i8-i8-pertensor-opt-cal100pct"


def test_an_error_as_large_as_the_outputs_is_a_warning_whatever_the_gain():
    report = {"rmse": {"before": 0.9, "after": 0.3}, "spread": 1.0, "pairs": [], "left": {}}
    told = optimize.finding(report)
    assert (told.severity, told.code) == ("warning", "optimize_is_not_enough")
    assert "went from 0.9 to 0.3" in told.sentence
    assert "still 30% of how far the float outputs spread (1)" in told.sentence
    assert optimize.finding({**report, "spread": 2.0}).severity == "note"


def test_a_trained_mobilenet_with_relu6_and_residuals_answers_the_same(cache):
    pytest.importorskip("keras", reason="Keras is not installed: extra tensorflow")
    from conformance_models import mobilenetv2

    data = mobilenetv2.dataset()
    config = QuantConfig(granularity="per_tensor", calibration="10%", optimize=True)
    model = quantize(mobilenetv2.float_model(), config, data, cache=cache)
    told = model.manifest["optimize"]
    assert told["float_difference"] <= 1e-5
    assert len(told["pairs"]) >= 8
    assert told["left"]["ADD follows"]
    assert any("reaches the clip at 6" in pair["kept"] for pair in told["pairs"])


def test_the_same_with_int16_activations(spread_digits, digits_data, cache):
    config = QuantConfig(scheme="int16x8", granularity="per_tensor", calibration="count:20", optimize=True)
    told = quantize(spread_digits, config, digits_data, cache=cache).manifest["optimize"]
    assert told["rmse"]["after"] <= 0.5 * told["rmse"]["before"]


@pytest.mark.parametrize(
    ("together", "words"),
    [
        ({}, "granularity='per_channel', where it costs accuracy; give granularity='per_tensor'"),
        ({"scheme": "dynamic"}, "scheme='dynamic', which has no per-tensor scales; .* scheme='int8'"),
        ({"scheme": "float16"}, "scheme='float16', which has no per-tensor scales"),
        ({"quantizer": "onnx", "granularity": "per_tensor"}, "quantizer='onnx'; leave optimize out"),
    ],
)
def test_impossible_companions_are_refused_when_the_configuration_is_made(together, words):
    with pytest.raises(CombinationError, match=rf"optimize=True is impossible with {words}"):
        QuantConfig(optimize=True, **together)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_optimize_is_true_or_false(value):
    with pytest.raises(UsageError, match=r"optimize=.*allowed: True, False"):
        QuantConfig(granularity="per_tensor", optimize=value)


def test_it_is_a_factor_of_the_matrix_and_of_its_overrides():
    marker = {"model": "net.h5", "granularity": ["per_tensor", "per_channel"], "optimize": [False, True]}
    expansion = expand(marker, "", collapse_edges=False)
    assert [parameter.case.config.optimize for parameter in expansion.parameters] == [False, True, False]
    assert sum(expansion.impossible.values()) == 1
    assert override({}, {"optimize": "true,False"}) == {"optimize": [True, False]}


def test_the_command_says_what_it_brought(float_digits, tmp_path, monkeypatch, capsys, cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(cache.root))
    held_out: Samples = demo_samples()
    np.savez("digits.npz", x=held_out.x, y=held_out.y, ids=held_out.names)
    (tmp_path / "net.tflite").write_bytes(float_digits.tflite)
    arguments = [
        "quantize",
        "net.tflite",
        "-o",
        "out.tflite",
        "--data",
        "digits.npz",
        "--calibration",
        "count:20",
    ]
    assert main([*arguments, "--granularity", "per_tensor", "--optimize"]) == 0
    assert "optimize equalised 2 pairs of layers" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "out.tflite.json").read_text())["optimize"]["rmse"]) == {
        "before",
        "after",
    }
    assert main([*arguments, "--optimize"]) == 2
    assert "granularity='per_tensor'" in capsys.readouterr().err
