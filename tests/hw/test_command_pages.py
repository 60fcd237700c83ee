"""The examples on the commands' pages print what the pages show."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pages import Shell, carry_out, reader_environment

pytestmark = pytest.mark.hw

PAGES = Path(__file__).parents[2] / "docs" / "commands"
EXAMPLES = sorted(page for page in PAGES.glob("*.md") if "```console" in page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    commands = Path(sys.executable).parent
    assert (commands / "quantcheck").is_file(), "the package is not installed in this environment"
    path = f"{commands}:{os.environ['PATH']}"
    folder, private = tmp_path / "here", tmp_path / "private"
    folder.mkdir()
    private.mkdir()
    shell = Shell(folder, reader_environment(PATH=path, QC_CACHE=str(tmp_path / "cache")), private)
    carry_out(PAGES / "README.md", shell)
    assert carry_out(page, shell) >= 1
