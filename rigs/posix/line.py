"""A line that breaks on purpose: a transport that flips, drops, doubles and delays the bytes of another."""

from __future__ import annotations

import random
import time
from collections import deque
from itertools import groupby

from pytest_quantcheck.rig.board import Transport

FAULTS = ("flip", "drop", "duplicate", "delay")
_DELAY_SECONDS = 0.03


class FaultyLine:
    """Each byte, in both directions, meets a fault with the probability that ``rates`` names for it.

    The same seed and the same bytes give the same faults. A delayed byte holds back all that come
    behind it, as on a wire.
    """

    def __init__(self, transport: Transport, *, seed: int, **rates: float) -> None:
        unknown = sorted(set(rates) - set(FAULTS))
        if unknown:
            raise ValueError(f"fault {unknown[0]!r} is not known; allowed: {', '.join(FAULTS)}")
        self.rates = rates
        self.faults = 0
        self._transport = transport
        self._random = random.Random(seed)
        self._held: deque[tuple[float, int]] = deque()

    def write(self, data: bytes) -> int:
        for due, together in groupby(self._spoil(data), key=lambda each: each[0]):
            time.sleep(max(0.0, due - time.monotonic()))
            self._transport.write(bytes(byte for _, byte in together))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        if not self.in_waiting:
            data = self._transport.read(1)
            waiting = int(getattr(self._transport, "in_waiting", 0)) if data else 0
            if waiting:
                data += self._transport.read(waiting)
            self._held.extend(self._spoil(data))
        return bytes(self._held.popleft()[1] for _ in range(min(size, self.in_waiting)))

    @property
    def in_waiting(self) -> int:
        """Bytes that have come through."""
        now = time.monotonic()
        for count, (due, _) in enumerate(self._held):
            if due > now:
                return count
        return len(self._held)

    def close(self) -> None:
        self._transport.close()

    def _spoil(self, data: bytes) -> list[tuple[float, int]]:
        """What becomes of ``data``: when each byte is due, and the byte."""
        passed: list[tuple[float, int]] = []
        due = time.monotonic()
        for byte in data:
            fault = self._fault()
            if fault == "delay":
                due += _DELAY_SECONDS
            if fault == "flip":
                byte ^= 1 << self._random.randrange(8)
            if fault != "drop":
                passed += [(due, byte)] * (2 if fault == "duplicate" else 1)
        return passed

    def _fault(self) -> str:
        for name, rate in self.rates.items():
            if self._random.random() < rate:
                self.faults += 1
                return name
        return ""
