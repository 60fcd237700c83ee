"""Samples that flipped: right with the float model and wrong now, or the other way round, over all cases."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.report.html.markup import Html, join, table, tag
from pytest_quantcheck.report.html.pictures import by_sample, picture
from pytest_quantcheck.report.naming import title
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted

_MOST, _CASES, _NAMES = 100, 3, 12


def flips(rows: tuple[Row, ...]) -> Html | None:
    """A line per sample, those first that were lost in most cases."""
    lost: dict[str, list[int]] = {}
    gained: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        for score in row.scores:
            for found, names in ((lost, score.lost), (gained, score.gained)):
                for name in names:
                    found.setdefault(name, []).append(index)
    samples = sorted(
        lost.keys() | gained.keys(), key=lambda s: (-len(lost.get(s, ())), -len(gained.get(s, ())), s)
    )
    if not samples:
        return None
    seen = by_sample(rows)
    body = (
        [
            join([*([picture(seen[name])] if name in seen else []), tag("code", name)]),
            str(len(lost.get(name, ()))),
            str(len(gained.get(name, ()))),
            _cases(rows, lost, gained, name),
        ]
        for name in samples[:_MOST]
    )
    head = ("sample", "lost in", "gained in", "cases")
    rest = len(samples) - _MOST
    note = (
        [tag("p", f"{counted(rest, 'other sample')}: the JSON report names all", class_="note")]
        if rest > 0
        else []
    )
    explained = "lost: only the float model was right; gained: only the quantized model was"
    return join([tag("p", explained, class_="note"), table(head, body, class_="flips"), *note])


def _cases(
    rows: tuple[Row, ...], lost: dict[str, list[int]], gained: dict[str, list[int]], name: str
) -> Html:
    found = list(dict.fromkeys([*lost.get(name, ()), *gained.get(name, ())]))
    links: list[str] = []
    for index in found[:_CASES]:
        links += [tag("a", title(rows[index]), href=f"#case-{index}"), " "]
    if len(found) > _CASES:
        links.append(f"and {len(found) - _CASES} more")
    return join(links)


def names(ids: Sequence[str]) -> Html:
    """Some ids, and how many others there are."""
    parts: list[str] = []
    for each in ids[:_NAMES]:
        parts += [tag("code", each), " "]
    if len(ids) > _NAMES:
        parts.append(f"and {len(ids) - _NAMES:,} more")
    return join(parts)
