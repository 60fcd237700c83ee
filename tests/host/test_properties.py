"""The public properties: right implementations pass, each under its own rounding; wrong ones fail with one
number that says what is wrong."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pytest_quantcheck import properties
from pytest_quantcheck.errors import MissingExtraError
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.numerics import affine, fixed_point, float_scale, power_of_two, rounding
from pytest_quantcheck.properties import QUANTIZER_PROPERTIES, Domain, QuantParams
from pytest_quantcheck.properties.quantizers import Quantizer

pytestmark = pytest.mark.host

Array = npt.NDArray[Any]
ALL_TYPES = ("int8", "uint8", "int16")
every_property = pytest.mark.parametrize("holds", QUANTIZER_PROPERTIES, ids=lambda holds: holds.__name__)


def numpy_quantizer(domain: Domain) -> Quantizer:
    def quantize(x: Array, params: QuantParams) -> Array:
        return affine.quantize(
            x,
            params.scale,
            params.zero_point,
            params.dtype,
            rounding=domain.rounding,
            division=domain.division,
        )

    return quantize


NUMPY = {
    "tflite": Domain(ALL_TYPES),
    "onnx": Domain(ALL_TYPES, rounding="half_even"),
    "xnnpack": Domain(ALL_TYPES, rounding="half_even", division="reciprocal"),
    "exact": Domain((*ALL_TYPES, "int32"), rounding="half_up", division="exact"),
    "floor": Domain(ALL_TYPES, rounding="floor"),
}


@every_property
@pytest.mark.parametrize("domain", NUMPY.values(), ids=NUMPY)
def test_numpy_holds(holds: Callable[[Quantizer, Domain], None], domain: Domain) -> None:
    holds(numpy_quantizer(domain), domain)


@every_property
@pytest.mark.parametrize("rounding", ["half_even", "half_up"])
def test_power_of_two_scales_hold(holds: Callable[[Quantizer, Domain], None], rounding: str) -> None:
    def quantize(x: Array, params: QuantParams) -> Array:
        exponent = int(np.log2(params.scale))
        if params.zero_point:  # uint8 as int8 plus 128
            signed = power_of_two.quantize(x, exponent, "int8", rounding=domain.rounding)
            return signed.astype(np.int16) + params.zero_point
        return power_of_two.quantize(x, exponent, params.dtype, rounding=domain.rounding)

    domain = Domain(("int8", "int16"), rounding, "exact", power_of_two=True, zero_points=(0, 0))
    if holds is properties.uint8_is_int8_plus_128:
        domain = Domain(("int8",), rounding, "exact", power_of_two=True, zero_points=(0, 0))
    holds(quantize, domain)


@lru_cache(maxsize=256)
def _litert(params: QuantParams, resolver: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    writer = TfliteWriter()
    x = writer.tensor((1, 8), "float32", name="x")
    q = writer.quantize(x, scale=params.scale, zero_point=params.zero_point, dtype=params.dtype)
    interpreter = Interpreter(
        model_content=writer.finish([x], [q]),
        experimental_op_resolver_type=getattr(OpResolverType, resolver),
    )
    interpreter.allocate_tensors()
    return interpreter


def litert_quantizer(resolver: str) -> Quantizer:
    """LiteRT's own QUANTIZE operator."""

    def quantize(x: Array, params: QuantParams) -> Array:
        interpreter = _litert(params, resolver)
        whole = np.zeros((1, 8), np.float32)
        whole[0, : len(x)] = x
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], whole)
        interpreter.invoke()
        found: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return found[0, : len(x)]

    return quantize


LITERT = {
    "AUTO": Domain(("int8", "uint8"), rounding="half_even", division="reciprocal"),
    # its C++ casts to int32 before it clips
    "BUILTIN_REF": Domain(ALL_TYPES, zero_points=(-128, 255), reach=2.0**30),
}


