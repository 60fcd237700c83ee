"""How long a host waits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from pytest_quantcheck.errors import UsageError


@dataclass(frozen=True)
class Deadlines:
    """Seconds, all of them. A wait that is longer is a fault of the rig.

    ``answer``: silence after a request. ``operator``: silence during a run, since a board says BUSY
    between operators. ``request``: any request, however often the board says BUSY meanwhile, with
    all repetitions of a run that was disturbed. ``hello``: the same for HELLO, which only computes CRCs.
    ``awake``, ``reset``, ``boot``: HELLO of a board that should be running, was reset, was switched on.
    """

    answer: float = 5.0
    operator: float = 60.0
    request: float = 600.0
    hello: float = 20.0  # several megabytes of flash at a few MHz
    awake: float = 1.0  # a running board answers in milliseconds
    reset: float = 3.0  # a real chip is up in well under one
    boot: float = 8.0  # a virtual board on a busy machine takes longer

    def __post_init__(self) -> None:
        for each in fields(self):
            seconds = getattr(self, each.name)
            if not 0 < seconds < math.inf:
                raise UsageError(f"a deadline of {seconds:g} seconds ({each.name}); allowed: more than 0")

    @classmethod
    def of_runs(cls, seconds: float) -> Deadlines:
        """Where one inference may take so many seconds: a tenth in silence, or the usual time if longer."""
        if not 1 <= seconds < math.inf:
            raise UsageError(f"a run may take {seconds:g} seconds; allowed: a number from 1")
        return cls(operator=min(seconds, max(cls.operator, seconds / 10)), request=seconds)


USUAL = Deadlines()
