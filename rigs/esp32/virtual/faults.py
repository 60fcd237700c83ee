"""Misbehaviour of the serial line: bytes that flip, vanish, come twice or come late, repeatably by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

KINDS = ("flip", "drop", "duplicate", "delay", "mute")


@dataclass(frozen=True)
class LineFault:
    """One fault of one direction. ``rate`` is the chance per byte (``delay``: per chunk, of ``seconds``).

    It begins after ``after`` bytes and ends when it has struck ``count`` times (0: never).
    """

    kind: str
    rate: float = 1.0
    seed: int = 0
    after: int = 0
    count: int = 0
    seconds: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"line fault {self.kind!r} is not known; allowed: {', '.join(KINDS)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate={self.rate!r} is not between 0 and 1")


class FaultyLine:
    """One direction of the line: ``damage`` is what arrives of what was sent, and how late."""

    def __init__(self) -> None:
        self._faults: list[tuple[LineFault, random.Random]] = []
        self._seen: list[int] = []
        self._struck: list[int] = []

    def add(self, fault: LineFault) -> None:
        """From now on this fault is active, together with those before it."""
        self._faults.append((fault, random.Random(fault.seed)))
        self._seen.append(0)
        self._struck.append(0)

    def heal(self) -> None:
        """No faults from now on."""
        self._faults, self._seen, self._struck = [], [], []

    def damage(self, data: bytes) -> tuple[bytes, float]:
        """The bytes that arrive and the seconds to wait before."""
        wait = 0.0
        for number, (fault, chance) in enumerate(self._faults):
            if fault.kind == "delay":
                if self._strikes(number, fault, chance, len(data)):
                    wait += fault.seconds
            else:
                data = b"".join(self._byte(number, fault, chance, byte) for byte in data)
        return data, wait

    def _byte(self, number: int, fault: LineFault, chance: random.Random, byte: int) -> bytes:
        if not self._strikes(number, fault, chance, 1):
            return bytes([byte])
        if fault.kind == "flip":
            return bytes([byte ^ 1 << chance.randrange(8)])
        return bytes([byte, byte]) if fault.kind == "duplicate" else b""

    def _strikes(self, number: int, fault: LineFault, chance: random.Random, size: int) -> bool:
        self._seen[number] += size
        if self._seen[number] <= fault.after or (fault.count and self._struck[number] >= fault.count):
            return False
        if chance.random() >= fault.rate:
            return False
        self._struck[number] += 1
        return True
