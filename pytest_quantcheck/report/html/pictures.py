"""Samples as pictures inside the page, each once as a data URI."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_quantcheck.report.html.markup import Html, tag
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.row import Row


def picture(found: Picture) -> Html:
    return tag(
        "img", src=f"data:image/png;base64,{found.png}", alt=f"sample {found.sample}", title=found.sample
    )


def by_sample(rows: Iterable[Row]) -> dict[str, Picture]:
    """The picture of each sample that has one; none of a name that two data sets use for two samples."""
    found: dict[str, set[Picture]] = {}
    for row in rows:
        for each in row.pictures:
            found.setdefault(each.sample, set()).add(each)
    return {name: next(iter(each)) for name, each in found.items() if len(each) == 1}
