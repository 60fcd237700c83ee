"""A line that breaks on purpose: a transport that damages what goes through another, repeatably by a seed.

It stands at the host's end and knows only bytes and the zeros between frames, so it serves every board.
"""

from __future__ import annotations

import random
import time
from collections import deque
from itertools import groupby
from typing import Any

from pytest_quantcheck.rig.protocols.transport import Transport

BYTE_FAULTS = ("flip", "drop", "duplicate", "delay")
FRAME_FAULTS = ("lose", "repeat", "swap", "cut", "overrun")
FAULTS = (*BYTE_FAULTS, *FRAME_FAULTS)
_DELAY_SECONDS = 0.03
_SETTINGS = ("baudrate", "write_timeout")
_OVERRUN_BYTES = 16  # what is lost while a FIFO is full


class FaultyLine:
    """Each byte and each frame, in both directions, meets a fault with the chance that ``rates`` names.

    Bytes: ``flip`` (one bit), ``drop``, ``duplicate``, ``delay`` (holds back all that come behind it, as
    on a wire). Frames: ``lose``, ``repeat``, ``swap`` (comes behind the next one), ``cut`` (its end
    is missing, the zero too), ``overrun`` (some bytes from a random place on are missing). The same
    seed and the same bytes give the same faults.
    """

    def __init__(self, transport: Transport, *, seed: int, **rates: float) -> None:
        unknown = sorted(set(rates) - set(FAULTS))
        if unknown:
            raise ValueError(f"fault {unknown[0]!r} is not known; allowed: {', '.join(FAULTS)}")
        self.faults = dict.fromkeys(FAULTS, 0)
        self._byte_rates = {name: rates[name] for name in BYTE_FAULTS if rates.get(name)}
        self._frame_rates = {name: rates[name] for name in FRAME_FAULTS if rates.get(name)}
        self._transport = transport
        self._random = random.Random(seed)
        self._to_board, self._from_board = _Direction(), _Direction()
        self._unplugged = False

    def break_bytes(self, **rates: float) -> None:
        """From now on bytes meet these faults."""
        self._byte_rates = rates

    def unplug(self) -> None:
        """From now on every use of the port fails, as when its cable is pulled."""
        self._unplugged = True

    def write(self, data: bytes) -> int:
        self._check()
        for due, together in groupby(self._spoil(data, self._to_board), key=lambda each: each[0]):
            time.sleep(max(0.0, due - time.monotonic()))
            self._transport.write(bytes(byte for _, byte in together))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        self._check()
        ready = self._from_board.ready
        if not self.in_waiting:
            data = self._transport.read(1)
            waiting = int(getattr(self._transport, "in_waiting", 0)) if data else 0
            if waiting:
                data += self._transport.read(waiting)
            ready.extend(self._spoil(data, self._from_board))
        return bytes(ready.popleft()[1] for _ in range(min(size, self.in_waiting)))

    def __getattr__(self, name: str) -> Any:
        if name not in _SETTINGS:  # what the other one does not have this one does not have
            raise AttributeError(name)
        return getattr(self._transport, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS:
            setattr(self._transport, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def in_waiting(self) -> int:
        """Bytes that have come through."""
        now = time.monotonic()
        ready = self._from_board.ready
        for count, (due, _) in enumerate(ready):
            if due > now:
                return count
        return len(ready)

    def close(self) -> None:
        self._transport.close()

    def _check(self) -> None:
        if self._unplugged:
            raise OSError("the cable was pulled")

    def _spoil(self, data: bytes, direction: _Direction) -> list[tuple[float, int]]:
        """What becomes of ``data``: when each byte is due, and the byte."""
        if self._frame_rates:
            data = b"".join(self._spoil_frame(frame, direction) for frame in direction.frames(data))
        passed: list[tuple[float, int]] = []
        due = time.monotonic()
        for byte in data:
            fault = self._fault(self._byte_rates)
            if fault == "delay":
                due += _DELAY_SECONDS
            if fault == "flip":
                byte ^= 1 << self._random.randrange(8)
            if fault != "drop":
                passed += [(due, byte)] * (2 if fault == "duplicate" else 1)
        return passed

    def _spoil_frame(self, frame: bytes, direction: _Direction) -> bytes:
        """What comes out in place of ``frame``, which stands between its zeros."""
        held, direction.held = direction.held, b""
        fault = self._fault(self._frame_rates)
        place = self._random.randrange(len(frame))
        if fault == "swap":
            direction.held = frame
            return held
        if fault == "overrun":
            frame = frame[:place] + frame[place + _OVERRUN_BYTES :]
        frame = {"lose": b"", "repeat": frame * 2, "cut": frame[:place]}.get(fault, frame)
        return frame + held

    def _fault(self, rates: dict[str, float]) -> str:
        for name, rate in rates.items():
            if self._random.random() < rate:
                self.faults[name] += 1
                return name
        return ""


class _Direction:
    """What is on its way in one direction."""

    def __init__(self) -> None:
        self.ready: deque[tuple[float, int]] = deque()
        self.held = b""
        self._begun = b""

    def frames(self, data: bytes) -> list[bytes]:
        """Whole frames, each with a zero before and behind."""
        *whole, self._begun = (self._begun + data).split(b"\0")
        return [b"\0" + frame + b"\0" for frame in whole if frame]
