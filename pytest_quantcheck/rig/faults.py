"""What happens after a rig fault: how often to try again, and when a board is taken out of service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry

Result = TypeVar("Result")


@dataclass
class FaultLedger:
    """All rig faults of a run, and the boards in quarantine with the fault that put them there.

    ``retries`` is how often a stage is tried again after its first fault. A board whose retries are
    used up is not used again in this run: later tests take another board of the pool or end at
    once with the first cause, instead of waiting through the same deadlines again.
    """

    retries: int = 1
    faults: list[RigFault] = field(default_factory=list)
    quarantined: dict[str, RigFault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise UsageError(f"retries={self.retries}; allowed: 0 or more")

    def usable(self, pool: Sequence[BoardEntry]) -> tuple[BoardEntry, ...]:
        """The boards of ``pool`` that are not in quarantine; ``RigFault`` with the first cause if none is."""
        usable = tuple(entry for entry in pool if entry.name not in self.quarantined)
        if usable or not pool:
            return usable
        causes = "\n".join(f"  {entry.name}: {self.quarantined[entry.name]}" for entry in pool)
        first = self.quarantined[pool[0].name]
        raise RigFault(
            first.kind,
            f"every board of this target is in quarantine after earlier faults:\n{causes}",
            board=", ".join(entry.name for entry in pool),
            log=first.log,
        )

    def attempt(self, board: str, work: Callable[[], Result], recover: Callable[[int], None]) -> Result:
        """Do ``work``; after a fault ``recover(number of the retry)`` and do it again.

        When the retries are used up the last fault of ``work`` is raised (not one of recovering, which
        would hide it), and the board goes into quarantine with the first. A lease fault is not the
        board's: it is raised at once, of either.
        """
        seen: list[RigFault] = []
        for retry in range(self.retries + 1):
            try:
                if retry:
                    recover(retry)
            except RigFault as fault:
                if fault.kind == "lease":
                    raise
                self.faults.append(fault)
                continue
            try:
                return work()
            except RigFault as fault:
                if fault.kind == "lease":
                    raise
                self.faults.append(fault)
                seen.append(fault)
        self.quarantined[board] = seen[0]
        raise seen[-1]

    def count(self, boards: Iterable[str] | None = None) -> int:
        """How many faults were met, on all boards or on those named."""
        if boards is None:
            return len(self.faults)
        names = set(boards)
        return sum(fault.board in names for fault in self.faults)
