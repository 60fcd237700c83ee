"""Markup that cannot be broken from outside: every text that is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pytest_quantcheck.wording import visible

_VOID = frozenset({"meta", "input", "br", "img"})


class Html(str):
    """A text that is markup. Made by ``tag`` and ``join`` only."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float | None) -> Html:
    """An element. ``class_`` is class, ``data_x`` is data-x; an attribute that is None is left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>") if name in _VOID else Html(f"<{name}{words}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    """Markup as it is, texts escaped, one after the other."""
    return Html("".join(each if isinstance(each, Html) else escape(visible(each)) for each in children))


def table(head: Iterable[str], rows: Iterable[Iterable[str]], **attributes: str | None) -> Html:
    """A table that scrolls where the page is too narrow. A cell that is a ``td`` or ``th`` stays so."""
    body = (tag("tr", *map(_cell, row)) for row in rows)
    heads = tag("thead", tag("tr", *(tag("th", each) for each in head)))
    return tag("div", tag("table", heads, tag("tbody", *body), **attributes), class_="scroll")


def _cell(content: str) -> Html:
    if isinstance(content, Html) and content.startswith(("<td", "<th")):
        return content
    return tag("td", content)
