"""The tutorial does what it says, with this tree built as a wheel and installed into a new environment."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

from tests.pages import Shell, blocks, carry_out

pytestmark = pytest.mark.hw

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
OURS = ("QC_", "PYTEST_", "VIRTUAL_ENV", "PYTHONPATH")


def new_environment(folder: Path) -> dict[str, str]:
    """A newcomer's variables. What pip would download is taken from the environment that runs this test:
    ``sitecustomize`` adds it behind whatever a new virtual environment holds, ``bin`` has pytest's command.
    """
    site, bin = folder / "site", folder / "bin"
    site.mkdir()
    bin.mkdir()
    (bin / "pytest").write_text('#!/bin/sh\nexec python -m pytest "$@"\n')
    (bin / "pytest").chmod(0o755)
    installed = sysconfig.get_paths()["purelib"]
    (site / "sitecustomize.py").write_text(f"import sys\nsys.path.append({installed!r})\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    return {
        **kept,
        "PATH": f"{bin}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say yes to it
        "QC_CACHE": str(folder / "cache"),
        "COLUMNS": "80",
    }


def test_the_tutorial_from_pip_install_to_a_board(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "home" / "pytest-quantcheck").symlink_to(ROOT)
    shell = Shell(tmp_path / "home", new_environment(tmp_path), tmp_path / "private")
    assert carry_out(TUTORIAL, shell) == 12
    code, printed = shell.run("python -c 'import pytest_quantcheck; print(pytest_quantcheck.__file__)'")
    assert code == 0
    assert Path(printed[-1]).is_relative_to(tmp_path / "home" / ".venv"), "the wheel was not what ran"


def test_every_block_of_the_tutorial_is_carried_out() -> None:
    kinds = [block.kind for block in blocks(TUTORIAL)]
    assert {"console", "python", "diff"} == set(kinds)
    assert "    " not in [line[:4] for line in TUTORIAL.read_text().split("```")[0::2]], "an indented block"
