"""Where boards left the exact reference: how far, in which pattern, why, and with which evidence."""

from __future__ import annotations

from pytest_quantcheck.report.html.markup import Html, tag
from pytest_quantcheck.report.naming import maker, title
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted

_MOST, _BARS = 60, 12
_WIDTH, _HEIGHT, _BAR = 240, 16, 130


def divergences(rows: tuple[Row, ...]) -> Html | None:
    found: dict[tuple[str, Divergence], list[int]] = {}
    for index, row in enumerate(rows):
        if row.divergence is not None:
            found.setdefault((maker(row), row.divergence), []).append(index)
    if not found:
        return None
    cards = [_card(rows, cases, each) for (_, each), cases in list(found.items())[:_MOST]]
    rest = len(found) - len(cards)
    if rest:
        cards.append(tag("p", f"{counted(rest, 'other')}: see the cases", class_="note"))
    return tag("div", *cards, class_="cards")


def _card(rows: tuple[Row, ...], cases: list[int], found: Divergence) -> Html:
    index, *others = cases
    row = rows[index]
    same = f"; the same in {counted(len(others), 'other case')}" if others else ""
    facts = (
        ("samples", f"{found.samples:,} of {found.total:,} differ, the first is {found.sample}"),
        ("first diverging", f"{found.where}, tensor {found.tensor}"),
        ("difference", f"{found.elements:,} of {found.size:,} elements, {_largest(found)}"),
        ("pattern", found.pattern),
        ("likely cause", found.cause if found.evidence else "unknown"),
        ("evidence", found.evidence) if found.evidence else ("suspicion", f"{found.cause} (by the pattern)"),
        *([("what to do", found.remedy)] if found.remedy else []),
    )
    return tag(
        "article",
        tag("p", tag("a", title(row), href=f"#case-{index}"), f" on {maker(row)}{same}", class_="what"),
        tag("dl", *(part for name, text in facts for part in (tag("dt", name), tag("dd", text)))),
        *([histogram(found.steps)] if found.steps else []),
        class_="card divergence",
    )


def _largest(found: Divergence) -> str:
    return f"at most {found.largest} LSB" if found.steps else "a float32 tensor"


def histogram(steps: tuple[tuple[int, int], ...]) -> Html:
    """Bars: how many elements differ by how many LSB, the most frequent differences, in order of size."""
    shown = sorted(steps[:_BARS])
    most = max(count for _, count in shown)
    bars = []
    for line, (step, count) in enumerate(shown):
        y = line * _HEIGHT
        bars += [
            tag("text", f"{step:+d}", x=42, y=y + 12, text_anchor="end"),
            tag("rect", x=48, y=y + 3, width=round(max(1.0, count / most * _BAR), 1), height=_HEIGHT - 5),
            tag("text", f"{count:,}", x=54 + round(count / most * _BAR, 1), y=y + 12),
        ]
    rest = len(steps) - len(shown)
    if rest:
        bars.append(tag("text", f"and {rest} other differences", x=48, y=len(shown) * _HEIGHT + 12))
    height = (len(shown) + bool(rest)) * _HEIGHT
    label = "elements by difference in LSB"
    box = f"0 0 {_WIDTH} {height}"
    return tag(
        "figure",
        tag("figcaption", label),
        tag(
            "svg",
            *bars,
            viewBox=box,
            width=_WIDTH,
            height=height,
            role="img",
            aria_label=label,
            class_="bars",
        ),
    )
