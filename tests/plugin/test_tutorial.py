"""The tutorial does what it says, with this tree built as a wheel and installed into a new environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.pages import Shell, blocks, carry_out, reader_environment

pytestmark = pytest.mark.hw

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"


def new_environment(folder: Path) -> dict[str, str]:
    """A newcomer's variables. What pip would download is taken from the environment that runs this test:
    ``sitecustomize`` adds it behind what a new virtual environment holds, ``bin`` has its Python and pytest.
    """
    site, bin = folder / "site", folder / "bin"
    site.mkdir()
    bin.mkdir()
    installed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (site / "sitecustomize.py").write_text(f"import sys\nsys.path += {installed!r}\n")
    for name, line in (("python3", f"exec {sys.executable}"), ("pytest", "exec python -m pytest")):
        (bin / name).write_text(f'#!/bin/sh\n{line} "$@"\n')
        (bin / name).chmod(0o755)
    return reader_environment(
        PATH=f"{bin}:{os.environ['PATH']}",
        PYTHONPATH=str(site),
        PIP_NO_INDEX="1",
        PIP_NO_BUILD_ISOLATION="0",  # pip's way to say yes to it
        QC_CACHE=str(folder / "cache"),
    )


def test_the_tutorial_from_pip_install_to_a_board(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "home" / "pytest-quantcheck").symlink_to(ROOT)
    shell = Shell(tmp_path / "home", new_environment(tmp_path), tmp_path / "private")
    assert carry_out(TUTORIAL, shell) == 10
    code, printed = shell.run("python -c 'import pytest_quantcheck; print(pytest_quantcheck.__file__)'")
    assert code == 0
    assert Path(printed[-1]).is_relative_to(tmp_path / "home" / ".venv"), "the wheel was not what ran"


def test_every_block_of_the_tutorial_is_carried_out() -> None:
    assert {block.kind for block in blocks(TUTORIAL)} == {"console", "python", "diff"}
    prose = TUTORIAL.read_text(encoding="utf-8").split("```")[::2]
    assert not [line for part in prose for line in part.splitlines() if line.startswith("    ")]