@every_property
@pytest.mark.parametrize("resolver", LITERT)
def test_the_quantize_operator_of_litert_holds(
    holds: Callable[[Quantizer, Domain], None], resolver: str
) -> None:
    holds(litert_quantizer(resolver), LITERT[resolver])


def test_the_reference_kernel_of_litert_wraps_beyond_32_bits() -> None:
    with pytest.raises(AssertionError, match=r"clips_before_the_cast: .* becomes -128, it should be 127"):
        properties.clips_before_the_cast(litert_quantizer("BUILTIN_REF"), Domain())


def truncate(x: Array, params: QuantParams) -> Array:
    """As in Zephyr's hello_world sample: the C cast drops the fraction."""
    steps = np.trunc(x / np.float32(params.scale)) + params.zero_point
    return np.clip(steps, *params.range).astype(params.dtype)


def cast_then_clip(x: Array, params: QuantParams) -> Array:
    """As in evaluation scripts of model zoos: the cast wraps, the clip comes too late."""
    steps = affine.round_half_away(np.clip(x / np.float32(params.scale), -(2.0**40), 2.0**40))
    integers = (steps.astype(np.int64) + params.zero_point).astype(params.dtype)
    return np.clip(integers, *params.range)


def ignore_the_zero_point(x: Array, params: QuantParams) -> Array:
    return affine.quantize(x, params.scale, 0, params.dtype)


def round_half_to_even(x: Array, params: QuantParams) -> Array:
    """Right by itself, wrong where halves are said to go away from zero."""
    return affine.quantize(x, params.scale, params.zero_point, params.dtype, rounding="half_even")


WRONG = [
    (truncate, properties.rounds_as_stated, "0.5 becomes 0, it should be 1 "),
    (truncate, properties.round_trip_is_within_half_a_step, "0.75 becomes 0, which is 0.75 steps off"),
    (cast_then_clip, properties.clips_before_the_cast, "becomes -?[0-9]+, it should be -?12[78]"),
    (cast_then_clip, properties.saturates_outside, "becomes -?[0-9]+, it should be -?12[78]"),
    (cast_then_clip, properties.is_monotonic, "becomes -?[0-9]+, the larger .* only -?[0-9]+"),
    (ignore_the_zero_point, properties.zero_is_exact, "0.0 becomes 0, it should be 1"),
    (ignore_the_zero_point, properties.rounds_as_stated, "0.5 becomes 1, it should be 2 "),
    (ignore_the_zero_point, properties.integers_come_back, "becomes -?1, it should be 0"),
    (round_half_to_even, properties.rounds_as_stated, "0.5 becomes 0, it should be 1 "),
]


@pytest.mark.parametrize(
    ("quantize", "holds", "told"), WRONG, ids=[f"{q.__name__}-{p.__name__}" for q, p, _ in WRONG]
)
def test_a_wrong_quantizer_fails_with_one_number(
    quantize: Quantizer, holds: Callable[[Quantizer, Domain], None], told: str
) -> None:
    with pytest.raises(AssertionError, match=told) as failure:
        holds(quantize, Domain())
    message = str(failure.value)
    numbers = 2 if holds is properties.is_monotonic else 1
    pasted = re.search(r"np\.array\(\[(.*?)\], np\.float32\)", message)
    assert pasted
    assert len(pasted[1].split(",")) == numbers
    assert "params = QuantParams(scale=1.0, " in message


@pytest.mark.parametrize("division", affine.DIVISIONS)
@pytest.mark.parametrize("stated", affine.DIVISIONS)
def test_another_division_than_stated_is_found(stated: str, division: str) -> None:
    quantize = numpy_quantizer(Domain(division=division))  # type: ignore[arg-type]
    domain = Domain(division=stated)  # type: ignore[arg-type]
    if stated == division:
        properties.rounds_as_stated(quantize, domain)
        return
    with pytest.raises(
        AssertionError, match=r"(0\.3499|1\.5499)\d+ becomes \d+, it should be \d+ "
    ) as failure:
        properties.rounds_as_stated(quantize, domain)
    assert "params = QuantParams(scale=0.10000000149011612, zero_point=0" in str(failure.value)


