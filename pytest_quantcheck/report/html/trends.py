"""Numbers over time, from stored baselines: a small line and the last values."""

from __future__ import annotations

from pytest_quantcheck.report.html.markup import Html, table, tag
from pytest_quantcheck.report.naming import is_number
from pytest_quantcheck.report.report import Trend

_WIDTH, _HEIGHT, _EDGE, _SHOWN, _MOST = 160, 32, 4, 4, 200


def trends(history: tuple[Trend, ...]) -> Html | None:
    found = [each for each in history if any(is_number(number) for _, number in each.points)]
    if not found:
        return None
    body = (
        [each.test, each.target, each.metric, line([n for _, n in each.points if is_number(n)]), _last(each)]
        for each in found[:_MOST]
    )
    return table(("test", "on", "number", "oldest to newest", "last values"), body, class_="trends")


def _last(trend: Trend) -> str:
    return ", ".join(f"{revision}: {number:.6g}" for revision, number in trend.points[-_SHOWN:])


def line(numbers: list[float]) -> Html:
    """A line of its own scale, with a dot at the newest value."""
    low, high = min(numbers), max(numbers)
    span, steps = (high - low) or 1.0, max(1, len(numbers) - 1)
    points = [
        (
            round(_EDGE + (_WIDTH - 2 * _EDGE) * step / steps, 1),
            round(_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (number - low) / span, 1),
        )
        for step, number in enumerate(numbers)
    ]
    return tag(
        "svg",
        tag("polyline", points=" ".join(f"{x},{y}" for x, y in points), class_="line"),
        tag("circle", cx=points[-1][0], cy=points[-1][1], r=3),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=f"from {numbers[0]:.6g} to {numbers[-1]:.6g}",
        class_="trend",
    )
