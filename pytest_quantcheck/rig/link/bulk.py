"""Bulk data in a window of frames, each acknowledged by itself (LINK.md, sections 3 and 4)."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from pytest_quantcheck.rig.link.frame import EMPTY_FRAME, Frame
from pytest_quantcheck.rig.link.line import Line, check_running
from pytest_quantcheck.rig.messages.numbers import REPLY, Kind


@dataclass
class _Sent:
    """A frame that carries the bytes ``start`` to ``stop``."""

    frame: Frame
    start: int
    stop: int
    at: float

    def holds(self, start: int, stop: int) -> bool:
        """Does it carry these bytes?"""
        return self.start <= start and stop <= self.stop


class BulkTransfer:
    """Sends ``data`` as DATA frames of at most ``chunk`` bytes, ``window`` of them under way at a time.

    An acknowledgement that overtakes another means that the other frame was lost: the device works
    in order. What was lost is sent again, in smaller frames where the line spoils long ones.
    """

    def __init__(self, line: Line, data: bytes, *, chunk: int, window: int) -> None:
        self._line = line
        self._data = data
        self._chunk = chunk
        self._window = window
        self._todo = deque([(0, len(data))] if data else [])
        self._waiting: dict[int, _Sent] = {}  # in the order of sending
        self._given_up: dict[int, _Sent] = {}

    def run(self, deadline: float, limit: float) -> None:
        """Until all is acknowledged. ``deadline``: seconds without progress; ``limit``: in all."""
        line = self._line
        line.statistics.payload_bytes += len(self._data)
        began = heard = time.monotonic()
        while self._todo or self._waiting:
            while self._todo and len(self._waiting) < self._window:
                self._send_piece()
            oldest, on_line = next(iter(self._waiting.values())), self._seconds_on_line()
            due = oldest.at + line.pace.wait + on_line
            damaged = line.statistics.crc_errors
            answer = line.receive(min(due, heard + deadline))
            now = time.monotonic()
            if answer is not None:
                check_running(answer, Kind.DATA)
                if self._acknowledged(answer, now, on_line) or self._acknowledged_late(answer, now):
                    heard = now
            elif len(self._waiting) == 1 and line.statistics.crc_errors != damaged:
                self._give_up([oldest])  # its acknowledgement was the one that came damaged
            elif now >= due:
                due_too = oldest.at + now - due
                self._give_up([each for each in self._waiting.values() if each.at <= due_too], silently=True)
            if now - heard > deadline:
                raise line.silence(Kind.DATA, deadline)
            if now - began > limit:
                raise line.too_long(Kind.DATA, now - began)

    def _send_piece(self) -> None:
        """Send the first bytes of what is still to do, as many as the line bears."""
        start, end = self._todo.popleft()
        stop = min(end, start + self._line.pace.payload(self._chunk))
        if stop < end:
            self._todo.appendleft((stop, end))
        payload = start.to_bytes(4, "little") + self._data[start:stop]
        frame = Frame(Kind.DATA, self._line.next_sequence(), payload)
        self._waiting[frame.sequence] = _Sent(frame, start, stop, self._line.send(frame))

    def _seconds_on_line(self) -> float:
        """The time that all frames under way and their acknowledgements take."""
        sizes = (len(each.frame.payload) + 2 * EMPTY_FRAME for each in self._waiting.values())
        return self._line.seconds(sum(sizes))

    def _acknowledged(self, answer: Frame, now: float, on_line: float) -> bool:
        """Whether ``answer`` acknowledges a frame under way; older ones are lost then."""
        sent = self._waiting.get(answer.sequence)
        if sent is None or not self._line.settles(answer, sent.frame):
            return False
        order = list(self._waiting.values())
        self._give_up(order[: order.index(sent)])
        del self._waiting[answer.sequence]
        self._line.pace.answered(max(0.0, now - sent.at - on_line))
        return True

    def _acknowledged_late(self, answer: Frame, now: float) -> bool:
        """Whether ``answer`` acknowledges a frame that was given up: its bytes have arrived all the same."""
        if answer.type != Kind.DATA | REPLY or answer.sequence not in self._given_up:
            return False
        late = self._given_up.pop(answer.sequence)
        self._line.pace.late(now - late.at)
        self._todo = deque(each for each in self._todo if not late.holds(*each))
        self._waiting = {
            number: each for number, each in self._waiting.items() if not late.holds(each.start, each.stop)
        }
        return True

    def _give_up(self, lost: list[_Sent], *, silently: bool = False) -> None:
        """These frames are lost: their bytes are to do again."""
        for each in reversed(lost):
            del self._waiting[each.frame.sequence]
            self._given_up[each.frame.sequence] = each
            self._todo.appendleft((each.start, each.stop))
            self._line.pace.lost(silently=silently)
            self._line.expect_late(Kind.DATA, each.frame.sequence, 1)
            self._line.statistics.resent += 1