def test_a_domain_of_a_few_steps_has_its_plain_cases() -> None:
    with pytest.raises(AssertionError, match=r"^rounds_as_stated: 0\.5 becomes 0, it should be 1"):
        properties.rounds_as_stated(truncate, Domain(reach=3.0, max_examples=1))


def test_a_domain_may_hold_one_scale_that_is_no_power_of_two() -> None:
    scale = float(np.float32(0.0032))
    domain = Domain(scales=(scale, scale), max_examples=10)
    properties.rounds_as_stated(numpy_quantizer(domain), domain)


def test_the_lines_of_a_counterexample_reproduce_it() -> None:
    with pytest.raises(AssertionError) as failure:
        properties.rounds_as_stated(truncate)
    first, *lines = str(failure.value).splitlines()
    told = re.fullmatch(r"rounds_as_stated: (\S+) becomes (-?\d+), it should be (-?\d+) .*", first)
    assert told
    scope: dict[str, Any] = {"np": np, "QuantParams": QuantParams, "truncate": truncate}
    exec(lines[0].strip(), scope)
    assert eval(lines[1].strip(), scope).tolist() == [int(told[2])]
    assert affine.quantize(float(told[1]), 1.0, 0) == int(told[3])


def test_a_result_that_is_not_integers_is_refused() -> None:
    with pytest.raises(AssertionError, match="returned float32 of shape"):
        properties.zero_is_exact(lambda x, params: x)


@pytest.mark.parametrize("dtype", ALL_TYPES)
def test_channels_hold(dtype: str) -> None:
    domain = Domain((dtype,))
    properties.equal_scales_change_nothing(affine.quantize, domain)
    properties.channels_have_their_own_scales(affine.quantize, domain)


def test_scales_along_the_wrong_axis_are_found() -> None:
    def always_the_first(x: Array, scales: Array, zero_points: Array, dtype: str, axis: int) -> Array:
        return affine.quantize(x, np.resize(scales, x.shape[0]), np.resize(zero_points, x.shape[0]), dtype, 0)

    properties.equal_scales_change_nothing(always_the_first)
    with pytest.raises(AssertionError, match=r"in channel 1 along axis -?[12] becomes"):
        properties.channels_have_their_own_scales(always_the_first, Domain(max_examples=1))


def test_a_path_per_channel_that_rounds_otherwise_is_found() -> None:
    def to_even(x: Array, scales: Array, zero_points: Array, dtype: str, axis: int) -> Array:
        return affine.quantize(x, scales, zero_points, dtype, axis, rounding="half_even")

    with pytest.raises(AssertionError, match=r"0\.5 in channel 0 .* becomes 0, it should be 1"):
        properties.equal_scales_change_nothing(to_even, Domain(max_examples=1))


def double(x: Array, multiplier: int, shift: int) -> Array:
    return fixed_point.multiply_by_quantized_multiplier(x, multiplier, shift)


def single(x: Array, multiplier: int, shift: int) -> Array:
    return fixed_point.multiply_by_quantized_multiplier(x, multiplier, shift, "single")


def reduced(x: Array, multiplier: int, shift: int) -> Array:
    return fixed_point.multiply_by_reduced_multiplier(x, multiplier, shift)


def test_requantization_holds() -> None:
    properties.requantizes_exactly(double)
    properties.requantizes_exactly(single, "half_up")
    properties.requantizes_exactly(reduced, "reduced", shifts=(-31, 7), accumulator_bits=48)
    for dtype in (*ALL_TYPES, "int32"):
        properties.requantizes_in_float32(float_scale.requantize, dtype)


