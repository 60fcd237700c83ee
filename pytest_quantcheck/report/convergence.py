"""How scales and score settle as the calibration grows: as a table of text, and as an SVG figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from pytest_quantcheck.verdict.convergence import SETTLED, ConvergenceRow, settled_from

NEXT_LABEL = 40
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 60, 60, 30, 50


def convergence_table(rows: Sequence[ConvergenceRow], score: str) -> list[str]:
    """Lines of text: a row per size, and what follows from them. ``score`` names the score."""
    lines = [f"{'samples':>8}  {'worst scale':>11}  {'median scale':>12}  {score:>10}  worst tensor"]
    for row in rows:
        scored = "-" if row.score is None else f"{row.score:.2%}"
        first, *others = row.tensor.split(";")  # names of what was fused
        tensor = f"{first})" if others else first
        lines.append(f"{row.samples:>8}  {row.worst:>11.1%}  {row.typical:>12.2%}  {scored:>10}  {tensor}")
    enough, most = settled_from(rows), rows[-1].samples
    if enough < most:
        lines.append(f"from {enough} samples on every scale is within {SETTLED:.0%} of that with all {most}")
    else:
        lines.append(f"no fewer than all {most} bring every scale within {SETTLED:.0%}: give more samples")
    if all(row.score is None for row in rows):
        lines.append(f"no {score}: it needs labelled test samples, and a .tflite artefact")
    return lines


def convergence_svg(rows: Sequence[ConvergenceRow], score: str) -> str:
    """A figure of its own: deviations to the left (linear), the score to the right, samples logarithmic."""
    most = max([row.worst for row in rows] + [SETTLED]) * 1.05
    deviations = (("worst scale", "#b2182b", "worst"), ("median scale", "#2166ac", "typical"))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, HEIGHT - 12, "calibration samples", "middle"),
        _text(LEFT, 18, "deviation of the activations' scales", "start"),
    ]
    for row in rows:
        if row is not rows[-1] and _x(rows[-1], rows) - _x(row, rows) < NEXT_LABEL:
            continue  # it would run into the last one
        parts.append(_text(_x(row, rows), HEIGHT - BOTTOM + 18, str(row.samples), "middle"))
    for share in (0.0, 0.5, 1.0):
        parts.append(_text(LEFT - 6, _y(share) + 4, f"{share * most:.0%}", "end"))
        parts.append(_line([(LEFT, _y(share)), (WIDTH - RIGHT, _y(share))], "#dddddd"))
    for number, (label, colour, field) in enumerate(deviations):
        parts.append(_line([(_x(row, rows), _y(getattr(row, field) / most)) for row in rows], colour))
        parts.append(_text(LEFT + 85 * number, HEIGHT - 12, label, "start", colour))
    scored = [(_x(row, rows), _y(row.score)) for row in rows if row.score is not None]
    if scored:
        parts.append(_line(scored, "#1b7837", dashed=True))
        parts.append(_text(WIDTH - RIGHT, 18, f"{score} (0 to 100%, dashed)", "end", "#1b7837"))
        parts += [
            _text(WIDTH - RIGHT + 6, _y(v) + 4, f"{v:.0%}", "start", "#1b7837") for v in (0.0, 0.5, 1.0)
        ]
    return "\n".join([*parts, "</svg>", ""])


def _x(row: ConvergenceRow, rows: Sequence[ConvergenceRow]) -> float:
    span = math.log(rows[-1].samples / rows[0].samples) or 1.0
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log(row.samples / rows[0].samples) / span


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
