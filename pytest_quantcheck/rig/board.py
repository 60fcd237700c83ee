"""What a board *is* to the rest of the house: four small protocols and the values they share.

Chip families implement them in plug-ins (entry-point group ``quantcheck.rigs``); this file knows
no chip.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_quantcheck.errors import UsageError


@dataclass(frozen=True)
class BoardEntry:
    """One ``[[board]]`` of an inventory: what a lab says about a board it owns."""

    name: str
    family: str
    target: str
    port: str = ""
    probe: str = ""
    baud: int = 115200
    tags: tuple[str, ...] = ()
    firmware: str = "quantcheck"
    reset: str = ""
    power_cycle: str = ""
    console: str = "uart"
    virtual: bool = False
    source: str = ""  # where it was read, for error messages
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def physical_ids(self) -> tuple[str, ...]:
        """What a lease locks, in order: the probe, the port and where its link leads now; else the name.

        A link may be gone while its board resets, and lead elsewhere afterwards: ask once, then keep them.
        """
        port = os.path.realpath(self.port) if self.port.startswith("/") else self.port
        return tuple(sorted({self.probe, self.port, port} - {""} or {self.name}))

    def check_settings(self, known: Container[str], named: str) -> None:
        """``UsageError`` for a key of ``[board.settings]`` that nobody reads; ``named``: what is allowed."""
        if unknown := sorted(key for key in self.settings if key not in known):
            raise UsageError(
                f"{self.source or self.name}: [board.settings] {unknown[0]} = {self.settings[unknown[0]]!r} "
                f"is not known to the family {self.family}; allowed: {named}"
            )


@dataclass(frozen=True)
class FirmwareImage:
    """A flat firmware image that goes to ``address``, with the facts its manifest states.

    ``build_id`` is empty for a user's own file, of which only the bytes are known.
    """

    path: Path
    build_id: str
    crc32: int
    size: int
    address: int


class Transport(Protocol):
    """A byte stream to a board: a ``serial.SerialBase`` or anything with the same few methods.

    One that can change its speed has an attribute ``baudrate`` to set; others stay as they are.
    """

    def read(self, size: int = 1) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def close(self) -> None: ...


class Board(Protocol):
    """A board in somebody's hands, from lease to release. Methods raise ``RigFault``.

    The session closes its transport before ``flash``, ``reset`` and ``power_cycle`` and opens the
    port again afterwards, so one port may serve both flashing and the console.
    """

    entry: BoardEntry

    @property
    def firmware(self) -> FirmwareImage:
        """The firmware this board should run."""

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        """Write ``(address, bytes)`` to flash, verify, leave the chip reset and running.

        Returns the number of erased sectors. Nothing outside the touched sectors changes.
        """

    def open_port(self) -> Transport:
        """Open the console without resetting the chip (115200 baud, short read timeout)."""

    def reset(self) -> None:
        """Restart the application."""

    def power_cycle(self) -> None:
        """The strongest restart there is; for a virtual board a new process with the same flash."""

    def misbehave(self, fault: str, **how: object) -> None:
        """Virtual boards only: break on purpose (see docs/boards.md); real boards raise UsageError.

        The names are the same everywhere. Line: flip, drop, duplicate, delay (``rate``, ``seed``),
        mute, overrun. Flash: stick (``address``, ``bit``, ``value``), power_loss. Board: hang, crash,
        die (its process ends). heal ends them all.
        """

    def close(self) -> None:
        """Give everything back: ports, probes, processes."""


class Family(Protocol):
    """A chip family's plug-in: the object its entry point names."""

    name: str

    def targets(self) -> Sequence[str]:
        """Names that ``target`` may take, for checks and messages (others may still be accepted)."""

    def virtual_boards(self) -> Sequence[BoardEntry]:
        """Every board this family offers without hardware; these targets need no port in ``boards.toml``.

        ``--qc-rig virtual`` has those whose name begins with ``virtual-``.
        """

    def scan(self) -> Sequence[BoardEntry]:
        """Boards found on this machine's USB ports; never opens or resets one."""

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        """Take a board into use (its lease is held). For a virtual one: start its process."""