@pytest.mark.parametrize(
    ("requantize", "rule"),
    [
        (single, "double"),
        (double, "half_up"),
        (double, "half_away"),
        (lambda x, m, s: double(x, m, -s), "double"),
        (lambda x, m, s: (x * m) >> (31 - s), "half_up"),
    ],
    ids=["single", "double", "double-half_away", "negative-shift", "floor"],
)
def test_another_requantization_is_found_by_one_number(
    requantize: Callable[[Array, int, int], Array], rule: str
) -> None:
    with pytest.raises(AssertionError, match=r"-?\d+ becomes -?\d+, it should be -?\d+") as failure:
        properties.requantizes_exactly(requantize, rule, shifts=(-30, 30))
    assert re.search(r"np\.array\(\[-?\d+\]", str(failure.value))


def test_the_largest_multiplier_is_not_forgotten() -> None:
    def without_it(x: Array, multiplier: int, shift: int) -> Array:
        return single(x, multiplier if multiplier < 2**31 - 1 else 2**30, shift)

    with pytest.raises(AssertionError, match=r"-?\d becomes -?\d, it should be -?\d"):
        properties.requantizes_exactly(without_it, "half_up", max_examples=1)


def test_a_rounding_sum_that_overflows_is_found() -> None:
    """As in CMSIS-NN before 22.9.1, which kept 33 bits in an ``int32_t``."""

    def narrow(x: Array, multiplier: int, shift: int) -> Array:
        twice = (x * multiplier >> (30 - shift)).astype(np.int32).astype(np.int64)
        return (twice + 1) >> 1

    with pytest.raises(AssertionError, match="1073741825 becomes -1073741824, it should be 1073741824"):
        properties.requantizes_exactly(narrow, "half_up", max_examples=1)


def test_a_float64_multiplier_is_not_taken_for_a_float32_one() -> None:
    def float64(x: Array, multiplier: float, zero_point: int, dtype: str) -> Array:
        steps = np.rint(x * np.float64(multiplier)) + zero_point
        return np.clip(steps, *affine.integer_range(dtype)).astype(dtype)

    with pytest.raises(AssertionError, match="17301505 becomes 17, it should be 16"):
        properties.requantizes_in_float32(float64, max_examples=1)


def test_a_fixed_point_multiplier_is_not_taken_for_a_float_one() -> None:
    def fixed(x: Array, multiplier: float, zero_point: int, dtype: str) -> Array:
        steps = double(x, *(int(v) for v in fixed_point.quantize_multiplier(multiplier)))
        return np.clip(steps + zero_point, *affine.integer_range(dtype))

    with pytest.raises(AssertionError, match=r"becomes -?\d+, it should be"):
        properties.requantizes_in_float32(fixed)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
@pytest.mark.parametrize("rounding", ["half_even", "half_up", "half_away", "floor"])
def test_shifts_hold(dtype: str, rounding: str) -> None:
    def shift(q: Array, bits: int) -> Array:
        return power_of_two.shift_right(q, bits, dtype, rounding=rounding)  # type: ignore[arg-type]

    properties.shifts_exactly(shift, dtype, rounding=rounding, accumulator_bits=61)  # type: ignore[arg-type]


ANOTHER_ROUNDING = [(a, b) for a in rounding.ROUNDINGS for b in rounding.ROUNDINGS if a != b]


@pytest.mark.parametrize(("stated", "used"), ANOTHER_ROUNDING)
def test_a_shift_under_another_rounding_is_found_at_once(
    stated: rounding.Rounding, used: rounding.Rounding
) -> None:
    def shift(q: Array, bits: int) -> Array:
        return power_of_two.shift_right(q, bits, rounding=used)

    with pytest.raises(AssertionError, match=r"^shifts_exactly: -?\d / 2\*\*[12] becomes"):
        properties.shifts_exactly(shift, rounding=stated, max_examples=1)


def shift_as_int32(q: Array, bits: int) -> Array:
    """A shift as x86 does it: only five bits of the count, add half and shift."""
    count = bits % 32
    return np.clip((q + (1 << count >> 1)) >> count, -128, 127)


