"""``Tolerance``: by how much a value may be worse than the stored one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Union

from pytest_quantcheck.errors import UsageError

ToleranceLike = Union[float, str, None]
ALLOWED = (
    "a number from 0 such as 0.005, '2%' of the stored value, or '0.5pp' (percentage points of a fraction)"
)
_TEXT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)\s*(%|pp)?\s*", re.ASCII)
_SLACK = 1e-12  # of sums of fractions, which are compared as floats


@dataclass(frozen=True)
class Tolerance:
    """``amount`` in the metric's own unit, or (``unit``) in ``%`` of the stored value or in ``pp``."""

    amount: float = 0.0
    unit: str = ""

    @classmethod
    def parse(cls, given: ToleranceLike, where: str) -> Tolerance:
        """A number or a text; ``where`` is what error messages call it. Raises ``UsageError``."""
        if isinstance(given, str) and (found := _TEXT.fullmatch(given)):
            amount, unit = float(found[1]), found[2] or ""
        elif isinstance(given, (int, float)) and not isinstance(given, bool):
            amount, unit = float(given), ""
        else:
            raise UsageError(f"{where}={given!r} is no tolerance; allowed: {ALLOWED}")
        if not 0 <= amount < math.inf:
            raise UsageError(f"{where}={given!r} is out of range; allowed: {ALLOWED}")
        return cls(amount, unit)

    def check(self, where: str, *, fraction: bool) -> None:
        """Refuse what would mean two things, or let everything pass. Raises ``UsageError``."""
        if fraction and self.unit == "%":
            raise UsageError(
                f"{where}='{self}' could mean two things, since {where} is a fraction itself; "
                f"give '{self.amount:g}pp' or {self.amount / 100:g} for {self.amount:g} percentage points"
            )
        if fraction and (self.amount / 100 if self.unit else self.amount) >= 1:
            raise UsageError(
                f"{where}={self} is out of range for a fraction; allowed: 0 to below 1, such as 0.005"
            )
        if not fraction and self.unit == "pp":
            raise UsageError(
                f"{where}='{self}': percentage points are for fractions such as accuracy; give a number or %"
            )

    def allows(self, worse: float, stored: float) -> bool:
        """Whether a value that is ``worse`` by so much than ``stored`` is still good."""
        scale = {"%": abs(stored) / 100, "pp": 0.01, "": 1.0}[self.unit]
        return worse <= self.amount * scale + _SLACK * max(1.0, abs(stored))

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"


USUAL = {"cycles": Tolerance(1.0, "%"), "microseconds": Tolerance(1.0, "%")}
"""Where nothing is said: nothing may be worse, but for time, which a real chip does not repeat exactly."""
