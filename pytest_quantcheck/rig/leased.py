"""A board of a pool, from its lease to its release, whatever its firmware speaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.deadlines import USUAL, Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.lease import Lease, acquire
from pytest_quantcheck.rig.open_board import BoardStatistics, OpenBoard
from pytest_quantcheck.rig.protocols.board import Board
from pytest_quantcheck.rig.serial_log import SerialLog, log_folder

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

Result = TypeVar("Result")
Used = TypeVar("Used", bound=OpenBoard)
Progress = Callable[[str, int, int], None]


class _Logs(TypedDict):
    log_dir: Path


class LeaseOptions(_Logs, total=False):
    """``who`` is shown to those who wait for the board. ``ledger`` carries retries and quarantine and is
    shared by all sessions of a run. ``progress(stage, done, total)`` is called during long work.
    """

    who: str
    lease_timeout: float
    ledger: FaultLedger | None
    deadlines: Deadlines
    progress: Progress | None


class LeasedBoard(Generic[Used]):
    """One board of a pool of one target, of which any free one is taken; ``opened`` makes what it is used
    through. Not for two threads at once.
    """

    def __init__(
        self,
        pool: Sequence[BoardEntry],
        *,
        opened: Callable[..., Used],
        **options: Unpack[LeaseOptions],
    ) -> None:
        if not pool:
            raise UsageError("a session needs at least one board")
        self.pool = tuple(pool)
        self.ledger = options.get("ledger") or FaultLedger()
        self.statistics = BoardStatistics()
        self.who = options.get("who", "")
        self.progress: Progress = options.get("progress") or _no_progress
        self._opened = opened
        self._lease_timeout = options.get("lease_timeout", 60.0)
        self._deadlines = options.get("deadlines", USUAL)
        self._log_dir = log_folder(options["log_dir"])
        self._log = SerialLog(self._log_dir / f"{self.target}-{os.getpid()}.log")
        self._lease: Lease | None = None
        self._connection: Used | None = None

    @property
    def target(self) -> str:
        """The target that all boards of the pool share."""
        return self.pool[0].target

    @property
    def entry(self) -> BoardEntry:
        """The board that is leased."""
        if self._connection is None and self._lease is not None:
            return self._lease.entry
        return self.connection.entry

    @property
    def board(self) -> Board:
        """The board in use, for what only its family can do (``misbehave``, ``power_cycle``)."""
        return self.connection.board

    @property
    def connection(self) -> Used:
        """The board in use; ``UsageError`` before ``start``."""
        if self._connection is None:
            raise UsageError("the session has no board: call start() first")
        return self._connection

    @property
    def log(self) -> Path:
        """The serial log that is written now."""
        return self._log.path

    def log_to(self, path: Path) -> None:
        """From here on append the serial log to ``path``: one file per test."""
        self._log.switch(path)

    @property
    def is_open(self) -> bool:
        """Whether a board is in its hands."""
        return self._connection is not None

    def begin(self) -> None:
        """Lease a board, before it is known what is to run on it, and have it come up."""
        self._guarded(lambda: None)

    def close(self) -> None:
        """Give the board back: link, port, process, lease. Harmless when repeated."""
        lease, self._lease = self._lease, None
        try:
            self._put_down()
        finally:
            if lease is not None:
                lease.release()
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guarded(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` with a board that is up; retry after faults; give a broken board back."""
        lease = self._leased()
        entry = lease.entry

        def attempt() -> Result:
            lease.check()
            try:
                done = up_and_at_work()
            except RigFault:
                lease.check()  # what a board does that others have meanwhile is no fault of its own
                raise
            lease.check()  # and it proves nothing
            return done

        def up_and_at_work() -> Result:
            if self._connection is None:
                self._connection = self._opened(
                    entry,
                    log_dir=self._log_dir,
                    log=self._log,
                    statistics=self.statistics,
                    deadlines=self._deadlines,
                )
            self._connection.bring_up()
            return work()

        try:
            return self.ledger.attempt(entry.name, attempt, self._recover)
        except BaseException as error:
            if isinstance(error, RigFault) or self._connection is None:
                with suppress(RigFault, OSError):
                    self.close()
            raise

    def _leased(self) -> Lease:
        if self._lease is None:
            self._lease = acquire(self.ledger.usable(self.pool), who=self.who, timeout=self._lease_timeout)
        return self._lease

    def _put_down(self) -> None:
        """Close the board and keep its lease: what comes next opens it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _recover(self, retry: int) -> None:
        """Between a fault and the next try: restart the board, and believe nothing it said before."""
        if self._lease is not None:
            self._lease.check()  # restarting a board that others have now would spoil their work
        self.statistics.retries += 1
        if self._connection is not None:
            self._connection.restart(power=retry > 1)


def _no_progress(stage: str, done: int, total: int) -> None:
    """Nobody watches."""
