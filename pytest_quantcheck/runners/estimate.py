"""``Estimate``: what an inference takes on silicon, at best and at worst, by a board's cycle model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """Clock cycles: no fewer than ``low``, no more than ``high``, as far as the model knows."""

    low: int
    high: int

    def milliseconds(self, clock_hz: int) -> tuple[float, float]:
        """Both ends at ``clock_hz``."""
        return self.low / clock_hz * 1e3, self.high / clock_hz * 1e3


@dataclass(frozen=True)
class Estimate:
    """One inference, of the run's first vector, on ``target`` at ``clock_hz``; ``operators`` in their order.

    Never a measurement: it is not compared with what a real counter counts.
    """

    target: str
    clock_hz: int
    whole: Interval
    operators: tuple[Interval, ...] = ()

    def __str__(self) -> str:
        low, high = self.whole.milliseconds(self.clock_hz)
        return f"about {low:.3f} to {high:.3f} ms at {self.clock_hz / 1e6:g} MHz (estimated)"


def widened(low: int, high: int, margin: float) -> Interval:
    """With the model's own error on both sides."""
    return Interval(int(low * (1 - margin)), -int(-high * (1 + margin) // 1))
