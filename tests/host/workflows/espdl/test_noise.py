"""The noise of each layer, by every chip's rules: what it is, and that it finds the layer that is coarse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance_models import onnx_nets as nets
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.espdl.options import TARGETS
from pytest_quantcheck.workflows.espdl import layer_noise, noise_table
from pytest_quantcheck.workflows.espdl.noise import LayerNoise
from tests.espdl_networks import network, samples

pytestmark = [pytest.mark.host, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

X = np.asarray(samples(3).inputs[0])


def test_every_chip_and_every_layer_has_a_ratio() -> None:
    layers = layer_noise(network(3), [X], [X[:6]])
    assert [each.name for each in layers] == ["c1_r", "d1_r", "p1_c", "a1", "m1", "c2_r", "g1", "f1", "y"]
    assert [each.kind for each in layers][:4] == ["Conv", "Conv", "Conv", "Add"]
    for each in layers:
        assert set(each.ratios) == set(TARGETS)
        assert all(0 < ratio < 0.2 for ratio in each.ratios.values()), each
        assert each.ratios["esp32"] == each.ratios["esp32c3"], "one rule"
        assert each.ratios["esp32p4"] == each.ratios["esp32s31"]
    assert any(each.ratios["esp32c3"] != each.ratios["esp32p4"] for each in layers)
    text = noise_table(layers)
    assert text.splitlines()[0] == f"| layer | operator | {' | '.join(TARGETS)} |"
    assert f"| y | Gemm | {100 * layers[-1].ratios['esp32']:.3g} % |" in text


def test_int16_has_much_less() -> None:
    how: dict[str, Any] = {"targets": ["esp32s3"]}
    coarse, fine = (layer_noise(network(3), [X], [X[:4]], scheme=s, **how) for s in ("int8", "int16"))
    for one, other in zip(coarse, fine, strict=True):
        assert other.ratios["esp32s3"] < one.ratios["esp32s3"] / 1000


def test_the_ratio_is_the_noise_by_the_signal() -> None:
    """One layer that copies its input: the noise is what rounding leaves of the input."""
    net = nets.Net(0)
    y = net.op("Gemm", net.input("x", 1, 4), net.constant(np.eye(4)), net.constant(np.zeros(4)))
    x = np.random.default_rng(1).uniform(-0.99, 0.99, (20, 4)).astype(np.float32)
    (found,) = layer_noise(net.model({y: (1, 4)}), [x], [x], targets=["esp32p4"])
    steps = np.rint(x.astype(np.float64) * 128) / 128
    assert found.ratios["esp32p4"] == pytest.approx(float(((steps - x) ** 2).sum() / (x**2).sum()), rel=0.05)


def test_a_layer_with_unlike_channels_stands_out() -> None:
    net = nets.Net(4)
    x = net.input("x", 1, 6)
    weights = net.rng.normal(size=(6, 6))
    loud = np.array([300, 1, 1, 1, 1, 1])
    none = net.constant(np.zeros(6))
    a = net.op("Relu", net.op("Gemm", x, net.constant(weights * loud), none))
    b = net.op("Gemm", a, net.constant(weights / loud[:, None]), none)
    data = np.random.default_rng(2).normal(size=(30, 6)).astype(np.float32)
    made = net.model({b: (1, 6)})
    first, second = layer_noise(made, [data], [data], targets=["esp32p4"])
    assert first.ratios["esp32p4"] < 0.001 < 0.05 < second.ratios["esp32p4"]


@pytest.mark.parametrize(
    ("calibration", "given", "told"),
    [
        ([X], [X, X], "test samples: 2 arrays; the model has 1 input"),
        ([X, X], [X], "calibration samples: 2 arrays; the model has 1 input"),
        (
            [X],
            [X[:, :, :8]],
            r"test samples for 'x' have the shape \(3, 8, 16\) each; the model takes \(3, 16, 16\)",
        ),
        ([X[:, 0]], [X], r"calibration samples for 'x' have the shape \(16, 16\) each"),
        ([X[:0]], [X], "calibration and test samples"),
        ([X], [np.float32(1)], "test samples for 'x'"),
        ([X], [np.full_like(X, np.nan)], "test samples for 'x' hold NaN or infinity"),
        ([X], [X.astype(str)], "test samples for 'x' are no real numbers"),
    ],
)
def test_samples_that_do_not_fit_are_refused(calibration: Any, given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        layer_noise(network(3), calibration, given, targets=["esp32s3"])


def test_inputs_have_equally_many_samples() -> None:
    net = nets.Net(0)
    y = net.op("Add", net.input("a", 1, 4), net.input("b", 1, 4))
    x = np.ones((3, 4), np.float32)
    with pytest.raises(UsageError, match="test samples: 3, 2 of them for the inputs; equally many"):
        layer_noise(net.model({y: (1, 4)}), [x, x], [x, x[:2]], targets=["esp32s3"])


def test_other_numbers_are_taken_as_float32() -> None:
    wanted = layer_noise(network(3), [X], [X[:2]], targets=["esp32s3"])
    assert layer_noise(network(3), [X.astype(float)], [X[:2].astype(float)], targets=["esp32s3"]) == wanted


def test_the_table_shows_small_ratios() -> None:
    layers = (LayerNoise("a", "Conv", {"esp32s3": 2.345e-9}), LayerNoise("b", "Conv", {"esp32s3": 0.0}))
    assert noise_table(layers).splitlines()[2:] == ["| a | Conv | 2.35e-07 % |", "| b | Conv | 0 % |"]


def test_no_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="calibration and test samples"):
        layer_noise(network(3), [X], [X[:0]])
    with pytest.raises(UsageError, match="target='esp32h2' is not known"):
        layer_noise(network(3), [X], [X[:1]], targets=["esp32h2"])
