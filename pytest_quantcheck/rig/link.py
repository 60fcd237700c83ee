"""Frames over a byte stream: COBS, CRC-32, sequence numbers, resending, a window for bulk data.

A lost or flipped byte costs a resend, never a wrong payload; every wait has a deadline.
``firmware/LINK.md`` is normative. What the payloads mean is in ``messages.py``.
"""

from __future__ import annotations

import random
import time
import zlib
from collections import deque
from dataclasses import asdict, dataclass
from typing import Protocol

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.board import Transport
from pytest_quantcheck.rig.messages import PAYLOAD_MAX, REPLY, STATUS_TEXT, Kind, Status
from pytest_quantcheck.rig.pace import Pace

FRAME_OVERHEAD = 6
BASE_BAUD = 115200
_BITS_PER_BYTE = 10  # 8N1
_PATIENCE = 0.25  # silence after which a request is sent again, besides the time on the line
_QUIET_PATIENCE = 5.0  # the same while the device counts, before a run's length is known
_BUSY_LIMIT = 600.0  # BUSY extends a deadline, but not for ever
_WRITE_SECONDS = 5.0
_FRAME_LINE_MAX = 1040
_EMPTY_FRAME = 9  # bytes on the line


class LogStream(Protocol):
    """Where a serial log goes: an open text file or anything with ``write``."""

    def write(self, text: str, /) -> object: ...


class DeviceError(RigFault):
    """The device answered ERROR: ``status``, its ``detail`` and the ``request`` say to what."""

    def __init__(self, request: int, status: int, detail: int) -> None:
        name = _name(request)
        text = STATUS_TEXT[Status(status)] if status in STATUS_TEXT else f"unknown status {status}"
        super().__init__("protocol", f"the device refused {name}: {text} (detail {detail})")
        self.request = request
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Frame:
    """What stands between two zero bytes, with its CRC checked and taken off."""

    type: int
    sequence: int
    payload: bytes

    def encode(self) -> bytes:
        """The frame as it stands on the line, with a zero before and behind."""
        body = bytes([self.type, self.sequence]) + self.payload
        return b"\0" + cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"

    @classmethod
    def decode(cls, coded: bytes) -> Frame | None:
        """The frame between two zeros; None when it is damaged."""
        body = cobs_decode(coded)
        if body is None or not FRAME_OVERHEAD <= len(body) <= PAYLOAD_MAX + FRAME_OVERHEAD:
            return None
        if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            return None
        return cls(body[0], body[1], body[2:-4])


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker, 1999): no zero, at most 1 byte in 254 more."""
    out = bytearray()
    for run in data.split(b"\0"):
        at = 0
        while len(run) - at >= 254:  # a full block stands for no zero
            out.append(255)
            out += run[at : at + 254]
            at += 254
        out.append(len(run) - at + 1)
        out += run[at:]
    return bytes(out)


def cobs_decode(coded: bytes) -> bytes | None:
    """The bytes that were encoded; None when ``coded`` is cut off or empty. It holds no zero."""
    out = bytearray()
    at = 0
    end = len(coded)
    if not end:
        return None
    while at < end:
        code = coded[at]
        stop = at + code
        if stop > end:
            return None
        out += coded[at + 1 : stop]
        at = stop
        if code != 255 and at < end:
            out.append(0)
    return bytes(out)


@dataclass
class LinkStatistics:
    """What went over the line. ``payload_bytes`` counts each payload once, however often it was sent."""

    frames_sent: int = 0
    frames_received: int = 0
    resent: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    payload_bytes: int = 0
    crc_errors: int = 0
    stale: int = 0
    busy: int = 0

    @property
    def bytes_on_line(self) -> int:
        """Both directions together."""
        return self.bytes_sent + self.bytes_received

    @property
    def efficiency(self) -> float:
        """Payload bytes per byte on the line, both directions together; resends lower it."""
        return self.payload_bytes / self.bytes_on_line if self.bytes_on_line else 0.0

    @property
    def resend_rate(self) -> float:
        """Share of the frames sent that had been sent before."""
        return self.resent / self.frames_sent if self.frames_sent else 0.0

    def summary(self) -> dict[str, float]:
        """All counts, and what follows from them, for a report."""
        return {
            **asdict(self),
            "resend_rate": round(self.resend_rate, 4),
            "efficiency": round(self.efficiency, 4),
        }


class FrameLog:
    """Writes frames as lines a person can read: seconds, direction, type, number, length, first bytes."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._start = time.monotonic()

    def frame(self, direction: str, frame: Frame, note: str = "") -> None:
        """``direction`` is ``->`` to the device or ``<-`` from it."""
        head = frame.payload[:24].hex(" ")
        more = " ..." if len(frame.payload) > 24 else ""
        self.note(
            f"{direction} {_name(frame.type):14} #{frame.sequence:<3} {len(frame.payload):4} B"
            f"{'  ' + note if note else ''}  {head}{more}".rstrip()
        )

    def noise(self, coded: bytes) -> None:
        """Bytes that are no frame; a boot ROM's text is shown as text."""
        text = coded[:200].decode("ascii", errors="replace")
        printable = sum(each.isprintable() or each.isspace() for each in text) > 0.9 * len(text)
        shown = repr(text.strip()) if printable else coded[:24].hex(" ")
        self.note(f"<- noise {len(coded)} B  {shown}")

    def note(self, text: str) -> None:
        """One line, with the seconds since the log was opened in front."""
        self._stream.write(f"{time.monotonic() - self._start:10.4f} {text}\n")