@pytest.mark.parametrize(
    ("bits", "told"), [((32, 64), r"/ 2\*\*32 becomes"), ((-8, -1), r"/ 2\*\*-\d becomes")]
)
def test_shifts_beyond_the_type_are_found(bits: tuple[int, int], told: str) -> None:
    properties.shifts_exactly(shift_as_int32, rounding="half_up", bits=(0, 31))
    with pytest.raises(AssertionError, match=told):
        properties.shifts_exactly(shift_as_int32, rounding="half_up", bits=bits)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_exponents_hold(dtype: str) -> None:
    low, high = affine.integer_range(dtype)
    steps = {"largest": float(high), "steps": float(-low), "esp_ppq": (high - low) / 2}
    for cover, most in steps.items():

        def choose(limit: float, dtype: str, cover: Any = cover) -> int:
            return int(power_of_two.choose_exponent(limit, dtype, cover=cover))

        properties.exponents_cover_the_range(choose, dtype, steps=most)


@pytest.mark.parametrize(
    "choose",
    [
        lambda limit, dtype: -power_of_two.choose_exponent(limit, dtype),
        lambda limit, dtype: power_of_two.choose_exponent(limit, dtype, cover="steps"),
        lambda limit, dtype: np.floor(np.log2(limit / 127)) + 1,
    ],
    ids=["negative", "clips the largest", "one more at powers of two"],
)
def test_wrong_exponents_are_found(choose: Callable[[float, str], Any]) -> None:
    with pytest.raises(AssertionError, match=r"exponent -?[0-9.]+ for magnitude"):
        properties.exponents_cover_the_range(choose)


@pytest.mark.parametrize("dtype", [*ALL_TYPES, "int32"])
@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"symmetric": True, "narrow": False}], ids=str)
def test_chosen_parameters_hold(dtype: str, options: dict[str, bool]) -> None:
    def choose(low: float, high: float, dtype: str) -> tuple[Any, Any]:
        return affine.choose_parameters(low, high, dtype, **options)

    properties.parameters_cover_the_range(choose, dtype)
    properties.parameters_waste_no_steps(choose, dtype)
    properties.impossible_ranges_are_refused(choose, dtype)


def without_zero(low: float, high: float, dtype: str) -> tuple[float, int]:
    scale = float(np.float32((high - low) / 255)) or 1.0
    return scale, round(-128 - low / scale)


def test_ranges_that_leave_zero_out_are_found() -> None:
    with pytest.raises(AssertionError, match="not an integer of int8"):
        properties.parameters_cover_the_range(without_zero)


@pytest.mark.parametrize(
    "choose",
    [
        lambda low, high, dtype: (max(-low, high) / 128 or 1.0, 0),
        lambda low, high, dtype: off_by_one(low, high, dtype),
    ],
    ids=["128 for 127", "zero point off by one"],
)
def test_an_end_that_is_a_step_beyond_the_type_is_found(choose: Callable[..., tuple[Any, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"the range \(0\.0, 1\.0\) gets .*: 1\.0 is out of reach"):
        properties.parameters_cover_the_range(choose)


@pytest.mark.parametrize(
    "choose",
    [
        lambda low, high, dtype: affine.choose_parameters(2 * low, 2 * high, dtype),
        lambda low, high, dtype: both_sides(min(low, 0.0), max(high, 0.0)),
        lambda low, high, dtype: (np.float32(max(-low, high, 1e-30) / 63), 0),
    ],
    ids=["twice as wide", "symmetric scale, asymmetric zero point", "6 bits"],
)
def test_scales_that_waste_steps_are_found(choose: Callable[..., tuple[Any, Any]]) -> None:
    with pytest.raises(AssertionError, match=r"the range \(.*\) gets scale .* steps of 255"):
        properties.parameters_waste_no_steps(choose)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "returned None; asked for one scale and one zero point"),
        ((0.0, 0), "gets scale 0.0 and zero point 0: a scale is a positive number"),
        ((math.nan, 0), "gets scale nan .* positive number"),
        ((math.inf, 0), "gets scale inf .* positive number"),
        ((0.1, 0), "scale 0.1 .* is no float32; return it as it is stored, np.float32"),
    ],
    ids=str,
)
def test_results_that_are_no_parameters_are_told(result: Any, words: str) -> None:
    for holds in (properties.parameters_cover_the_range, properties.parameters_waste_no_steps):
        with pytest.raises(AssertionError, match=words):
            holds(lambda low, high, dtype: result)


