"""The examples in the documentation do what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if ">>> " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_run(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    results = doctest.testfile(str(page), module_relative=False, optionflags=options, encoding="utf-8")
    assert results.attempted > 0
    assert results.failed == 0, capsys.readouterr().out


def test_the_numerics_page_has_examples() -> None:
    assert "numerics.md" in [page.name for page in PAGES]
