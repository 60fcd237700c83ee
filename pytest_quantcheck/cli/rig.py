"""What the commands that use boards share: options, inventory, progress on stderr."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_quantcheck.rig import inventory
from pytest_quantcheck.rig.deadlines import USUAL
from pytest_quantcheck.rig.inventory import FILE_NAME, Inventory
from pytest_quantcheck.rig.session import STORAGES

Progress = Callable[[str, int, int], None]


def add_rig_options(parser: argparse.ArgumentParser) -> None:
    """The options of a command that uses a board."""
    parser.add_argument(
        "--rig",
        action="append",
        default=[],
        metavar="FILE|virtual",
        help=f"inventory of boards, repeatable (default: $QC_RIG or ./{FILE_NAME}, and the virtual boards)",
    )
    parser.add_argument(
        "--lease-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="wait for a busy board at most so long",
    )
    parser.add_argument(
        "--run-timeout",
        type=float,
        default=USUAL.request,
        metavar="SECONDS",
        help="one inference on a board may take so long",
    )
    parser.add_argument(
        "--log-dir", type=Path, default=Path(".quantcheck"), metavar="DIR", help="where serial logs go"
    )
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="auto",
        help="where the model goes on the board (default: auto)",
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=1,
        metavar="N",
        help="retries after a fault of the rig (default: %(default)s)",
    )


def read_inventory(args: argparse.Namespace) -> Inventory:
    """The rig that was asked for; without ``--rig`` the virtual boards are there as well."""
    found = inventory.find(args.rig, root=Path.cwd())
    if args.rig and found is not None:
        return found
    taken = set() if found is None else {board.name for board in found}
    extra = [board for board in inventory.virtual() if board.name not in taken]
    return inventory.merge([*(found or ()), *extra])


def purpose(args: argparse.Namespace) -> str:
    """What others who wait for the board are told."""
    return f"quantcheck {args.command} (pid {os.getpid()})"


@contextmanager
def progress() -> Iterator[Progress]:
    """A callback ``(stage, done, total)`` that draws a bar on stderr while that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def update(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total or None)

        yield update
