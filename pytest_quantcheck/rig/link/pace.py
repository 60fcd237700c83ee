"""How much a frame should carry and how long to wait for its answer, learned from what the line does.

A clean line is left alone: full frames, and a fixed patience. Only a line that loses frames is adapted to.
"""

from __future__ import annotations

import math

_OVERHEAD = 24  # bytes on the line besides the payload: a frame's and its acknowledgement's
_PAYLOAD_MIN = 32
_MEMORY_BYTES = 1 << 16  # so much traffic later a loss is forgotten
_SUSPICIOUS = 1.5  # remembered losses from which on the line is taken to be a bad one
_LONGEST = 3  # times the patience
_SOONEST = 0.02  # below this a host's scheduler decides


class Pace:
    """The state of one link. ``patience``: seconds to wait at first.

    Payload: with losses at random, frames that cost ``h`` bytes besides n bytes of payload get through
    with the chance exp(-p (n + h)), and n / (n + h) of that is worth something: best at n = sqrt(h / p).
    Waiting: smoothed round trip and four deviations, doubled after each silence until an answer comes to
    a frame that was sent once (RFC 6298; Karn and Partridge, SIGCOMM 1987). On a suspected line at most
    ``patience`` (what comes late there was held up by a fault), on others at least that.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._losses = 0.0
        self._proven = 0.0  # those of them that were seen to be lost
        self._bytes = 0.0
        self._round_trip: float | None = None
        self._deviation = 0.0
        self._backoff = 1

    @property
    def loss_rate(self) -> float:
        """Estimated chance of a byte to spoil its frame."""
        return self._losses / self._bytes if self._bytes else 0.0

    @property
    def suspects(self) -> bool:
        """Whether frames have been lost of late, beyond doubt."""
        return self._proven >= _SUSPICIOUS

    @property
    def wait(self) -> float:
        """Seconds to wait for an answer, besides the time that frames take on the line."""
        usual = self._usual
        if self.suspects:
            known = self._round_trip is not None
            return min(max(usual, _SOONEST) * self._backoff, self.patience) if known else self.patience
        return min(max(usual, self.patience) * self._backoff, _LONGEST * self.patience)

    @property
    def gap(self) -> float:
        """Seconds after a damaged frame in which the rest of it, or another frame, may still come."""
        return min(max(self._usual, _SOONEST), self.patience)

    @property
    def _usual(self) -> float:
        return self._round_trip + 4 * self._deviation if self._round_trip is not None else 0.0

    def payload(self, limit: int) -> int:
        """The best number of bytes for a frame that may carry ``limit``."""
        if self._losses < _SUSPICIOUS:
            return limit
        return min(limit, max(_PAYLOAD_MIN, int(math.sqrt(_OVERHEAD / self.loss_rate))))

    def passed(self, size: int) -> None:
        """``size`` bytes have gone over the line."""
        keep = math.exp(-size / _MEMORY_BYTES)
        self._bytes = self._bytes * keep + size
        self._losses *= keep
        self._proven *= keep

    def lost(self, *, silently: bool = False) -> None:
        """A frame did not come through. ``silently``: all that shows it is that no answer came.

        Then frames get smaller, but nobody gets impatient: a slow device is silent, too.
        """
        self._losses += 1
        if silently:
            self._backoff = min(2 * self._backoff, 64)
        else:
            self._proven += 1

    def late(self, seconds: float) -> None:
        """The answer to a frame that was given up came after so long: it was not lost."""
        self._losses = max(0.0, self._losses - 1)
        self.answered(seconds)

    def answered(self, seconds: float) -> None:
        """The answer to a frame sent once took so long, without its time on the line."""
        self._backoff = 1
        if self._round_trip is None:
            self._round_trip, self._deviation = seconds, seconds / 2
            return
        self._deviation += (abs(seconds - self._round_trip) - self._deviation) / 4
        self._round_trip += (seconds - self._round_trip) / 8
