"""Samples that flipped: right with the float model and wrong now, or the other way round, over all cases."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.report.html.markup import Html, join, table, tag
from pytest_quantcheck.report.html.pictures import by_sample, picture
from pytest_quantcheck.report.naming import title
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.wording import counted

_MOST, _CASES, _NAMES, _PICTURES = 60, 3, 12, 24

Cases = tuple[tuple[int, ...], tuple[int, ...]]
"""The rows in which a sample was lost, and those in which it was gained."""


def flips(rows: tuple[Row, ...]) -> Html | None:
    """A line for all samples that flipped in the same cases, those first that were lost in most."""
    found: dict[str, tuple[dict[int, None], dict[int, None]]] = {}
    for index, row in enumerate(rows):
        for score in row.scores:
            for which, names_ in enumerate((score.lost, score.gained)):
                for name in names_:
                    found.setdefault(name, ({}, {}))[which][index] = None
    if not found:
        return None
    groups: dict[Cases, list[str]] = {}
    for name, (lost, gained) in found.items():
        groups.setdefault((tuple(lost), tuple(gained)), []).append(name)
    seen = by_sample(rows)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0][0]), -len(group[0][1]), -len(group[1])))
    body = (
        [_samples(its, seen), f"{len(lost)}", f"{len(gained)}", _cases(rows, (*lost, *gained))]
        for (lost, gained), its in ordered[:_MOST]
    )
    rest = sum(len(its) for _, its in ordered[_MOST:])
    note = [tag("p", f"{counted(rest, 'other sample')}: the JSON report names all", class_="note")]
    explained = "lost: only the float model was right; gained: only the quantized model was"
    head = ("samples", "lost in", "gained in", "cases")
    return join(
        [tag("p", explained, class_="note"), table(head, body, class_="flips"), *(note if rest else [])]
    )


def _samples(its: Sequence[str], seen: dict[str, Picture]) -> Html:
    """How many, what some look like, and their names."""
    shown = [picture(seen[name]) for name in its if name in seen][:_PICTURES]
    parts = [tag("p", *shown, class_="pictures")] if shown else []
    return join([f"{counted(len(its), 'sample')}: ", names(its), *parts])


def _cases(rows: tuple[Row, ...], found: Sequence[int]) -> Html:
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
