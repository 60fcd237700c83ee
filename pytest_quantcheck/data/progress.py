"""What takes longer than a moment says how far it is, on a terminal and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
FEWEST = 64


def tracked(items: Iterable[Item], total: int, doing: str) -> Iterator[Item]:
    """``items`` as they are, with a bar on standard error that vanishes at the end."""
    if total < FEWEST or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description=doing, total=total, console=console, transient=True)
