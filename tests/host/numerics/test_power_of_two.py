"""Power-of-two quantization is exact, saturates, and refuses what its exponents cannot hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.numerics import power_of_two as p2
from pytest_quantcheck.numerics.affine import QuantParams
from pytest_quantcheck.numerics.rounding import ROUNDINGS, Rounding
from pytest_quantcheck.properties import exact

pytestmark = pytest.mark.host

RULES = st.sampled_from(ROUNDINGS)
DTYPES = st.sampled_from(("int8", "int16"))


@given(st.data(), strategies.exponents(-126, 60), DTYPES, RULES)
def test_quantizing_is_exact(data: st.DataObject, exponent: int, dtype: str, rule: Rounding) -> None:
    params = QuantParams(2.0**exponent, 0, dtype)
    x = data.draw(strategies.real_arrays(params))
    found = p2.quantize(x, exponent, dtype, rounding=rule)
    assert found.tolist() == [exact.quantized(number, params, rule, "exact") for number in x.tolist()]


@given(strategies.quantized_arrays("int16"), strategies.exponents(-126, 111))
def test_integers_come_back(q: np.ndarray, exponent: int) -> None:
    reals = p2.dequantize(q, exponent)
    assert [Fraction(r) for r in reals.tolist()] == [n * Fraction(2) ** exponent for n in q.tolist()]
    assert np.array_equal(p2.quantize(reals, exponent, "int16"), q)


def test_narrow_weights_leave_out_the_smallest_integer() -> None:
    assert p2.quantize([-10.0, 10.0], -5, narrow=True).tolist() == [-127, 127]
    assert p2.quantize([-10.0, 10.0], -5).tolist() == [-128, 127]


def test_1_at_exponent_minus_15_saturates_in_16_bits() -> None:
    assert p2.quantize(1.0, -15, "int16") == 32767


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        p2.quantize(np.nan, 0)


@pytest.mark.parametrize("exponent", [-127, 128])
def test_exponents_beyond_float32_are_refused(exponent: int) -> None:
    with pytest.raises(ValueError, match=r"in \[-126, 127\]"):
        p2.quantize(1.0, exponent)
    with pytest.raises(ValueError, match=r"in \[-126, 127\]"):
        p2.dequantize(np.int8(1), exponent)


def test_uint8_is_refused() -> None:
    with pytest.raises(ValueError, match="symmetric; allowed: int8, int16, int32"):
        p2.quantize(1.0, 0, "uint8")


@given(
    st.integers(-(2**60), 2**60) | st.integers(-300, 300),
    strategies.exponents(),
    strategies.exponents(),
    DTYPES,
    RULES,
)
@example(1, 127, -126, "int8", "half_even")
@example(-1, -126, 127, "int16", "floor")
@example(0, 127, -126, "int8", "half_up")
def test_requantizing_is_exact_and_saturates(
    q: int, source: int, target: int, dtype: str, rule: Rounding
) -> None:
    found = p2.requantize(q, source, target, dtype, rounding=rule)
    assert found == exact.shifted(q, target - source, dtype, rule)


def test_accumulators_of_channels_have_their_own_exponents() -> None:
    q = np.full((2, 3), 100)
    assert p2.requantize(q, [-3, -4, -2], -3, axis=1).tolist() == [[100, 50, 127]] * 2
    assert p2.quantize(np.ones((2, 3)), [-3, -4, -2], axis=-1).tolist() == [[8, 16, 4]] * 2
    assert p2.dequantize(np.ones((2, 3), np.int8), [-3, -4], axis=0)[:, 0].tolist() == [0.125, 0.0625]


@pytest.mark.parametrize(
    ("limit", "largest", "steps", "esp_ppq"),
    [
        (127.0, 0, 0, 0),
        (127.5, 1, 0, 0),
        (127.75, 1, 0, 1),
        (128.0, 1, 0, 1),
        (1.0, -6, -7, -6),
        (0.0, 0, 0, 0),
        (5e-324, -126, -126, -126),
    ],
)
def test_the_three_rules_for_an_exponent(limit: float, largest: int, steps: int, esp_ppq: int) -> None:
    assert p2.choose_exponent(limit) == largest
    assert p2.choose_exponent(limit, cover="steps") == steps
    assert p2.choose_exponent(limit, cover="esp_ppq") == esp_ppq


@given(st.floats(2.0**-100, 2.0**100), DTYPES)
def test_esp_ppq_takes_the_power_of_two_above_the_minmax_scale(limit: float, dtype: str) -> None:
    exponent = int(p2.choose_exponent(limit, dtype, cover="esp_ppq"))
    scale = 2 * Fraction(limit) / (2 ** (8 * np.dtype(dtype).itemsize) - 1)
    assert Fraction(2) ** (exponent - 1) < scale <= Fraction(2) ** exponent


@pytest.mark.parametrize("limit", [-1.0, np.inf, np.nan, 1e300])
def test_magnitudes_without_an_exponent_are_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="magnitude"):
        p2.choose_exponent(limit)


def test_an_unknown_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: largest, steps, esp_ppq"):
        p2.choose_exponent(1.0, cover="all")  # type: ignore[arg-type]


def test_chips_compute_as_esp_dl_does_on_them() -> None:
    table = {  # rounding, weights per channel, bits of a bias beside int8 and int16
        chip: (rule.rounding, rule.weights_per_channel, rule.bias_bits["int8"], rule.bias_bits["int16"])
        for chip, rule in p2.CHIP_RULES.items()
    }
    assert table == {
        "esp32": ("half_up", False, 32, 64),
        "esp32s2": ("half_up", False, 32, 64),
        "esp32c3": ("half_up", False, 32, 64),
        "esp32s3": ("half_up", False, 20, 40),
        "esp32p4": ("half_even", True, 32, 40),
        "esp32s31": ("half_even", True, 32, 40),
    }
