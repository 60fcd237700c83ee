"""``Measured``: a value of this run with what is needed to compare it and to show it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.baselines.value import Value

COUNTED = ("instructions", "cycles", "microseconds")
KINDS = ("score", *COUNTED, "bytes")


@dataclass(frozen=True)
class Measured:
    """``kind`` is one of ``KINDS`` and decides what makes a stored value stale.

    ``part``: the run left out samples on purpose (``--qc-vectors``), so that fewer are no change of the data.
    """

    value: Value
    kind: str
    higher_is_better: bool = False
    fraction: bool = False
    part: bool = False

    @property
    def counts(self) -> bool:
        """Whether the device counted it."""
        return self.kind in COUNTED

    def show(self, value: float) -> str:
        """A value as people write it."""
        if self.kind == "score":
            return f"{value:.2%}" if self.fraction else f"{value:.6g}"
        return f"{value:,.10g} {self.kind}"

    def show_difference(self, worse: float) -> str:
        """By how much a value is worse (or, negative, better), always as a positive number."""
        size = abs(worse)
        return f"{size * 100:.2f} pp" if self.fraction else self.show(size)
