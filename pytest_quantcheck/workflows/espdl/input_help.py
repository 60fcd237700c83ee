"""How bytes become the input's integers in C, and what the usual mistakes cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.affine import integer_range
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.numerics.rounding import round_real

BYTES = np.arange(256)
SHIFTS = range(8, 25)  # with more, the product of a byte would not fit int32_t


@dataclass(frozen=True)
class Preprocessing:
    """``real = (byte * scale + offset - mean) / std``, as in training; means and deviations by channel."""

    scale: float = 1.0
    offset: float = 0.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) and 1 not in (len(self.mean), len(self.std)):
            raise UsageError(f"{len(self.mean)} means and {len(self.std)} deviations do not fit together")
        numbers = (self.scale, self.offset, *self.mean, *self.std)
        if not np.all(np.isfinite(numbers)) or self.scale == 0 or min(self.std) <= 0:
            raise UsageError("scale, means and deviations are finite; scale is not 0, deviations are above 0")

    @property
    def channels(self) -> tuple[tuple[float, float], ...]:
        """Factor and summand of a byte, for each channel."""
        count = max(len(self.mean), len(self.std))
        means, stds = (v * count if len(v) == 1 else v for v in (self.mean, self.std))
        return tuple((self.scale / s, (self.offset - m) / s) for m, s in zip(means, stds, strict=True))


@dataclass(frozen=True, eq=False)
class Conversion:
    """One channel: all 256 results, and, where there is one, ``(byte * factor + summand) >> shift`` for them.

    ``saturated``: how many of the 256 bytes are limited. ``truncated``: how many another integer than the
    rounded one becomes when C's cast truncates. ``unscaled``: the same of bytes taken as they are.
    """

    table: IntArray
    fixed: tuple[int, int, int] | None
    lowest: float
    highest: float
    saturated: int
    truncated: int
    unscaled: int


def conversion(factor: float, summand: float, exponent: int, dtype: str) -> Conversion:
    """Of one channel with ``real = byte * factor + summand`` to an input with an exponent."""
    low, high = integer_range(dtype)
    steps = np.ldexp(BYTES * factor + summand, -exponent)
    rounded = round_real(steps, "half_even").astype(np.int64)
    table = np.clip(rounded, low, high)
    cast = np.clip(np.trunc(steps).astype(np.int64), low, high)
    return Conversion(
        table,
        _fixed(factor, summand, exponent, low, high, table),
        float(BYTES[0] * factor + summand),
        float(BYTES[-1] * factor + summand),
        int(np.sum(rounded != table)),
        int(np.sum(cast != table)),
        int(np.sum(np.clip(BYTES, low, high) != table)),
    )


def _fixed(
    factor: float, summand: float, exponent: int, low: int, high: int, table: npt.NDArray[np.int64]
) -> tuple[int, int, int] | None:
    """The shortest shift with which integers give the whole table, limited at the ends."""
    for shift in SHIFTS:
        scaled = [float(np.ldexp(value, shift - exponent)) for value in (factor, summand)]
        if max(map(abs, scaled)) >= 1 << 30:
            return None
        multiplier = round(scaled[0])
        for half in range(1 << (shift - 1), max((1 << (shift - 1)) - 3, 0), -1):
            added = round(scaled[1]) + half
            values = BYTES * multiplier + added
            if np.all(np.abs(values) < 1 << 31) and np.array_equal(
                np.clip(values >> shift, low, high), table
            ):
                return multiplier, added, shift
    return None


def help_lines(preprocessing: Preprocessing, name: str, exponent: int, dtype: str) -> Sequence[str]:
    """What to print: the exponent, a formula for C for each channel, and what mistakes cost."""
    low, high = integer_range(dtype)
    lines = [f"input '{name}': {dtype}, exponent {exponent}; one step is {2.0**exponent:g}"]
    if exponent > 0:
        lines.append(
            f"the exponent is above 0: divide by {1 << exponent}; `1 << -exponent` has no meaning in C"
        )
    if exponent <= -31:
        lines.append("`1 << -exponent` does not fit an int; use ldexpf(x, -exponent)")
    several = len(preprocessing.channels) > 1
    for number, (factor, summand) in enumerate(preprocessing.channels):
        found = conversion(factor, summand, exponent, dtype)
        where = f"channel {number}: " if several else ""
        lines.append(f"{where}bytes 0 to 255 are {found.lowest:g} to {found.highest:g}")
        lines.append(f"  in C: {_c_code(found, dtype, low, high)}")
        lines.append(f"  saturated: {found.saturated} of 256 bytes lie beyond {low} to {high}")
        lines.append(f"  truncated: a cast instead of rounding changes {found.truncated} of 256 bytes")
        lines.append(f"  not scaled: bytes taken as they are would be wrong for {found.unscaled} of 256")
    return lines


def _c_code(found: Conversion, dtype: str, low: int, high: int) -> str:
    kind = f"{dtype}_t"
    if found.fixed is None:
        return f"no short formula; take a table of 256 {kind}"
    multiplier, added, shift = found.fixed
    code = f"(byte * {multiplier} {'+' if added >= 0 else '-'} {abs(added)}) >> {shift}"
    if found.saturated:
        code = f"DL_CLIP({code}, {low}, {high})"
    return f"({kind})({code})"
