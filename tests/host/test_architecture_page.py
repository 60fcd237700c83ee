"""docs/architecture.md names every room of the tree, and none that does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import blocks

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
ALL_FOLDERS = ("pytest_quantcheck", "rigs", "conformance_models")
FIRMWARE = ("engine", "harness", "ports", "runtimes", "include")  # and not what a build leaves
INDENT = "  "


def named() -> Iterator[str]:
    """The paths of the page's tree: two spaces deeper is inside, the first word of a line is the name."""
    inside: list[str] = []
    for line in next(block for block in blocks(PAGE) if block.kind == "text").lines:
        depth = (len(line) - len(line.lstrip())) // len(INDENT)
        inside = [*inside[:depth], line.split()[0].rstrip("/")]
        yield "/".join(inside)


def folders(top: Path) -> Iterator[str]:
    """``top`` and every folder below it that holds files of ours."""
    for folder in (top, *(path for path in top.rglob("*") if path.is_dir())):
        hidden = any(part.startswith((".", "__pycache__")) for part in folder.relative_to(ROOT).parts)
        if not hidden and any(path.name != "__pycache__" for path in folder.iterdir()):
            yield folder.relative_to(ROOT).as_posix()


def rooms() -> set[str]:
    package = ROOT / "pytest_quantcheck"
    found = {f"{package.name}/{module.name}" for module in package.glob("*.py")}
    for top in (*ALL_FOLDERS, *(f"firmware/{part}" for part in FIRMWARE)):
        found |= set(folders(ROOT / top))
    return found


def test_every_room_is_named() -> None:
    assert sorted(rooms() - set(named())) == [], "write a line for each into docs/architecture.md, The tree"


def test_every_name_exists() -> None:
    assert [path for path in named() if not (ROOT / path).exists()] == []


def test_no_room_is_named_twice_and_each_says_what_lives_there() -> None:
    paths = list(named())
    assert len(paths) == len(set(paths)) > 50
    lines = next(block for block in blocks(PAGE) if block.kind == "text").lines
    silent = [line.strip() for line in lines if len(line.split()) < 2]
    assert silent == []
