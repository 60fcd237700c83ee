"""Score against cost: which configurations no other one beats. Units that cannot be compared stay apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_quantcheck.report.cells import place
from pytest_quantcheck.verdict.row import Row, ScoreRow


@dataclass(frozen=True)
class Point:
    """A row of a report (by its number) with a score and a cost; ``series`` is what it ran on."""

    row: int
    series: str
    cost: float
    score: float


@dataclass(frozen=True)
class TradeOff:
    """Points of one metric and one cost. Lower costs are better; so are higher scores, unless ``lower``."""

    metric: str
    cost: str
    percent: bool
    lower: bool
    points: tuple[Point, ...]

    @property
    def front(self) -> tuple[Point, ...]:
        """The points whose score nothing reaches that costs as little, cheapest first."""
        sign = -1.0 if self.lower else 1.0
        best, found = -math.inf, []
        for point in sorted(self.points, key=lambda each: (each.cost, -sign * each.score)):
            if sign * point.score > best:
                best = sign * point.score
                found.append(point)
        return tuple(found)


def trade_offs(rows: Sequence[Row]) -> list[TradeOff]:
    """One per metric and cost that at least two different points have, those with most points first.

    Milliseconds and bytes of all boards share a plot. What a board only counts, it shares with boards of
    its own target and unit.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str, float, float], Point]] = {}
    scores: dict[str, list[ScoreRow]] = {}
    for index, row in enumerate(rows):
        score = row.score
        if score is None or not math.isfinite(score.value):
            continue
        scores.setdefault(score.metric, []).append(score)
        for name, cost in _costs(row):
            series = place(row)
            key = (row.model or row.case, series, cost, score.value)
            groups.setdefault((score.metric, name), {}).setdefault(
                key, Point(index, series, cost, score.value)
            )
    found = [
        TradeOff(
            metric,
            cost,
            all(each.percent for each in scores[metric]),
            _lower(scores[metric]),
            tuple(points.values()),
        )
        for (metric, cost), points in groups.items()
        if len({(point.cost, point.score) for point in points.values()}) > 1
    ]
    return sorted(found, key=lambda each: -len(each.points))


def _costs(row: Row) -> list[tuple[str, float]]:
    costs = [
        ("latency in ms", row.latency_ms),
        (f"{row.unit} on {row.target}", row.counter if row.latency_ms is None else None),
        ("image in KiB", row.image / 1024 if row.image is not None else None),
        ("arena in KiB", row.arena / 1024 if row.arena is not None else None),
    ]
    return [(name, cost) for name, cost in costs if cost is not None and math.isfinite(cost) and cost >= 0]


def _lower(scores: Sequence[ScoreRow]) -> bool:
    """Whether lower is better: the sign of a drop against the float model's score tells."""
    for score in scores:
        if score.drop and score.float_value is not None and score.value != score.float_value:
            return (score.drop > 0) == (score.value > score.float_value)
    return not all(score.percent for score in scores)
