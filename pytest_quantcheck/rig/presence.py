"""What can be said of a board without opening it: is its port there, and who else has the port?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pytest_quantcheck.rig.entry import BoardEntry

_WINDOWS = re.compile(r"COM\d+", re.IGNORECASE)


def absence(entry: BoardEntry) -> str:
    """Why ``entry`` cannot be there now; empty where it is, or where only opening it would tell (virtual
    boards, ports on a network, a board that is known by its probe).
    """
    port = entry.port
    if entry.virtual or not port:
        return ""
    if port.startswith("/"):
        return "" if Path(port).exists() else f"there is no {port}"
    if port.startswith("hwgrep://"):
        return _matching(port.removeprefix("hwgrep://").partition("&")[0])
    return _matching(f"^{port}$") if _WINDOWS.fullmatch(port) else ""


def sharing(entry: BoardEntry, boards: Iterable[BoardEntry]) -> tuple[str, ...]:
    """Names of the other ``boards`` that have its port or its probe: one lease keeps all of them."""
    if entry.virtual:
        return ()
    mine = set(entry.physical_ids)
    return tuple(
        other.name
        for other in boards
        if other.name != entry.name and not other.virtual and mine & set(other.physical_ids)
    )


def _matching(pattern: str) -> str:
    try:
        from serial.tools import list_ports
    except ImportError:  # nobody here can look
        return ""
    try:
        found = sorted(port.device for port in list_ports.grep(pattern))
    except (re.error, OverflowError) as error:
        return f"{pattern!r} is no regular expression: {error}"
    if len(found) == 1:
        return ""
    return f"{pattern!r} matches {', '.join(found) or 'no port'}"
