"""A board in use, whatever its firmware speaks: opened by its family, restarted, its faults explained."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import family
from pytest_quantcheck.rig.protocols.process import ProcessBoard
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.serial_log import SerialLog

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_MAKE_ROOM = "make room on that disk, or name another folder: TMPDIR, or --log-dir for logs"
_OF_A_DEAD_BOARD = ("flash", "boot", "link")  # what is seen first when its process is gone


@dataclass
class BoardStatistics:
    """What was done to a board: flash writes (they wear it out) and retries after faults."""

    firmware_flashes: int = 0
    image_flashes: int = 0
    erased_sectors: int = 0
    retries: int = 0


class OpenBoard:
    """The family's board of ``entry`` (its lease is held), and its console once that is open.

    Every fault that leaves here is a ``RigFault`` with kind, board, stage, remedy and log.
    """

    REMEDIES: ClassVar[Mapping[str, str]] = {
        "board": "its log says why: something ended it (the system, as memory ran out?), or it is broken",
        "flash": "look at the wiring and power of probe or port; the chip may be worn out or write-protected",
        "boot": "look at power, boot straps and console wiring; quantcheck boards --check NAME tests each",
        "link": "look at console wiring, ground and baud; quantcheck boards --check NAME counts line errors",
    }
    """What to do after a fault, by its kind."""

    def __init__(
        self,
        entry: BoardEntry,
        *,
        log_dir: Path,
        log: SerialLog,
        statistics: BoardStatistics,
        deadlines: Deadlines = USUAL,
    ) -> None:
        self.entry = entry
        self.deadlines = deadlines
        self.log = log
        self.statistics = statistics
        self._transport: Transport | None = None
        self._last_fault: RigFault | None = None
        self._process: ProcessBoard | None = None
        with self.stage("open the board", kind="boot"):
            self.board = family(entry.family).open(entry, log_dir)
        if isinstance(self.board, ProcessBoard):
            self._process = self.board

    def bring_up(self) -> None:
        """Until its firmware has answered. Harmless when repeated."""
        raise NotImplementedError

    def open_console(self) -> Transport:
        """The console, opened anew."""
        self.disconnect()
        with self.stage("open the port", kind="boot"):
            self._transport = self.board.open_port()
        return self._transport

    def restart(self, *, power: bool = False) -> None:
        """Reset, or power-cycle what cannot be reset (or at once); ``bring_up`` afterwards."""
        try:
            self._restart(self.board.power_cycle if power else self.board.reset)
        except RigFault:
            if power:
                raise
            self._restart(self.board.power_cycle)

    def disconnect(self) -> None:
        """Close the console, so that a flash tool can have the port."""
        transport, self._transport = self._transport, None
        if transport is not None:
            with suppress(OSError):
                transport.close()

    def close(self) -> None:
        """Give the board back to its family."""
        self.disconnect()
        self.board.close()

    @contextmanager
    def stage(self, doing: str, kind: str = "link") -> Iterator[None]:
        """Errors inside become faults of this board that say what was being done and what to do."""
        try:
            yield
        except RigFault as fault:
            if fault is self._last_fault:  # an inner stage has said it all
                raise
            raise self.fault(
                fault.kind, fault.reason, doing, log=fault.log, explained=bool(fault.board)
            ) from fault
        except OSError as error:  # pyserial's errors are OSErrors, too
            remedy = _MAKE_ROOM if error.errno in _NO_ROOM else ""
            raise self.fault(kind, str(error), doing, remedy=remedy) from error

    def fault(
        self, kind: str, seen: str, doing: str, *, log: str = "", explained: bool = False, remedy: str = ""
    ) -> RigFault:
        """A fault of this board: what was being done, what was seen, what to do, where the log is.

        ``explained``: the family has said already what to do. ``remedy``: better than the usual one.
        """
        if kind in _OF_A_DEAD_BOARD and self._process is not None and (end := self._process.ended()):
            kind, seen, explained = "board", f"{end} ({seen})", False
        self.log.note(f"{kind} fault, {doing}: {seen}")
        remedy = "" if explained else remedy or self.remedies.get(kind, "")
        told = f"{seen}\nwhat to do: {remedy}" if remedy else seen
        self._last_fault = RigFault(
            kind, f"{doing}: {told}", board=self.entry.name, log=log or str(self.log.path)
        )
        return self._last_fault

    @property
    def remedies(self) -> Mapping[str, str]:
        """What to do after a fault of this board, by its kind."""
        return self.REMEDIES

    def _restart(self, restart: Callable[[], None]) -> None:
        self.disconnect()
        with self.stage("restart the board", kind="boot"):
            restart()
