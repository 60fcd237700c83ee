"""``quantcheck boards``: list the inventory, print one for what is plugged in, or check one board."""

from __future__ import annotations

import argparse
import sys

from pytest_quantcheck.cli.rig import add_rig_options, read_inventory
from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import sound_families
from pytest_quantcheck.rig.inventory import ALL, FILE_NAME, Inventory, dumps
from pytest_quantcheck.rig.lease import held_by
from pytest_quantcheck.rig.presence import absence, sharing
from pytest_quantcheck.wording import columns, first_line


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck boards``."""
    parser = subparsers.add_parser(
        "boards",
        help="list, find or check boards",
        description="Without options: list the boards of the inventory and who holds them.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--scan", action="store_true", help=f"print a {FILE_NAME} for the boards on this machine's USB ports"
    )
    what.add_argument(
        "--check",
        metavar="NAME|all",
        help="lease, flash, boot, link errors by baud rate, counter against the host's clock, a known "
        "model; all: every board, and a table",
    )
    add_rig_options(parser)
    parser.set_defaults(retries=0)  # a check that repeats itself would hide what it looks for


def run(args: argparse.Namespace) -> int:
    """List, scan or check; 0, or what ``check_boards`` returns."""
    if args.scan:
        return _scan()
    inventory = read_inventory(args)
    if args.check:
        from pytest_quantcheck.cli.board_check import check_boards

        boards = list(inventory) if args.check == ALL else [inventory.board(args.check)]
        return check_boards(boards, args)
    _list(inventory)
    return 0


def _scan() -> int:
    found = [board for family in sound_families() for board in family.scan()]
    if not found:
        print(
            "no board found on this machine's USB ports: look at cable, power and permissions "
            "(on Linux the user must be in the group dialout). quantcheck boards --rig virtual lists boards "
            "that need no hardware.",
            file=sys.stderr,
        )
        print(f"# {FILE_NAME}: no board was found; a [[board]] looks as in docs/boards.md")
        return 0
    print(dumps(found), end="")
    return 0


def _list(inventory: Inventory) -> None:
    rows = [("NAME", "FAMILY", "TARGET", "PORT", "TAGS", "STATE")]
    rows += [
        (b.name, b.family, b.target, _port(b), ",".join(b.tags) or "-", _state(b, inventory))
        for b in inventory
    ]
    print(columns(rows))


def _port(board: BoardEntry) -> str:
    return f"place {board.place}" if board.place else board.port or board.probe or "-"


def _state(board: BoardEntry, inventory: Inventory) -> str:
    if board.virtual:
        return "virtual: a process of its own for everybody"
    found = [_held(board)]
    if missing := absence(board):
        found = [f"absent: {missing}"]
    if others := sharing(board, inventory):
        found.append(f"one port or probe with {', '.join(others)}: whoever takes one has both")
    return "; ".join(found)


def _held(board: BoardEntry) -> str:
    """Who has it; of a place whose farm does not answer, why nobody knows."""
    try:
        held = held_by(board)
    except (RigFault, UsageError) as error:
        if not board.place:
            raise
        return f"unknown: {first_line(error.reason if isinstance(error, RigFault) else error)}"
    return f"held by {held}" if held else "free"
