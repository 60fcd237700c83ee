"""The results as one HTML file that needs nothing else: no network, no library; for screen, phone, paper."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from pytest_quantcheck.report.file import write_file
from pytest_quantcheck.report.html.details import cases
from pytest_quantcheck.report.html.divergences import divergences
from pytest_quantcheck.report.html.flips import flips
from pytest_quantcheck.report.html.markup import Html, tag
from pytest_quantcheck.report.html.matrix import matrix
from pytest_quantcheck.report.html.origin import origin
from pytest_quantcheck.report.html.overview import WORDS, overview
from pytest_quantcheck.report.html.plots import plots
from pytest_quantcheck.report.html.tables import score_tables
from pytest_quantcheck.report.html.trends import trends
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import overall


def write(report: Report, target: str) -> None:
    write_file(target, render(report))


def render(report: Report) -> str:
    """A whole document. Whatever the rows hold, it loads nothing and runs no script but its own: its
    Content-Security-Policy allows just these, by their hashes.
    """
    rows = report.rows
    sections = (
        ("matrix", "Configurations and boards", matrix(rows)),
        ("trade-offs", "Score against cost", plots(rows)),
        ("divergences", "Divergences", divergences(rows)),
        ("flips", "Flipped samples", flips(rows)),
        ("tables", "Behind the scores", score_tables(rows)),
        ("history", "History", trends(report.history)),
        ("cases", "Cases", cases(rows, report.places) if rows else None),
        ("origin", "Where the numbers come from", origin(report)),
    )
    there = [(name, title, content) for name, title, content in sections if content is not None]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in there]
    body = (
        overview(report),
        tag("nav", *links, aria_label="sections"),
        tag("main", *(tag("section", tag("h2", title), content, id=name) for name, title, content in there)),
    )
    return "<!doctype html>\n" + tag("html", _head(report), tag("body", *body, _script()), lang="en") + "\n"


def _head(report: Report) -> Html:
    style, script = _shipped("style.css"), _shipped("script.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"quantcheck: {WORDS[overall(report.rows)][0]}"),
        tag("style", style),
    )


def _script() -> Html:
    return tag("script", _shipped("script.js"))


def _shipped(name: str) -> Html:
    return Html((files("pytest_quantcheck.report.html") / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an element's content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
