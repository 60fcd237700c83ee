"""Properties of ``quantize(x, params)``: float32 ``x`` of shape (n,) and ``QuantParams`` to integers (n,).

A quantizer for many channels at once is ``quantize(x, scales, zero_points, dtype, axis)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from pytest_quantcheck.numerics import affine
from pytest_quantcheck.numerics.affine import QuantParams
from pytest_quantcheck.numerics.arrays import Array, Float32, IntArray
from pytest_quantcheck.properties import exact
from pytest_quantcheck.properties.domain import INT8, Domain, fail, integers, name, search, show
from pytest_quantcheck.strategies import values

Reals = Float32
Quantizer = Callable[[Reals, QuantParams], npt.ArrayLike]
Dequantizer = Callable[[Array, QuantParams], npt.ArrayLike]
ChannelQuantizer = Callable[[Reals, Reals, IntArray, str, int], npt.ArrayLike]
Case = tuple[QuantParams, Reals]

# how far a quotient may be from the exact one, relative: one rounding to float32, or three
_QUOTIENT_ERROR = {"float32": Fraction(1, 1 << 24), "reciprocal": Fraction(3, 1 << 24)}
_SMALLEST_FLOAT = Fraction(1, 1 << 149)


def zero_is_exact(quantize: Quantizer, domain: Domain = INT8) -> None:
    """0.0 and -0.0 become the zero point.

    Catches ignored zero points and ranges that were not widened to contain 0, so that padding is
    not zero: https://github.com/tracel-ai/burn/pull/2055.
    """

    def judge(params: QuantParams) -> None:
        for x in (0.0, -0.0):
            _expect(quantize, (params, np.array([x], np.float32)), [params.zero_point], "zero_is_exact")

    search(domain.params(), judge, domain.max_examples)


def round_trip_is_within_half_a_step(quantize: Quantizer, domain: Domain = INT8) -> None:
    """Inside the range the integer stands for a number within ``scale / 2`` of ``x``.

    For ``floor``: below ``x``, by less than ``scale``. On top comes what the domain's division may
    lose. Catches truncation, whose error reaches a whole step:
    https://github.com/zephyrproject-rtos/zephyr/issues/88638.
    """

    def judge(case: Case) -> None:
        params, x = case
        for number, q in zip(
            x.tolist(), _call(quantize, case, "round_trip_is_within_half_a_step"), strict=True
        ):
            steps = exact.quotient(number, params.scale) if math.isfinite(number) else None
            low, high = params.range
            if steps is None or not low <= steps + params.zero_point <= high:
                continue
            error = steps - (q - params.zero_point)
            least, most = (0, 1) if domain.rounding == "floor" else (-exact.HALF, exact.HALF)
            slack = _slack(steps, domain)
            if not least - slack <= error <= most + slack:
                _tell(
                    "round_trip_is_within_half_a_step",
                    quantize,
                    params,
                    number,
                    f"{q}, which is {abs(float(error)):.9g} steps off",
                )

    search(_cases(domain), judge, domain.max_examples, _plain(domain))


def saturates_outside(quantize: Quantizer, domain: Domain = INT8) -> None:
    """One step and more beyond the range every number becomes the nearest end of the type.

    Catches ends that are off by one: https://github.com/microsoft/onnxruntime/issues/3442.
    """
    _outside(quantize, domain, st.integers(0, 200) | st.floats(0, 200), "saturates_outside")


def clips_before_the_cast(quantize: Quantizer, domain: Domain = INT8) -> None:
    """Far beyond the range, where a cast would wrap to 8, 16, 32 or 64 bits, it still saturates.

    Catches a cast before the clip, https://github.com/huggingface/sentence-transformers/pull/3847,
    and a zero point added after a cast to int32, https://github.com/pytorch/pytorch/pull/60079.
    """
    wraps = [float(1 << bits) + more for bits in (7, 8, 15, 16, 31, 32, 63, 64) for more in (-2, 0, 2)]
    far = st.sampled_from(wraps) | st.floats(256, 2.0**66)
    if math.isinf(domain.reach):
        far |= st.just(math.inf)
    _outside(quantize, domain, far, "clips_before_the_cast")


def is_monotonic(quantize: Quantizer, domain: Domain = INT8) -> None:
    """A larger number never becomes a smaller integer.

    Catches wrapping sums, such as a zero point added in 16 bits:
    https://github.com/google/ruy/pull/272.
    """

    def judge(case: Case) -> None:
        params, x = case
        x = np.sort(x)
        found = _call(quantize, (params, x), "is_monotonic")
        for i in range(len(found) - 1):
            if found[i] > found[i + 1]:
                pair = x[i : i + 2]
                smaller, larger = pair.tolist()
                fail(
                    "is_monotonic",
                    f"{smaller!r} becomes {found[i]}, the larger {larger!r} only {found[i + 1]}",
                    *_lines(quantize, params, pair),
                )

    far = np.array([0, 200, 300, 40_000, 3e9], np.float32)  # what wraps in 8, 16 and 32 bits
    search(_cases(domain), judge, domain.max_examples, _plain(domain, more=[far]))


def integers_come_back(
    quantize: Quantizer, domain: Domain = INT8, *, dequantize: Dequantizer | None = None
) -> None:
    """``quantize(dequantize(q)) == q`` for integers within 2**22 steps of the zero point.

    ``dequantize(q, params)`` is yours or the float32 product. Under ``floor`` only with scales that
    are powers of two, where products are exact. Catches scales that differ between the two
    directions: https://github.com/huggingface/transformers/pull/46763.
    """

    def reals(q: Array, params: QuantParams) -> npt.ArrayLike:
        return affine.dequantize(q, params.scale, params.zero_point)

    def judge(case: tuple[QuantParams, Array]) -> None:
        params, q = case
        q = q[np.abs(q.astype(np.int64) - params.zero_point) <= 1 << 22]
        x = np.asarray((dequantize or reals)(q, params), np.float32)
        _expect(quantize, (params, x), q.tolist(), "integers_come_back")

    powers = domain.power_of_two or domain.rounding == "floor"
    params = domain.params(power_of_two=powers)

    @st.composite
    def cases(draw: st.DrawFn) -> tuple[QuantParams, Array]:
        own = draw(params)
        return own, draw(values.quantized_arrays(own))

    search(cases(), judge, domain.max_examples)


def rounds_as_stated(quantize: Quantizer, domain: Domain = INT8) -> None:
    """Every integer is the one that the domain's rounding and division give, in exact arithmetic.

    Catches truncation, and any other rounding than stated: ties away from zero where ONNX says to
    even, https://github.com/sonos/tract/pull/2850; the zero point added before rounding,
    https://github.com/tensorflow/tensorflow/pull/62110; another division, such as a product with the
    reciprocal of the scale.
    """

    def judge(case: Case) -> None:
        params, x = case
        expected = [exact.quantized(n, params, domain.rounding, domain.division) for n in x.tolist()]
        _expect(quantize, case, expected, "rounds_as_stated", f" ({domain})")

    search(_cases(domain), judge, domain.max_examples, _plain(domain))


def uint8_is_int8_plus_128(quantize: Quantizer, domain: Domain = INT8) -> None:
    """uint8 with a zero point 128 higher gives integers 128 higher, away from ties.

    Catches offsets that only one of the types gets: https://github.com/tensorflow/tensorflow/issues/35072.
    """

    def judge(case: Case) -> None:
        params, x = case
        x = x[[not _near_a_tie(n, params.scale) for n in x.tolist()]]
        other = QuantParams(params.scale, params.zero_point + 128, "uint8")
        expected = [q + 128 for q in _call(quantize, (params, x), "uint8_is_int8_plus_128")]
        _expect(quantize, (other, x), expected, "uint8_is_int8_plus_128", " as int8 plus 128")

    search(_cases(domain, dtypes=("int8",)), judge, domain.max_examples, _plain(domain, "int8"))


def equal_scales_change_nothing(quantize: ChannelQuantizer, domain: Domain = INT8) -> None:
    """Channels that all have one scale and zero point give what the tensor as a whole gives.

    Along every axis of a rank-3 array, counted from either end. Catches another arithmetic in the
    path per channel: https://github.com/microsoft/onnxruntime/pull/13038.
    """
    _channels(quantize, domain, equal=True, holder="equal_scales_change_nothing")


def channels_have_their_own_scales(quantize: ChannelQuantizer, domain: Domain = INT8) -> None:
    """Each slice along the axis gets its own scale and zero point.

    Catches scales along the wrong axis: https://github.com/tensorflow/tensorflow/issues/66081.
    """
    _channels(quantize, domain, equal=False, holder="channels_have_their_own_scales")


QUANTIZER_PROPERTIES: tuple[Callable[[Quantizer, Domain], None], ...] = (
    zero_is_exact,
    round_trip_is_within_half_a_step,
    saturates_outside,
    clips_before_the_cast,
    is_monotonic,
    integers_come_back,
    rounds_as_stated,
    uint8_is_int8_plus_128,
)


def _cases(domain: Domain, **changes: Any) -> st.SearchStrategy[Case]:
    params = domain.params(**changes)

    @st.composite
    def cases(draw: st.DrawFn) -> Case:
        own = draw(params)
        return own, draw(values.real_arrays(own, reach=domain.reach))

    return cases()


def _plain(domain: Domain, dtype: str = "", more: Sequence[Reals] = ()) -> list[Case]:
    """Quarters and halves (and ``more``) at scale 1, and what tells the divisions apart, as far as the domain
    has them."""
    name = dtype or domain.dtypes[0]
    low, high = domain.zero_points or affine.integer_range(name)
    quarters = np.array([0.5, -0.5, 0.75, -0.75, 1.25, 1.5, -1.5, 2.5], np.float32)
    cases = [(QuantParams(1.0, z, name), x) for x in (quarters, *more) for z in (0, 1) if low <= z <= high]
    if low <= 0 and not domain.power_of_two:
        tenths = np.array([0.35, 1.55], np.float32)  # 4, 4, 3 and 15, 16, 15 as DIVISIONS are
        cases.append((QuantParams(float(np.float32(0.1)), 0, name), tenths))
    first, last = domain.scales
    return [
        (params, x)
        for params, x in cases
        if first <= params.scale <= last and np.abs(x).max() / params.scale <= domain.reach
    ]


def _slack(steps: Fraction, domain: Domain) -> Fraction:
    """What the domain's division may add to or take from a quotient."""
    if domain.division == "exact":
        return Fraction(0)
    return abs(steps) * _QUOTIENT_ERROR[domain.division] + _SMALLEST_FLOAT


