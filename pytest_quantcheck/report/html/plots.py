"""Trade-offs as figures: scattered points, the front that no other configuration beats, and its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from pytest_quantcheck.report.html.markup import Html, table, tag
from pytest_quantcheck.report.naming import configuration, maker, title
from pytest_quantcheck.report.trade_off import Point, TradeOff, trade_offs
from pytest_quantcheck.verdict.row import Row

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 280, 58, 16, 16, 44
_PLOTS, _COLOURS, _FRONT = 8, 6, 9
_TOLD = 150  # points that say what they are; more would only be in each other's way
_LOGARITHMIC = 12.0  # from this ratio of costs on

Scale = Callable[[float], float]


def plots(rows: tuple[Row, ...]) -> Html | None:
    found = trade_offs(rows)[:_PLOTS]
    return tag("div", *(_plot(rows, each) for each in found), class_="plots") if found else None


def _plot(rows: tuple[Row, ...], found: TradeOff) -> Html:
    costs = [point.cost for point in found.points]
    scores = [point.score for point in found.points]
    logarithmic = min(costs) > 0 and max(costs) / min(costs) >= _LOGARITHMIC
    x = _scale(costs, _LEFT, _WIDTH - _RIGHT, logarithmic)
    y = _scale(scores, _HEIGHT - _BOTTOM, _TOP, False)
    front = found.front
    series = sorted({point.series for point in found.points})
    label = f"{found.metric} against {found.cost}"
    parts = [*_grid(found, x, y, costs, scores, logarithmic), _steps(front, x, y)]
    parts += [
        _dot(rows, found, each, x(each.cost), y(each.score), series.index(each.series))
        for each in found.points
    ]
    for number, point in enumerate(front[:_FRONT], 1):
        parts.append(
            tag(
                "text",
                str(number),
                x=round(x(point.cost), 1),
                y=round(y(point.score) - 8, 1),
                text_anchor="middle",
                class_="rank",
            )
        )
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    legend = [
        tag("span", tag("i", "", class_=f"dot s{n % _COLOURS}"), name) for n, name in enumerate(series[:12])
    ]
    return tag(
        "figure",
        tag(
            "figcaption",
            label,
            tag("small", " better: upper left" if not found.lower else " better: lower left"),
        ),
        tag(
            "div",
            tag("svg", *parts, viewBox=box, role="img", aria_label=label, class_="plot"),
            class_="scroll",
        ),
        tag("p", *legend, class_="legend"),
        _table(rows, found, front),
    )


def _table(rows: tuple[Row, ...], found: TradeOff, front: Sequence[Point]) -> Html:
    body = (
        [
            str(number),
            tag("a", configuration(rows[point.row]), href=f"#case-{point.row}", title=title(rows[point.row])),
            _shown(point.score, found.percent),
            _cost(point.cost),
            maker(rows[point.row]),
        ]
        for number, point in enumerate(front[:_FRONT], 1)
    )
    return table(("", "no other beats", found.metric, found.cost, "made by"), body, class_="front")


def _dot(rows: tuple[Row, ...], found: TradeOff, point: Point, x: float, y: float, series: int) -> Html:
    told = []
    if len(found.points) <= _TOLD:
        row = rows[point.row]
        numbers = f"{_shown(point.score, found.percent)}, {_cost(point.cost)} ({found.cost})"
        told = [tag("title", f"{configuration(row)}: {numbers}, {maker(row)}")]
    return tag("circle", *told, cx=round(x, 1), cy=round(y, 1), r=4, class_=f"s{series % _COLOURS}")


def _steps(front: Sequence[Point], x: Scale, y: Scale) -> Html:
    points: list[str] = []
    for index, point in enumerate(front):
        if index:
            points.append(f"{x(point.cost):.1f},{y(front[index - 1].score):.1f}")
        points.append(f"{x(point.cost):.1f},{y(point.score):.1f}")
    return tag("polyline", points=" ".join(points), class_="frontier")


def _grid(
    found: TradeOff, x: Scale, y: Scale, costs: Sequence[float], scores: Sequence[float], logarithmic: bool
) -> list[Html]:
    low, high = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in ticks(min(scores), max(scores)):
        height = round(y(value), 1)
        parts.append(tag("line", x1=_LEFT, x2=high, y1=height, y2=height, class_="grid"))
        parts.append(tag("text", _shown(value, found.percent), x=_LEFT - 6, y=height + 4, text_anchor="end"))
    marks = _powers(min(costs), max(costs)) if logarithmic else ticks(min(costs), max(costs))
    digits = 3 if logarithmic else _digits(marks)
    for value in marks:
        parts.append(
            tag("text", _compact(value, digits), x=round(x(value), 1), y=low + 18, text_anchor="middle")
        )
        parts.append(
            tag("line", x1=round(x(value), 1), x2=round(x(value), 1), y1=_TOP, y2=low, class_="grid")
        )
    scale = f"{found.cost}{', logarithmic' if logarithmic else ''}"
    parts.append(tag("text", scale, x=(_LEFT + high) / 2, y=_HEIGHT - 8, text_anchor="middle", class_="axis"))
    return parts


def _scale(values: Sequence[float], start: float, end: float, logarithmic: bool) -> Scale:
    """A function from values to pixels, with some room on both sides."""
    to: Scale = math.log if logarithmic else float
    low, high = to(min(values)), to(max(values))
    span = (high - low) or abs(high) or 1.0
    low, high = low - span * 0.08, high + span * 0.08
    return lambda value: start + (end - start) * (to(value) - low) / (high - low)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between ``low`` and ``high``, about five; one number where the two are equal."""
    if not high > low:
        return [low]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """1, 10, 100 and so on; where too few of them lie between, also 2 and 5 times them."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [f * 10.0**e for e in exponents for f in factors if low <= f * 10.0**e <= high]
        if len(found) > 2:
            return found
    return found


def _shown(value: float, percent: bool) -> str:
    return f"{value * 100:.4g}%" if percent else f"{value:.4g}"


def _cost(value: float) -> str:
    """Counts as whole numbers, small quantities with four digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _digits(marks: Sequence[float]) -> int:
    """How many digits tell neighbouring marks apart: at least 3."""
    steps = [high - low for low, high in pairwise(marks)]
    if not steps or min(steps) <= 0:
        return 3
    return min(9, max(3, math.ceil(math.log10(max(map(abs, marks)) / min(steps))) + 1))


def _compact(value: float, digits: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.{digits}g}{letter}"
    return f"{value:.{digits}g}"
