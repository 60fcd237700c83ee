"""Links between the pages lead somewhere, and every page can be reached from the map."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "firmware").glob("*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def prose(page: Path) -> str:
    """A page without its fenced and indented blocks, where brackets are code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def links(page: Path) -> list[tuple[Path, str]]:
    """Files and anchors that a page names."""
    return [
        ((page.parent / name).resolve() if name else page, anchor)
        for name, anchor in LINK.findall(prose(page))
    ]


def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to #{anchor} of {target.name}"


def test_every_page_is_reached_from_the_map() -> None:
    reached, waiting = set(), [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += [
            p for p, _ in links(page) if p.suffix == ".md" and p.is_relative_to(DOCS) and p not in reached
        ]
    assert {page for page in PAGES if page.is_relative_to(DOCS)} == reached


def test_the_readme_leads_to_the_tutorial_and_the_map() -> None:
    targets = {target for target, _ in links(ROOT / "README.md")}
    assert {DOCS / "tutorial.md", DOCS / "README.md"} <= targets
