"""What the device counts: LOOP and COUNTER."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import COUNT, U32
from pytest_quantcheck.rig.messages.message import Message


@dataclass(frozen=True)
class LoopResult(Message):
    """A loop of known length: what was counted, and what a round and the rest should cost (0: not known)."""

    counted: Annotated[int, COUNT]
    per_round: Annotated[int, U32]
    fixed: Annotated[int, U32]

    def expected(self, rounds: int) -> int | None:
        """What ``rounds`` should have counted; None where the port promises nothing."""
        return rounds * self.per_round + self.fixed if self.per_round else None


@dataclass(frozen=True)
class CounterReading(Message):
    """The counter now, and the device's own link statistics since its start."""

    counter: Annotated[int, COUNT]
    window_cost: Annotated[int, U32]
    stack_bytes: Annotated[int, U32]
    bad_frames: Annotated[int, U32]
    overruns: Annotated[int, U32]
