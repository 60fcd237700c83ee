"""Ready-made checks of quantized arithmetic, for any implementation: Python, C through ctypes, a board.

A check draws cases with Hypothesis, compares the answers with exact arithmetic and raises an
AssertionError with the smallest counterexample. Each docstring names the bug that it catches.

    from pytest_quantcheck.properties import Domain, rounds_as_stated

    def test_my_quantizer():
        rounds_as_stated(my_quantize, Domain(rounding="half_even"))

``QUANTIZER_PROPERTIES`` lists those of ``quantize(x, params)``, to parametrize a test with.
"""

from pytest_quantcheck.errors import MissingExtraError

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise MissingExtraError("hypothesis", "properties", "Checking properties") from error

from pytest_quantcheck.numerics.affine import QuantParams
from pytest_quantcheck.properties.domain import Domain
from pytest_quantcheck.properties.integers import (
    biases_saturate,
    exponents_cover_the_range,
    impossible_ranges_are_refused,
    parameters_cover_the_range,
    parameters_waste_no_steps,
    requantizes_exactly,
    requantizes_in_float32,
    shifts_exactly,
)
from pytest_quantcheck.properties.quantizers import (
    QUANTIZER_PROPERTIES,
    channels_have_their_own_scales,
    clips_before_the_cast,
    equal_scales_change_nothing,
    integers_come_back,
    is_monotonic,
    round_trip_is_within_half_a_step,
    rounds_as_stated,
    saturates_outside,
    uint8_is_int8_plus_128,
    zero_is_exact,
)

__all__ = [
    "QUANTIZER_PROPERTIES",
    "Domain",
    "QuantParams",
    "biases_saturate",
    "channels_have_their_own_scales",
    "clips_before_the_cast",
    "equal_scales_change_nothing",
    "exponents_cover_the_range",
    "impossible_ranges_are_refused",
    "integers_come_back",
    "is_monotonic",
    "parameters_cover_the_range",
    "parameters_waste_no_steps",
    "requantizes_exactly",
    "requantizes_in_float32",
    "round_trip_is_within_half_a_step",
    "rounds_as_stated",
    "saturates_outside",
    "shifts_exactly",
    "uint8_is_int8_plus_128",
    "zero_is_exact",
]