def _outside(quantize: Quantizer, domain: Domain, steps: st.SearchStrategy[float], holder: str) -> None:
    def judge(case: tuple[QuantParams, float, bool]) -> None:
        params, beyond, above = case
        end = params.range[above]
        sign = 1 if above else -1
        with np.errstate(over="ignore"):
            x = np.array([(end - params.zero_point + sign * (1 + beyond)) * params.scale], np.float32)
        number = float(x[0])
        if math.isinf(number):
            far = math.isinf(domain.reach)
        else:  # what x is once it is a float32
            steps = exact.quotient(number, params.scale)
            far = abs(steps) <= domain.reach and sign * (steps + params.zero_point - end) >= 1
        if far:
            _expect(quantize, (params, x), [end], holder)

    cases = st.tuples(domain.params(), steps, st.sampled_from((True, False)))
    search(cases, judge, domain.max_examples)


def _channels(quantize: ChannelQuantizer, domain: Domain, *, equal: bool, holder: str) -> None:
    def judge(case: tuple[list[QuantParams], int, Reals]) -> None:
        params, axis, drawn = case
        shape = [2, 2, 2]
        shape[axis] = len(params)
        x = np.resize(drawn, shape)
        scales = np.array([p.scale for p in params], np.float32)
        zero_points = np.array([p.zero_point for p in params], np.int64)
        arguments = (x, scales, zero_points, params[0].dtype, axis)
        found = integers(quantize, *arguments, like=x, holder=holder)
        for position, q in zip(np.ndindex(*shape), found, strict=True):
            number, own = float(x[position]), params[position[axis]]
            expected = exact.quantized(number, own, domain.rounding, domain.division)
            if q != expected:
                fail(
                    holder,
                    f"{number!r} in channel {position[axis]} along axis {axis} becomes {q}, "
                    f"it should be {expected} ({domain})",
                    f"{name(quantize)}({', '.join(map(show, arguments))})",
                )

    def tensors(first: QuantParams) -> st.SearchStrategy[tuple[list[QuantParams], int, Reals]]:
        own = st.just(first) if equal else domain.params(dtypes=(first.dtype,))
        return st.tuples(
            st.lists(own, min_size=1, max_size=3),
            st.integers(-3, 2),
            values.real_arrays(first, max_size=6, reach=domain.reach),
        )

    usual = _plain(domain)
    plain = [([params], 0, x) for params, x in usual]
    if not equal:
        two, zero = [params for params, _ in usual if params.scale == 1], np.zeros(1, np.float32)
        plain = [(two, axis, zero) for axis in range(-3, 3)] if len(two) == 2 else []
    search(domain.params().flatmap(tensors), judge, domain.max_examples, plain)


def _near_a_tie(x: float, scale: float) -> bool:
    if math.isinf(x):
        return False
    steps = exact.quotient(x, scale)
    margin = Fraction(1, 1 << 10) + abs(steps) / (1 << 22)
    return abs(steps - math.floor(steps) - exact.HALF) <= margin


def _call(quantize: Quantizer, case: Case, holder: str) -> list[int]:
    params, x = case
    return integers(quantize, x, params, like=x, holder=holder)


def _expect(quantize: Quantizer, case: Case, expected: list[int], holder: str, why: str = "") -> None:
    params, x = case
    found = _call(quantize, case, holder)
    for number, q, wanted in zip(x.tolist(), found, expected, strict=True):
        if q != wanted:
            _tell(holder, quantize, params, number, f"{q}, it should be {wanted}{why}")


def _tell(holder: str, quantize: Quantizer, params: QuantParams, number: float, what: str) -> None:
    x = np.array([number], np.float32)
    fail(holder, f"{number!r} becomes {what}", *_lines(quantize, params, x))


def _lines(quantize: Quantizer, params: QuantParams, x: Reals) -> tuple[str, ...]:
    return (f"params = {params!r}", f"{name(quantize)}({show(x)}, params)")
