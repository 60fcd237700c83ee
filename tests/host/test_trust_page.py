"""docs/trust.md: every promise names a test, and every test it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 15
    assert not named - defined


def test_every_promise_names_a_test() -> None:
    means = PAGE.partition("## A pass means")[2].partition("## What is found suspicious")[0]
    promises = re.findall(r"^- (.*?)(?=^- |^##|\Z)", means, re.MULTILINE | re.DOTALL)
    assert len(promises) >= 12
    assert not [promise for promise in promises if "`test_" not in promise]


def test_every_finding_has_a_row_with_its_test() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "pytest_quantcheck" / "verdict" / "sanity").glob("*.py")
    )
    codes = {code.lower() for code in re.findall(r'"warning",\s+"?(\w+)"?', source)}
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(test_\w+)` \|$", PAGE, re.MULTILINE))
    assert rows.keys() == codes
