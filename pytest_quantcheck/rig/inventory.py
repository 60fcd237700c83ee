"""The inventory of a lab: reads and writes ``boards.toml``, has the built-in ``virtual`` one, merges several.

Nothing here opens a board.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError, PluginError, UsageError
from pytest_quantcheck.formats.toml import read_toml
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import family, family_names, sound_families
from pytest_quantcheck.rig.model_firmware import read_firmware_keys
from pytest_quantcheck.rig.protocols.checking import Checking
from pytest_quantcheck.rig.spoken import QUANTCHECK, check_pool, check_protocol

VIRTUAL = "virtual"
FILE_NAME = "boards.toml"
ENVIRONMENT = "QC_RIG"
ALL = "all"
"""Every board of an inventory, where a command wants a name."""

_TYPES: dict[str, type] = {
    "name": str,
    "family": str,
    "target": str,
    "probe": str,
    "port": str,
    "baud": int,
    "tags": list,
    "firmware": str,
    "protocol": str,
    "reset": str,
    "power_cycle": str,
    "place": str,
    "console": str,
    "build": str,
    "build_sources": list,
    "firmwares": dict,
    "settings": dict,
    "protocol_settings": dict,
}
_REQUIRED = ("name", "family", "target")
_TYPE_NAMES = {str: "a string", int: "a whole number", list: "a list of strings", dict: "a table of strings"}
_CONSOLES = ("uart", "usb")
_TABLES = ("firmwares", "settings", "protocol_settings")
_BAUD_RANGE = (1200, 6_000_000)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Inventory:
    """The boards a run may use, each name once, in the order they were listed."""

    boards: tuple[BoardEntry, ...]

    def __iter__(self) -> Iterator[BoardEntry]:
        return iter(self.boards)

    def __len__(self) -> int:
        return len(self.boards)

    @property
    def targets(self) -> tuple[str, ...]:
        """Distinct targets in order of first appearance."""
        return tuple(dict.fromkeys(board.target for board in self.boards))

    def board(self, name: str) -> BoardEntry:
        """The board called ``name``; ``UsageError`` lists those there are."""
        for board in self.boards:
            if board.name == name:
                return board
        known = ", ".join(board.name for board in self.boards) or "none"
        raise UsageError(f"board {name!r} is not in the inventory; it has: {known}")

    def pool(self, target: str) -> tuple[BoardEntry, ...]:
        """All boards of one target: a test that wants the target may take any of them."""
        return tuple(board for board in self.boards if board.target == target)

    def choice(self, wanted: str) -> tuple[BoardEntry, ...]:
        """The boards of a target, or the one of a name; of the first target where ``wanted`` is empty.

        Raises ``UsageError``.
        """
        wanted = wanted or next(iter(self.targets), "")
        return self.pool(wanted) or (self.board(wanted),)

    def select(self, *, family: str = "", target: str = "", tags: Iterable[str] = ()) -> Inventory:
        """The boards of a family, of a target, with all of ``tags``; an empty argument asks nothing."""
        wanted = frozenset(tags)
        return Inventory(
            tuple(
                board
                for board in self.boards
                if family in ("", board.family) and target in ("", board.target) and wanted <= set(board.tags)
            )
        )


def virtual() -> Inventory:
    """The built-in inventory: what the installed families offer without hardware."""
    return merge(
        replace(board, virtual=True, source=VIRTUAL)
        for found in sound_families()
        for board in found.virtual_boards()
        if board.name.startswith(f"{VIRTUAL}-")
    )


def read(path: Path | str, *, may_be_empty: bool = False) -> Inventory:
    """Read one ``boards.toml``. ``UsageError`` names file, board, key, value and what is allowed, also for a
    file that names no board unless it ``may_be_empty``.
    """
    file = Path(path)
    try:
        document = read_toml(file)
    except FileNotFoundError:
        raise UsageError(
            f"there is no rig file {file}; make one with: quantcheck boards --scan > {FILE_NAME}"
        ) from None
    except (OSError, ModelError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    surplus = sorted(set(document) - {"board"})
    if surplus:
        raise UsageError(f"{file}: unknown key {surplus[0]!r}; allowed: [[board]] tables only")
    tables = document.get("board", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{file}: 'board' must be a list of tables; write [[board]], with double brackets")
    if not tables and not may_be_empty:
        raise UsageError(
            f"{file} names no board; quantcheck boards --scan writes a [[board]] for each it finds"
        )
    return merge(_entry(file, number, table) for number, table in enumerate(tables, start=1))


def load(specs: Sequence[str], *, root: Path | None = None) -> Inventory:
    """Merge several inventories: each spec is ``virtual`` or a file, relative to ``root``."""
    base = root or Path.cwd()
    return merge(
        board
        for spec in specs
        for board in (virtual() if spec == VIRTUAL else read(base / Path(spec).expanduser()))
    )


def find(
    given: Sequence[str], *, ini: Sequence[str] = (), root: Path, environment: Mapping[str, str] = os.environ
) -> Inventory | None:
    """The inventory that was asked for, in this order: ``given`` (command line), the variable ``QC_RIG``
    (several, separated as in PATH), ``ini``, ``boards.toml`` in ``root``. None when there is no rig at all.
    """
    if given:
        return load(given)
    from_environment = [part for part in environment.get(ENVIRONMENT, "").split(os.pathsep) if part]
    if from_environment:
        return load(from_environment)
    if ini:
        return load(ini, root=root)
    if not (root / FILE_NAME).is_file():
        return None
    found = read(root / FILE_NAME, may_be_empty=True)  # nobody named it: host tests need no board in it
    return found if found.boards else None


def merge(boards: Iterable[BoardEntry]) -> Inventory:
    """One inventory of all ``boards``; a name that occurs twice is an error."""
    seen: dict[str, BoardEntry] = {}
    for board in boards:
        if board.name in seen:
            raise UsageError(
                f"{board.source}: board name={board.name!r} is taken already (by {seen[board.name].source}); "
                f"give each board a name of its own"
            )
        seen[board.name] = board
    check_pool(tuple(seen.values()))
    return Inventory(tuple(seen.values()))


def dumps(boards: Iterable[BoardEntry]) -> str:
    """``boards`` as the text of a ``boards.toml`` that ``read`` takes back; defaults are left out."""
    plain = BoardEntry(name="", family="", target="")
    blocks = []
    for board in boards:
        lines = ["[[board]]"]
        for key in _TYPES:
            value = getattr(board, key)
            if key in _REQUIRED or (value != getattr(plain, key) and key not in _TABLES):
                lines.append(f"{key} = {_toml(value)}")
        for name in _TABLES:
            if table := getattr(board, name):
                lines.append(f"[board.{name}]")
                lines += [f"{_toml(key)} = {_toml(value)}" for key, value in table.items()]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _toml(value: str | int | tuple[str, ...]) -> str:
    """JSON's strings, numbers and lists are TOML's as well."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _is_virtual(table: Mapping[str, Any]) -> bool:
    """Whether the board is one that its family makes; a broken plug-in is told when the board is opened."""
    try:
        return table["target"] in {board.target for board in family(table["family"]).virtual_boards()}
    except PluginError:
        return not table.get("port")


