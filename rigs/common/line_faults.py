"""Damage to a serial line: bytes that flip, vanish, come twice or come late, repeatably by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from pytest_quantcheck.rig.protocols.misbehaving import LINE_FAULTS

DIRECTIONS = ("to_board", "from_board")
_USUAL = {"mute": "from_board", "overrun": "to_board"}  # others: both


@dataclass
class LineFault:
    """One kind of damage to bytes on their way.

    kind       flip: one bit of a byte; drop; duplicate; delay: by ``seconds``; mute: all are lost;
               overrun: of the bytes within ``window`` seconds only the first ``limit`` arrive
    rate       the chance of a byte to be hit, drawn with ``seed``
    after      so many bytes pass first
    count      at most so many hits (0: no limit)
    """

    kind: str
    rate: float = 1.0
    seed: int = 0
    after: int = 0
    count: int = 0
    seconds: float = 0.1
    window: float = 0.01
    limit: int = 64
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in LINE_FAULTS:
            raise ValueError(f"line fault {self.kind!r} is not known; allowed: {', '.join(LINE_FAULTS)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate={self.rate!r} is not between 0 and 1")
        self._random = random.Random(self.seed)
        self._position = self._in_window = 0
        self._window_start = 0.0

    def pass_on(self, data: bytes, now: float) -> tuple[bytes, float]:
        """What is left of ``data`` at the time ``now``, and by how many seconds it comes later."""
        if self.kind == "overrun":
            return self._overrun(data, now), 0.0
        result = bytearray()
        late = 0.0
        for byte in data:
            if not self._hit():
                result.append(byte)
            elif self.kind == "flip":
                result.append(byte ^ 1 << self._random.randrange(8))
            elif self.kind == "duplicate":
                result += bytes((byte, byte))
            elif self.kind == "delay":
                result.append(byte)
                late = self.seconds
        return bytes(result), late

    def _hit(self) -> bool:
        self._position += 1
        if self._position <= self.after or 0 < self.count <= self.hits:
            return False
        hit = self._random.random() < self.rate
        self.hits += hit
        return hit

    def _overrun(self, data: bytes, now: float) -> bytes:
        if now - self._window_start > self.window:
            self._window_start, self._in_window = now, 0
        room = max(self.limit - self._in_window, 0)
        self._in_window += len(data)
        self.hits += max(len(data) - room, 0)
        return data[:room]


class DamagedDirection:
    """One direction of a line with its faults, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: list[LineFault] = []

    def add(self, fault: LineFault) -> None:
        """From now on this fault strikes, from its beginning, together with those before it."""
        self._faults.append(replace(fault))

    def heal(self) -> None:
        """No faults from now on."""
        self._faults = []

    @property
    def hits(self) -> int:
        """How many bytes the present faults have hit."""
        return sum(fault.hits for fault in self._faults)

    def damage(self, data: bytes, now: float) -> tuple[bytes, float]:
        """The bytes that arrive, and by how many seconds they come later."""
        late = 0.0
        for fault in tuple(self._faults):
            data, more = fault.pass_on(data, now)
            late += more
        return data, late


def break_line(
    directions: dict[str, DamagedDirection], kind: str, direction: str = "", **how: object
) -> None:
    """Add a fault to one direction or both; without ``direction`` to where such a fault is usual.

    ``ValueError`` or ``TypeError`` for what makes no sense.
    """
    if direction not in (*DIRECTIONS, "both", ""):
        raise ValueError(f"direction={direction!r}; allowed: {', '.join(DIRECTIONS)}, both")
    direction = direction or _USUAL.get(kind, "both")
    for name, damaged in directions.items():
        if direction in (name, "both"):
            damaged.add(LineFault(kind, **how))  # type: ignore[arg-type]  # names and values from outside
