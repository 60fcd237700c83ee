"""Requests over a line: sequence numbers, resending, BUSY; a window for bulk data.

A lost or flipped byte costs a resend, never a wrong payload; every wait has a deadline.
``firmware/LINK.md`` is normative. What the payloads mean is in ``messages/``.
"""

from __future__ import annotations

import time

from pytest_quantcheck.rig.link.bulk import BulkTransfer
from pytest_quantcheck.rig.link.frame import EMPTY_FRAME, FULL_FRAME, Frame
from pytest_quantcheck.rig.link.frame_log import LogStream
from pytest_quantcheck.rig.link.line import Line, check_running
from pytest_quantcheck.rig.link.statistics import LinkStatistics
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX, Kind
from pytest_quantcheck.rig.protocols.transport import Transport

_PATIENCE = 0.25  # silence after which a request is sent again, besides the time on the line
_QUIET_PATIENCE = 5.0  # the same while the device counts, before a run's length is known


class Link:
    """One host's end of a link; not for two threads at once.

    ``transport`` reads with a short time-out of its own. ``log`` takes a line per frame. All methods
    raise ``RigFault``: ``link`` when nothing sensible comes back in time, ``crash`` when the device
    restarted, ``protocol`` (a ``DeviceError``) when it refused.
    """

    def __init__(
        self, transport: Transport, *, log: LogStream | None = None, patience: float = _PATIENCE
    ) -> None:
        self.line = Line(transport, log, patience)
        self._longest: dict[int, float] = {}
        self._largest: dict[int, int] = {}

    @property
    def statistics(self) -> LinkStatistics:
        """What went over the line so far."""
        return self.line.statistics

    @property
    def last_heard(self) -> float:
        """When the last whole frame came, by the monotonic clock."""
        return self.line.last_heard

    @property
    def baudrate(self) -> int:
        """The host's rate; ``BASE_BAUD`` for a transport that has none."""
        return self.line.baudrate

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        self.line.baudrate = rate

    @property
    def patience(self) -> float:
        """Seconds of silence after which a request is sent again, besides the time on the line."""
        return self.line.pace.patience

    def payload(self, limit: int = PAYLOAD_MAX) -> int:
        """How many bytes a frame should carry now: ``limit`` unless the line spoils long frames."""
        return self.line.pace.payload(limit)

    @property
    def log(self) -> LogStream | None:
        """Where the log goes; may be changed at any time."""
        return self.line.log

    @log.setter
    def log(self, stream: LogStream | None) -> None:
        self.line.log = stream

    def note(self, text: str) -> None:
        """A line of the caller's in the serial log."""
        self.line.note(text)

    def request(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        deadline: float = 5.0,
        limit: float = 600.0,
        quiet: bool = False,
        restart_expected: bool = False,
    ) -> bytes:
        """Send a request until it is answered; returns the answer's payload.

        ``deadline`` is in seconds and starts again at each BUSY, until ``limit`` seconds have gone by.
        ``quiet``: once the device said BUSY, send nothing for as long as such a request usually takes,
        because a byte that arrives would be counted. ``restart_expected``: a boot banner is no fault.
        """
        line = self.line
        frame = Frame(kind, line.next_sequence(), payload)
        line.statistics.payload_bytes += len(payload)
        on_line = line.seconds(len(payload) + self._largest.get(kind, FULL_FRAME))
        busy = False
        again = 0
        damaged = line.statistics.crc_errors
        began = heard = line.send(frame)
        due = began + line.pace.wait + on_line
        end = began + max(limit, deadline)
        while (now := time.monotonic()) < min(heard + deadline, end):
            if now >= due:
                silent = line.statistics.crc_errors == damaged
                damaged = line.statistics.crc_errors
                again += 1
                due = self._send_again(frame, silently=silent) + line.pace.wait + on_line
            answer = line.receive(min(heard + deadline, due))
            if line.statistics.crc_errors != damaged:  # perhaps that was the answer
                # From a device that counts it may have been BUSY: soon another one comes.
                due = min(due, time.monotonic() + (self.patience if busy and quiet else line.pace.gap))
            if answer is None:
                continue
            if not restart_expected:
                check_running(answer, kind)
            if line.settles(answer, frame):
                self._learn(frame, answer, time.monotonic() - (heard if busy else began), again, busy)
                line.expect_late(kind, frame.sequence, again)
                return answer.payload
            if answer.type == Kind.BUSY and answer.sequence == frame.sequence:
                busy = True
                heard = time.monotonic()
                damaged = line.statistics.crc_errors
                due = heard + (self._quiet_patience(kind) if quiet else self.patience) + on_line
        if now >= end:
            raise line.too_long(kind, end - began)
        raise line.silence(kind, deadline, busy=busy)

    def send_bulk(
        self, data: bytes, *, chunk: int, window: int, deadline: float = 5.0, limit: float = 600.0
    ) -> None:
        """Send ``data`` as DATA frames of at most ``chunk`` bytes, ``window`` of them under way at a time.

        ``deadline``: seconds without progress. ``limit``: seconds in all, besides four times those that the
        bytes take on the line.
        """
        whole = limit + 4 * self.line.seconds(len(data))
        BulkTransfer(self.line, data, chunk=chunk, window=window).run(deadline, whole)

    def close(self) -> None:
        """Close the transport."""
        self.line.close()

    def _send_again(self, frame: Frame, *, silently: bool) -> float:
        self.line.pace.lost(silently=silently)
        self.statistics.resent += 1
        return self.line.send(frame, "again")

    def _learn(self, request: Frame, answer: Frame, seconds: float, again: int, busy: bool) -> None:
        """What an answer says about the line and about the kind of its request."""
        kind, size = request.type, len(answer.payload)
        self.statistics.payload_bytes += size
        self._largest[kind] = max(self._largest.get(kind, 0), size + EMPTY_FRAME)
        if again:
            return  # nobody knows which of the frames it answers
        if busy:
            self._longest[kind] = max(self._longest.get(kind, 0.0), seconds)
        else:
            on_line = self.line.seconds(len(request.payload) + size + 2 * EMPTY_FRAME)
            self.line.pace.answered(max(0.0, seconds - on_line))

    def _quiet_patience(self, kind: int) -> float:
        """How long to keep quiet after BUSY: well beyond what such a request has needed so far."""
        longest = self._longest.get(kind)
        return _QUIET_PATIENCE if longest is None else min(_QUIET_PATIENCE, 4 * (self.patience + longest))