def test_a_quantizer_may_write_into_its_input() -> None:
    def in_place(x: Any, params: Any) -> Any:
        x /= np.float32(params.scale)
        return np.clip(np.rint(x) + params.zero_point, *params.range).astype(params.dtype)

    for holds in properties.QUANTIZER_PROPERTIES:
        holds(in_place, Domain(rounding="half_even"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rounding": "nearest"}, "rounding: 'nearest' is not known; allowed: half_even, half_up"),
        ({"division": "x"}, "division: 'x' is not known; allowed: float32, reciprocal, exact"),
        ({"dtypes": ("int4",)}, "dtypes: 'int4' is not known; allowed: int8, uint8"),
    ],
    ids=str,
)
def test_a_domain_says_what_it_allows(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Domain(**wrong)


def both_sides(low: float, high: float) -> tuple[float, int]:
    scale = float(np.float32(2 * max(-low, high) / 255)) or 1.0
    return scale, round(-128 - low / scale)


def off_by_one(low: float, high: float, dtype: str) -> tuple[Any, Any]:
    scale, zero_point = affine.choose_parameters(low, high, dtype)
    return scale, min(int(zero_point) + 1, 127)


def test_the_lines_of_an_impossible_range_can_be_pasted() -> None:
    with pytest.raises(AssertionError, match=r"\n    implementation\(np\.nan, 1\.0, 'int8'\)$"):
        properties.impossible_ranges_are_refused(lambda low, high, dtype: (1.0, 0))


def test_an_impossible_range_that_passes_is_found() -> None:
    with pytest.raises(AssertionError, match=r"range \(inf, -inf\) gets|range \(1.0, -1.0\) gets"):
        properties.impossible_ranges_are_refused(
            lambda low, high, dtype: (
                (1.0, 0) if low > high and abs(low) == 1 else affine.choose_parameters(low, high)
            )
        )


@pytest.mark.parametrize("bits", [20, 32, 40])
def test_biases_hold(bits: int) -> None:
    def quantize_bias(bias: Array, scale: float) -> Array:
        return affine.quantize_bias(bias, scale, 1.0, bits=bits)[0]

    properties.biases_saturate(quantize_bias, bits=bits)


def test_a_bias_rounded_to_even_is_found_by_a_half() -> None:
    def to_even(bias: Array, scale: float) -> Array:
        return affine.exact_quotient(bias, scale, "half_even")

    with pytest.raises(AssertionError, match=r"bias 0\.5 becomes 0, it should be 1"):
        properties.biases_saturate(to_even)


def test_a_bias_that_wraps_is_found() -> None:
    def wrapping(bias: Array, scale: float) -> Array:
        return affine.exact_quotient(bias, np.float32(scale)).astype(np.int32)

    with pytest.raises(AssertionError, match=r"bias .* becomes -?\d+, it should be -?2147483647"):
        properties.biases_saturate(wrapping)


@pytest.mark.parametrize("package", ["properties", "strategies"])
def test_without_hypothesis_its_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"pytest_quantcheck.{package}"
    for module in [module for module in sys.modules if module.startswith(name)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingExtraError, match=r"'hypothesis'.*pytest-quantcheck\[properties\]"):
        importlib.import_module(name)