@dataclass
class _Sent:
    """A frame of a bulk transfer that is not acknowledged yet."""

    frame: Frame
    start: int
    stop: int
    at: float

    def holds(self, start: int, stop: int) -> bool:
        """Does it carry these bytes?"""
        return self.start <= start and stop <= self.stop


class Link:
    """One host's end of a link; not for two threads at once.

    ``transport`` reads with a short time-out of its own; where it has ``in_waiting`` and
    ``baudrate`` (pyserial), they are used. ``log`` takes a line per frame. All methods raise
    ``RigFault``: ``link`` when nothing sensible comes back in time, ``crash`` when the device
    restarted, ``protocol`` (a ``DeviceError``) when it refused.
    """

    def __init__(
        self, transport: Transport, *, log: LogStream | None = None, patience: float = _PATIENCE
    ) -> None:
        self.statistics = LinkStatistics()
        self._pace = Pace(patience)
        self.last_heard = time.monotonic()
        self._transport = transport
        self._log = FrameLog(log) if log is not None else None
        self._received = bytearray()
        self._frames: deque[Frame] = deque()
        self._sequence = random.randrange(256)
        self._longest: dict[int, float] = {}
        self._largest: dict[int, int] = {}
        if getattr(transport, "write_timeout", 0) is None:
            try:
                transport.write_timeout = _WRITE_SECONDS  # type: ignore[attr-defined]
            except OSError as error:  # pyserial configures the port anew: it may have gone
                raise self._broken(error) from error

    @property
    def baudrate(self) -> int:
        """The host's rate; ``BASE_BAUD`` for a transport that has none."""
        return int(getattr(self._transport, "baudrate", BASE_BAUD))

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        if hasattr(self._transport, "baudrate"):
            try:
                self._transport.baudrate = rate
            except (OSError, ValueError) as error:
                raise RigFault("link", f"this host's port cannot do {rate} baud: {error}") from error
        self.note(f"-- {rate} baud")

    @property
    def patience(self) -> float:
        """Seconds of silence after which a request is sent again, besides the time on the line."""
        return self._pace.patience

    def payload(self, limit: int = PAYLOAD_MAX) -> int:
        """How many bytes a frame should carry now: ``limit`` unless the line spoils long frames."""
        return self._pace.payload(limit)

    @property
    def log(self) -> LogStream | None:
        """Where the log goes; may be changed at any time."""
        return self._log._stream if self._log is not None else None

    @log.setter
    def log(self, stream: LogStream | None) -> None:
        self._log = FrameLog(stream) if stream is not None else None

    def note(self, text: str) -> None:
        """A line of the caller's in the serial log."""
        if self._log is not None:
            self._log.note(text)

    def request(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        deadline: float = 5.0,
        quiet: bool = False,
        restart_expected: bool = False,
    ) -> bytes:
        """Send a request until it is answered; returns the answer's payload.

        ``deadline`` is in seconds and starts again at each BUSY. ``quiet``: once the device said
        BUSY, send nothing for as long as such a request usually takes, because a byte that
        arrives would be counted. ``restart_expected``: a boot banner is no fault.
        """
        frame = Frame(kind, self._next_sequence(), payload)
        self.statistics.payload_bytes += len(payload)
        on_line = self._line_seconds(len(payload) + self._largest.get(kind, _FRAME_LINE_MAX))
        busy = False
        again = 0
        damaged = self.statistics.crc_errors
        began = heard = self._send(frame)
        due = began + self._pace.wait + on_line
        limit = began + max(_BUSY_LIMIT, deadline)
        while (now := time.monotonic()) < min(heard + deadline, limit):
            if now >= due:
                silent = self.statistics.crc_errors == damaged
                damaged = self.statistics.crc_errors
                again += 1
                due = self._send_again(frame, silently=silent) + self._pace.wait + on_line
            answer = self._receive(min(heard + deadline, due))
            if self.statistics.crc_errors != damaged:  # perhaps that was the answer
                # From a device that counts it may have been BUSY: soon another one comes.
                due = min(due, time.monotonic() + (self.patience if busy and quiet else self._pace.gap))
            if answer is None:
                continue
            if not restart_expected:
                _check_running(answer, kind)
            if self._settles(answer, frame):
                self._learn(frame, answer, time.monotonic() - (heard if busy else began), again, busy)
                return answer.payload
            if answer.type == Kind.BUSY and answer.sequence == frame.sequence:
                busy = True
                heard = time.monotonic()
                damaged = self.statistics.crc_errors
                due = heard + (self._quiet_patience(kind) if quiet else self._pace.patience) + on_line
        raise self._silence(kind, deadline, busy)

    def send_bulk(self, data: bytes, *, chunk: int, window: int, deadline: float = 5.0) -> None:
        """Send ``data`` as DATA frames of at most ``chunk`` bytes, ``window`` of them under way at a time.

        Each is acknowledged by itself. An acknowledgement that overtakes another means that the
        other frame was lost: the device works in order. What was lost is sent again, in smaller
        frames where the line spoils long ones. ``deadline``: seconds without progress.
        """
        todo = deque([(0, len(data))] if data else [])
        waiting: dict[int, _Sent] = {}  # in the order of sending
        given_up: dict[int, _Sent] = {}
        heard = time.monotonic()
        self.statistics.payload_bytes += len(data)
        while todo or waiting:
            while todo and len(waiting) < window:
                self._send_piece(data, chunk, todo, waiting)
            oldest = next(iter(waiting.values()))
            on_line = self._line_seconds(
                sum(len(each.frame.payload) + 2 * _EMPTY_FRAME for each in waiting.values())
            )
            due = oldest.at + self._pace.wait + on_line
            damaged = self.statistics.crc_errors
            answer = self._receive(min(due, heard + deadline))
            now = time.monotonic()
            lost: list[_Sent] = []
            silent = False
            if answer is not None:
                _check_running(answer, Kind.DATA)
                sent = waiting.get(answer.sequence)
                if sent is not None and self._settles(answer, sent.frame):
                    order = list(waiting.values())
                    lost = order[: order.index(sent)]
                    del waiting[answer.sequence]
                    heard = now
                    self._pace.answered(max(0.0, now - sent.at - on_line))
                elif answer.type == Kind.DATA | REPLY and (late := given_up.pop(answer.sequence, None)):
                    self._pace.late(now - late.at)
                    todo = deque(each for each in todo if not late.holds(*each))
                    waiting = {
                        n: each for n, each in waiting.items() if not late.holds(each.start, each.stop)
                    }
                    heard = now
            elif len(waiting) == 1 and self.statistics.crc_errors != damaged:
                lost = [oldest]  # its acknowledgement was the one that came damaged
            elif silent := now >= due:
                lost = [each for each in waiting.values() if each.at <= oldest.at + now - due]
            for each in reversed(lost):
                del waiting[each.frame.sequence]
                given_up[each.frame.sequence] = each
                todo.appendleft((each.start, each.stop))
                self._pace.lost(silently=silent)
                self.statistics.resent += 1
            if now - heard > deadline:
                raise self._silence(Kind.DATA, deadline, False)

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _send_piece(
        self, data: bytes, chunk: int, todo: deque[tuple[int, int]], waiting: dict[int, _Sent]
    ) -> None:
        """Send the first bytes of what is still to do, as many as the line bears."""
        start, end = todo.popleft()
        stop = min(end, start + self._pace.payload(chunk))
        if stop < end:
            todo.appendleft((stop, end))
        frame = Frame(Kind.DATA, self._next_sequence(), start.to_bytes(4, "little") + data[start:stop])
        waiting[frame.sequence] = _Sent(frame, start, stop, self._send(frame))

    def _send_again(self, frame: Frame, *, silently: bool) -> float:
        self._pace.lost(silently=silently)
        self.statistics.resent += 1
        return self._send(frame, "again")

    def _learn(self, request: Frame, answer: Frame, seconds: float, again: int, busy: bool) -> None:
        """What an answer says about the line and about the kind of its request."""
        kind, size = request.type, len(answer.payload)
        self.statistics.payload_bytes += size
        self._largest[kind] = max(self._largest.get(kind, 0), size + _EMPTY_FRAME)
        if again:
            return  # nobody knows which of the frames it answers
        if busy:
            self._longest[kind] = max(self._longest.get(kind, 0.0), seconds)
        else:
            on_line = self._line_seconds(len(request.payload) + size + 2 * _EMPTY_FRAME)
            self._pace.answered(max(0.0, seconds - on_line))

    def _settles(self, answer: Frame, request: Frame) -> bool:
        """Does ``answer`` answer ``request``? Raises for ERROR."""
        if answer.sequence == request.sequence:
            if answer.type == Kind.ERROR and len(answer.payload) == 8:
                raise DeviceError(
                    request.type,
                    int.from_bytes(answer.payload[:2], "little"),
                    int.from_bytes(answer.payload[4:], "little"),
                )
            if answer.type == Kind.BUSY:
                self.statistics.busy += 1
                return False
            if answer.type == request.type | REPLY:
                return True
        self.statistics.stale += 1
        return False

    def _quiet_patience(self, kind: int) -> float:
        """How long to keep quiet after BUSY: well beyond what such a request has needed so far."""
        longest = self._longest.get(kind)
        return _QUIET_PATIENCE if longest is None else min(_QUIET_PATIENCE, 4 * (self.patience + longest))

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % 256
        return self._sequence

    def _line_seconds(self, size: int) -> float:
        return size * _BITS_PER_BYTE / self.baudrate

    def _send(self, frame: Frame, note: str = "") -> float:
        """Write a frame; returns when that was done."""
        coded = frame.encode()
        if self._log is not None:
            self._log.frame("->", frame, note)
        try:
            self._transport.write(coded)
        except OSError as error:
            raise self._broken(error) from error
        self.statistics.frames_sent += 1
        self.statistics.bytes_sent += len(coded)
        self._pace.passed(len(coded))
        return time.monotonic()

    def _receive(self, until: float) -> Frame | None:
        """The next whole frame; None when none came until then, or a damaged one."""
        damaged = self.statistics.crc_errors
        while not self._frames:
            if time.monotonic() >= until or self.statistics.crc_errors != damaged:
                return None
            self._read()
        return self._frames.popleft()

    def _read(self) -> None:
        try:
            data = self._transport.read(1)
            waiting = getattr(self._transport, "in_waiting", 0) if data else 0
            if waiting:
                data += self._transport.read(waiting)
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            return
        self.statistics.bytes_received += len(data)
        self._pace.passed(len(data))
        self._received += data
        *whole, rest = self._received.split(b"\0")
        self._received = rest
        for coded in whole:
            if coded:
                self._sort(bytes(coded))

    def _sort(self, coded: bytes) -> None:
        frame = Frame.decode(coded)
        if frame is None:
            self.statistics.crc_errors += 1
            if self._log is not None:
                self._log.noise(coded)
            return
        self.last_heard = time.monotonic()
        self.statistics.frames_received += 1
        if self._log is not None:
            self._log.frame("<-", frame)
        self._frames.append(frame)

    def _broken(self, error: OSError) -> RigFault:
        self.note(f"-- {error}")
        return RigFault("link", f"the port broke: {error}")

    def _silence(self, kind: int, deadline: float, busy: bool) -> RigFault:
        counts = self.statistics
        seen = (
            f"so far {counts.frames_received} frames came, {counts.crc_errors} damaged, "
            f"{counts.resent} were sent again"
        )
        state = " after it had said BUSY" if busy else ""
        self.note(f"-- no answer to {_name(kind)} for {deadline:g} s")
        return RigFault("link", f"no answer to {_name(kind)} for {deadline:g} s{state}; {seen}")


def _check_running(answer: Frame, kind: int) -> None:
    if answer.type == Kind.BANNER:
        raise RigFault("crash", f"the device restarted by itself while {_name(kind)} was in work")


def _name(kind: int) -> str:
    if kind in list(Kind):
        return Kind(kind).name
    if kind ^ REPLY in list(Kind):
        return f"{Kind(kind ^ REPLY).name} reply"
    return f"type {kind:#04x}"