def _entry(file: Path, number: int, table: Mapping[str, Any]) -> BoardEntry:
    where = f"{file}: board {table.get('name', f'number {number}')!r}"
    for key, value in table.items():
        if key not in _TYPES:
            raise UsageError(f"{where}: unknown key {key!r} = {value!r}; allowed: {', '.join(_TYPES)}")
        _check_type(where, key, value)
    for key in _REQUIRED:
        if not table.get(key):
            raise UsageError(f"{where}: the key {key!r} is missing; needed: {', '.join(_REQUIRED)}")
    _check_values(where, table)
    own = _is_virtual(table)
    if table.get("place") and (own or table.get("port")):
        raise UsageError(
            f"{where}: place = {table['place']!r} goes with a real board and without 'port', which "
            "labgrid names"
        )
    if not own and not table.get("port") and not table.get("place"):
        raise UsageError(
            f"{where}: the key 'port' is missing: a real board needs its serial port, such as "
            f'"/dev/ttyACM0", "/dev/serial/by-id/usb-..." or "socket://host:port" '
            f"(quantcheck boards --scan prints them)"
        )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    usual = "quantcheck" if table.get("protocol", QUANTCHECK) == QUANTCHECK else "external"
    values.update(read_firmware_keys(where, file.parent, table, usual))
    entry = BoardEntry(**values, virtual=own, source=str(file))
    check_protocol(entry, where)
    _check_by_family(entry)
    return entry


def _check_by_family(entry: BoardEntry) -> None:
    """What only its family knows to be wrong; a broken plug-in is told when the board is opened."""
    with suppress(PluginError):
        found = family(entry.family)
        if isinstance(found, Checking):
            found.check(entry)


def _check_type(where: str, key: str, value: object) -> None:
    expected = _TYPES[key]
    items: Iterable[object] = ()
    if isinstance(value, list):
        items = value
    elif isinstance(value, dict):
        items = value.values()
    fits = type(value) is expected and all(isinstance(item, str) for item in items)
    if not fits:
        raise UsageError(f"{where}: {key} = {value!r} has the wrong type; allowed: {_TYPE_NAMES[expected]}")


def _check_values(where: str, table: Mapping[str, Any]) -> None:
    if not _NAME.fullmatch(table["name"]):
        raise UsageError(
            f"{where}: name = {table['name']!r}; allowed: letters, digits, '_', '.', '-', "
            f"the first a letter or digit (it becomes part of file names)"
        )
    if table["name"] == ALL:
        raise UsageError(
            f"{where}: name = {ALL!r} is taken: quantcheck boards --check {ALL} means every board"
        )
    if table["family"] not in family_names():
        raise UsageError(
            f"{where}: family = {table['family']!r} is not known; allowed: {', '.join(family_names())}"
        )
    low, high = _BAUD_RANGE
    if not low <= table.get("baud", low) <= high:
        raise UsageError(f"{where}: baud = {table['baud']!r}; allowed: {low} to {high}")
    if table.get("console", "uart") not in _CONSOLES:
        raise UsageError(f"{where}: console = {table['console']!r}; allowed: {', '.join(_CONSOLES)}")
