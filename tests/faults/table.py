"""``python -m tests.faults.table [BOARD ...]``: every fault at every stage, on every board; one table.

In a cell a board breaks at the same point in every attempt. Promised are: a fault of the right kind in time,
one retry, quarantine, and right results from the other board of the pool. Or that a reset cures it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig import lease, open_board
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import family
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.link.frame import Frame
from pytest_quantcheck.rig.messages.numbers import Kind
from pytest_quantcheck.rig.protocols.board import Board
from pytest_quantcheck.rig.protocols.family import Family
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.session import BoardArtefact, BoardSession
from rigs.posix.firmware import build
from rigs.posix.line import FaultyLine
from tests.faults.link import BOARDS, Known

STAGES = ("flash", "boot", "hello", "load", "run", "mid-vector")
FAULTS = ("noise", "mute", "hang", "crash", "die", "stick", "power_loss")
RETRIES = 1
SECONDS = 120.0  # two attempts with two boots of at most 8 s each; flashing takes 15 s on a loaded machine
AT_A_TIME = 4  # most of a cell is waiting for a deadline
CURED = "cured"
_DYING_SECONDS = 0.2  # into the flashing
_MOMENTS = {Kind.HELLO: "hello", Kind.DATA: "load", Kind.RUN: "run"}


def promise(board: str, stage: str, fault: str) -> set[str]:
    """What may come of ``fault`` at ``stage``; empty: the two have nothing to do with each other."""
    if fault in ("stick", "power_loss"):
        impossible = stage != "flash" or (fault, board) == ("power_loss", "posix")
        elsewhere = (fault, board) == ("stick", "posix")  # a model goes to another slot, the firmware cannot
        return set() if impossible else {CURED if elsewhere else "flash"}
    if fault == "die":  # flashing a posix board starts a new process
        return {CURED} if (stage, board) == ("flash", "posix") else {"board"}
    if stage == "flash":
        return _promise_flash(board, fault)
    if stage in ("boot", "hello"):
        return _promise_boot(board, stage, fault)
    if fault in ("noise", "mute") and board == "virtual-stm32f405":
        return {"link", "boot"}  # its line stays broken after a reset: the second attempt sees a silent board
    return {"crash"} if fault == "crash" else {"link"}


def _promise_boot(board: str, stage: str, fault: str) -> set[str]:
    """Noticed by what comes next: the session flashes a silent board, on an ESP32 through the same line.

    A crash restarts the chip, which is up again before HELLO is given up, unless it hit the chip's own start.
    """
    esp32 = board == "virtual-esp32c3"
    if fault == "crash":
        return {CURED, "boot"}
    return {"flash"} if fault in ("noise", "mute") and esp32 else {"boot"}


def _promise_flash(board: str, fault: str) -> set[str]:
    """A reset comes first with every flash tool; a debug probe needs no console; posix no running board."""
    if fault in ("hang", "crash"):
        return {CURED}
    return {"flash"} if board == "virtual-esp32c3" else {"boot"}


@dataclass(frozen=True)
class Cell:
    """What came of it. ``seen``: kind of the fault, or ``cured``."""

    board: str
    stage: str
    fault: str
    promised: frozenset[str]
    seen: str
    seconds: float
    attempts: int
    quarantined: bool
    others_go_on: bool
    reason: str = ""

    @property
    def right(self) -> bool:
        """Everything as promised."""
        if self.seen not in self.promised or self.seconds > SECONDS or not self.others_go_on:
            return False
        return self.seen == CURED or (self.attempts == RETRIES + 1 and self.quarantined)

    def __str__(self) -> str:
        mark = "as promised" if self.right else f"WRONG, promised {' or '.join(sorted(self.promised))}"
        after = "" if self.seen == CURED else f", {self.attempts} attempts, quarantine"
        after += "" if self.quarantined or self.seen == CURED else " MISSING"
        after += "" if self.others_go_on else ", the other board does NOT go on"
        where = f"{self.board:18} {self.stage:10} {self.fault:11}"
        row = f"{where} {self.seen:8} {self.seconds:5.1f} s  {mark}{after}"
        return row if self.right else f"{row}\n    {self.reason}"


class Trap:
    """Breaks the board each time the stage comes."""

    def __init__(self, stage: str, fault: str) -> None:
        self.stage = stage
        self.fault = fault
        self.fired = 0

    def reached(self, stage: str, board: Board, line: FaultyLine | None = None) -> None:
        if stage != self.stage:
            return
        self.fired += 1
        if self.fault in ("noise", "mute") and board.entry.family == "posix":
            rate = 1.0 if self.fault == "mute" else 0.3
            if line is not None:
                line.break_bytes(drop=rate)
            else:
                board.misbehave("drop", rate=rate)
            return
        if self.fault == "die" and stage == "flash":
            threading.Timer(_DYING_SECONDS, _misbehave, (board, "die", {})).start()
            return
        _misbehave(board, *_order(self.fault, board))


def _order(fault: str, board: Board) -> tuple[str, dict[str, object]]:
    """How a board is told."""
    if fault == "noise":
        return "drop", {"rate": 0.3, "seed": 1}
    if fault == "power_loss":
        return fault, {"after_bytes": 4096}
    if fault == "stick":
        return fault, _a_bit(board)
    return fault, {}


def _a_bit(board: Board) -> dict[str, object]:
    """A bit in the way of what is written: of the firmware, on posix of the store."""
    if board.entry.family == "posix":
        image = Known.digits(1).image
        place = next(at for at in range(100, len(image)) if not image[at] & 1)
        return {"address": 0x200000 + 64 + place, "bit": 0, "value": 1}
    firmware = board.firmware
    data = firmware.path.read_bytes()
    place = data.rindex(firmware.build_id.encode())
    return {"address": firmware.address + place, "bit": 0, "value": 1 - (data[place] & 1)}


def _misbehave(board: Board, fault: str, how: dict[str, object]) -> None:
    with suppress(RigFault):  # a board that is dead already
        board.misbehave(fault, **how)


class TappedBoard:
    """The board, with a trap at every point where it is used."""

    def __init__(self, board: Board, trap: Trap) -> None:
        self._board = board
        self._trap = trap

    def __getattr__(self, name: str) -> object:
        return getattr(self._board, name)

    def ended(self) -> str:
        return self._board.ended()  # type: ignore[attr-defined,no-any-return]  # all of them are processes

    def flash(self, segments: Sequence[tuple[int, bytes]]) -> int:
        self._trap.reached("flash", self._board)
        return self._board.flash(segments)

    def open_port(self) -> Transport:
        self._trap.reached("boot", self._board)
        return TappedLine(self._board.open_port(), self._board, self._trap)


class TappedLine(FaultyLine):
    """The console, with a trap before HELLO, DATA and RUN, and one right behind RUN."""

    def __init__(self, transport: Transport, board: Board, trap: Trap) -> None:
        super().__init__(transport, seed=1)
        self._board = board
        self._trap = trap
        self._passed: set[str] = set()

    def write(self, data: bytes) -> int:
        frame = Frame.decode(data.strip(b"\0"))
        kind = frame.type if frame is not None else 0
        self._reached(_MOMENTS.get(kind, ""))
        written = super().write(data)
        if kind == Kind.RUN:
            self._reached("mid-vector")
        return written

    def _reached(self, stage: str) -> None:
        if stage not in self._passed:
            self._passed.add(stage)
            self._trap.reached(stage, self._board, self)


class TappedFamily:
    """A family whose board called ``broken`` is in the trap."""

    def __init__(self, plain: Family, trap: Trap) -> None:
        self._plain = plain
        self._trap = trap

    def open(self, entry: BoardEntry, log_dir: Path) -> Board:
        board = self._plain.open(entry, log_dir)
        return TappedBoard(board, self._trap) if entry.name == "broken" else board  # type: ignore[return-value]


@contextmanager
def _trapped(trap: Trap) -> Iterator[None]:
    with patch.object(open_board, "family", lambda name: TappedFamily(family(name), trap)):
        yield


def run_cell(name: str, stage: str, fault: str, folder: Path) -> Cell:
    """Break the board ``name`` at ``stage`` with ``fault``, then have another one go on."""
    trap = Trap(stage, fault)
    pool = (replace(BOARDS[name], name="broken"), replace(BOARDS["posix"], name="sound"))
    with _trapped(trap):
        cell = _run(pool, folder, "flash" if stage == "flash" else "auto", name, stage, fault)
    if not trap.fired:
        return replace(cell, seen="untried", reason="the stage was never reached")
    return cell


def _run(pool: tuple[BoardEntry, ...], folder: Path, storage: str, *cell: str) -> Cell:
    known = Known.digits(3)
    artefact, vectors = BoardArtefact.of(known.image, 4096), [[each] for each in known.vectors]
    right = [(each,) for each in known.outputs]
    ledger = FaultLedger(retries=RETRIES)
    with BoardSession(
        pool, log_dir=folder, ledger=ledger, storage=storage, deadlines=Deadlines(operator=2.5)
    ) as session:
        seen, reason, began = CURED, "", time.monotonic()
        try:
            if [each.outputs for each in session.infer(artefact, vectors)] != right:
                seen, reason = "wrong", "wrong outputs"
        except RigFault as fault:
            seen, reason = fault.kind, str(fault)
        except Exception as error:
            seen, reason = type(error).__name__, str(error)
        seconds = time.monotonic() - began
        quarantined = list(ledger.quarantined) == ["broken"]
        others_go_on = True
        if seen != CURED:
            outputs = [each.outputs for each in session.infer(artefact, vectors)]
            others_go_on = outputs == right and session.entry.name == "sound"
    return Cell(
        *cell,
        promised=frozenset(promise(*cell)),
        seen=seen,
        seconds=seconds,
        attempts=ledger.count(),
        quarantined=quarantined,
        others_go_on=others_go_on,
        reason=reason,
    )


def run_protocol(folder: Path) -> Cell:
    """A firmware that speaks another version of the link."""
    other = replace(BOARDS["posix"], name="broken", firmware=str(build(PROTOCOL="2").path))
    cell = _run((other, replace(BOARDS["posix"], name="sound")), folder, "auto", "posix", "hello", "crash")
    return replace(cell, fault="version", promised=frozenset({"protocol"}))


def run_lease(folder: Path) -> Cell:
    """A board that somebody else holds: no fault of the board, so neither retried nor quarantined."""
    entry = BoardEntry("held", "posix", "posix", port="held")
    ledger = FaultLedger(retries=RETRIES)
    began = time.monotonic()
    with (
        lease.acquire([entry]),
        BoardSession([entry], log_dir=folder, ledger=ledger, lease_timeout=0.5) as session,
    ):
        seen, reason = "none", ""
        try:
            session.start()
        except RigFault as fault:
            seen, reason = fault.kind, str(fault)
    free = not ledger.faults and not ledger.quarantined
    return Cell(
        "posix",
        "lease",
        "held",
        frozenset({"lease"}),
        seen,
        time.monotonic() - began,
        RETRIES + 1,
        free,
        True,
        reason,
    )


def cells(boards: Sequence[str]) -> list[tuple[str, str, str]]:
    """Board, stage and fault of every cell in which a promise stands."""
    return [
        (board, stage, fault)
        for board in boards
        for stage in STAGES
        for fault in FAULTS
        if promise(board, stage, fault)
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=", ".join(BOARDS))
    parser.add_argument("--stage", action="append", choices=STAGES)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    options = parser.parse_args(arguments)
    wrong = count = 0
    with (
        tempfile.TemporaryDirectory(prefix="quantcheck-faults-") as folder,
        ProcessPoolExecutor(max_workers=AT_A_TIME) as pool,
    ):
        jobs = [
            (run_cell, board, stage, fault, Path(folder) / f"{board}-{stage}-{fault}")
            for board, stage, fault in cells(options.boards or list(BOARDS))
            if stage in (options.stage or STAGES) and fault in (options.fault or FAULTS)
        ]
        jobs += [(special, Path(folder) / special.__name__) for special in (run_protocol, run_lease)]
        for done in [pool.submit(*job) for job in jobs]:
            print(done.result(), flush=True)
            count, wrong = count + 1, wrong + (not done.result().right)
    print(f"{count} cells, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
