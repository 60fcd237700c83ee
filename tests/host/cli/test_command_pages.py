"""Each command has a page that names its options, all of them and no others. (The examples: tests/hw.)"""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import pytest

from pytest_quantcheck.cli import COMMANDS
from tests.pages import blocks

pytestmark = pytest.mark.host

PAGES = Path(__file__).parents[3] / "docs" / "commands"
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
EXIT_CODES = {0, 1, 2, 3, 130}


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="quantcheck")
    subparsers = parser.add_subparsers()
    importlib.import_module(f"pytest_quantcheck.cli.{command.replace('-', '_')}").add_parser(subparsers)
    return subparsers.choices[command]


def options_of(command: str) -> set[str]:
    return {name for action in parser_of(command)._actions for name in action.option_strings}


def table_rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is ``heading``; a bar within a cell is written ``\\|``."""
    text = page.read_text(encoding="utf-8")
    rows = re.search(rf"^\| {heading} .*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, f"{page.name} has no table headed {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[1].splitlines()]


def test_every_command_has_a_page_and_a_line_on_the_page_of_commands() -> None:
    names = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert names == COMMANDS.keys()
    assert [row[0] for row in table_rows(PAGES / "README.md", "command")] == [
        f"[{c}]({c}.md)" for c in COMMANDS
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_table_of_options_is_the_parsers(command: str) -> None:
    rows = table_rows(PAGES / f"{command}.md", "option")
    named = [name for row in rows for name in OPTION.findall(row[0])]
    assert len(set(named)) == len(named)
    assert set(named) == options_of(command)
    assert all(row[2] for row in rows), "an option without a meaning"
    metavars = {a.metavar for a in parser_of(command)._actions if not a.option_strings}
    assert metavars <= {row[0].strip("`") for row in rows}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_synopsis_is_the_parsers(command: str) -> None:
    synopsis = next(block for block in blocks(PAGES / f"{command}.md") if block.kind == "text")
    usage = parser_of(command).format_usage().removeprefix("usage: ")
    assert synopsis.text.split() == usage.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_options_named_anywhere_on_the_page_exist(command: str) -> None:
    known = set().union(*(options_of(name) for name in COMMANDS))
    text = (PAGES / f"{command}.md").read_text(encoding="utf-8")
    assert {name for name in OPTION.findall(text) if name.startswith("--")} <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_exit_codes_are_named_and_the_examples_show_only_these(command: str) -> None:
    page = PAGES / f"{command}.md"
    codes = {int(row[0]) for row in table_rows(page, "exit code")}
    assert {0, 2, 130} <= codes <= EXIT_CODES
    assert {block.exit for block in blocks(page) if block.kind == "console"} <= codes
    assert {int(row[0]) for row in table_rows(PAGES / "README.md", "code")} == EXIT_CODES
