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


def test_the_reference_names_every_key_option_and_argument(pytestconfig: pytest.Config) -> None:
    import inspect

    from pytest_quantcheck.data.calibration import ALLOWED
    from pytest_quantcheck.plugin import cases, markers
    from pytest_quantcheck.plugin.options import INI_KEYS
    from pytest_quantcheck.verdict.budget import QUANTITIES
    from pytest_quantcheck.verdict.gate import Gate
    from pytest_quantcheck.verdict.metrics.registry import METRICS

    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    options = [f"--{name.replace('_', '-')}" for name in vars(pytestconfig.option) if name.startswith("qc_")]
    arguments = list(inspect.signature(Gate.check).parameters)[2:-1]
    calibrations = ALLOWED.replace("ids:a,b", "ids:").split(", ")
    words = [*cases.QUANT_KEYS, *markers.HW_KEYS, *QUANTITIES, *METRICS, *arguments, *options, *INI_KEYS]
    assert [word for word in (*words, *calibrations) if word not in page] == []
    assert len(options) >= 10
