"""Frames over a byte stream: what is sent and what comes back, counted and logged."""

from __future__ import annotations

import random
import time
from collections import Counter, deque

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.link.frame import FULL_FRAME, Frame
from pytest_quantcheck.rig.link.frame_log import FrameLog, LogStream
from pytest_quantcheck.rig.link.pace import Pace
from pytest_quantcheck.rig.link.statistics import LinkStatistics
from pytest_quantcheck.rig.messages.fields import MessageError
from pytest_quantcheck.rig.messages.notices import Refusal
from pytest_quantcheck.rig.messages.numbers import REPLY, Kind, kind_name
from pytest_quantcheck.rig.protocols.transport import Transport

BASE_BAUD = 115200
_BITS_PER_BYTE = 10  # 8N1
_WRITE_SECONDS = 5.0
_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_SHORTEST_TEXT = 8  # shorter pieces of a damaged frame may look like text by chance


class Line:
    """One host's end of a line. Where ``transport`` has ``in_waiting`` and ``baudrate`` (pyserial), they are
    used. All methods raise ``RigFault``.
    """

    def __init__(self, transport: Transport, log: LogStream | None, patience: float) -> None:
        self.statistics = LinkStatistics()
        self.pace = Pace(patience)
        self.last_heard = time.monotonic()
        self.transport = transport
        self._log = FrameLog(log) if log is not None else None
        self._received = bytearray()
        self._frames: deque[Frame] = deque()
        self._owed: Counter[tuple[int, int]] = Counter()
        self.sequence = random.randrange(256)
        if getattr(transport, "write_timeout", 0) is None:
            try:
                transport.write_timeout = _WRITE_SECONDS  # type: ignore[attr-defined]
            except NotImplementedError:  # rfc2217://, whose socket has a timeout of its own
                transport.write_timeout = None  # type: ignore[attr-defined]
            except OSError as error:  # pyserial configures the port anew: it may have gone
                raise self._broken(error) from error

    @property
    def baudrate(self) -> int:
        """The host's rate; ``BASE_BAUD`` for a transport that has none."""
        return int(getattr(self.transport, "baudrate", BASE_BAUD))

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        if hasattr(self.transport, "baudrate"):
            try:
                self.transport.baudrate = rate
            except (OSError, ValueError) as error:
                raise RigFault("link", f"this host's port cannot do {rate} baud: {error}") from error
        self.note(f"-- {rate} baud")

    @property
    def log(self) -> LogStream | None:
        """Where the log goes; may be changed at any time."""
        return self._log.stream if self._log is not None else None

    @log.setter
    def log(self, stream: LogStream | None) -> None:
        self._log = FrameLog(stream) if stream is not None else None

    def note(self, text: str) -> None:
        """A line of the caller's in the serial log."""
        if self._log is not None:
            self._log.note(text)

    def seconds(self, size: int) -> float:
        """How long so many bytes take."""
        return size * _BITS_PER_BYTE / self.baudrate

    def next_sequence(self) -> int:
        """The sequence number of a new request."""
        self.sequence = (self.sequence + 1) % 256
        return self.sequence

    def send(self, frame: Frame, note: str = "") -> float:
        """Write a frame; returns when that was done."""
        coded = frame.encode()
        if self._log is not None:
            self._log.frame("->", frame, note)
        try:
            self.transport.write(coded)
        except OSError as error:
            raise self._broken(error) from error
        self.statistics.frames_sent += 1
        self.statistics.bytes_sent += len(coded)
        self.pace.passed(len(coded))
        return time.monotonic()

    def receive(self, until: float) -> Frame | None:
        """The next whole frame; None when none came until then, or a damaged one."""
        damaged = self.statistics.crc_errors
        while not self._frames:
            if time.monotonic() >= until or self.statistics.crc_errors != damaged:
                return None
            self._read()
        return self._frames.popleft()

    def settles(self, answer: Frame, request: Frame) -> bool:
        """Does ``answer`` answer ``request``? ``DeviceError`` when it refuses it."""
        if answer.sequence == request.sequence:
            if answer.type == Kind.ERROR:
                raise _refused(answer, request)
            if answer.type == Kind.BUSY:
                self.statistics.busy += 1
                return False
            if answer.type == request.type | REPLY:
                return True
        self._count_unasked(answer)
        return False

    def expect_late(self, kind: int, sequence: int, times: int) -> None:
        """So many answers to a request of this kind may still come: it was sent again."""
        if times:
            self._owed[kind | REPLY, sequence] = times

    def _count_unasked(self, frame: Frame) -> None:
        if frame.type == Kind.BANNER:
            self.statistics.banners += 1
        elif self._owed[frame.type, frame.sequence] > 0:
            self._owed[frame.type, frame.sequence] -= 1
            self.statistics.repeated += 1
        else:
            self.statistics.stale += 1

    def silence(self, kind: int, deadline: float, *, busy: bool = False) -> RigFault:
        """The fault of a device that did not answer in time."""
        counts = self.statistics
        seen = (
            f"so far {counts.frames_received} frames came, {counts.crc_errors} damaged, "
            f"{counts.resent} were sent again"
        )
        state = " after it had said BUSY" if busy else ""
        self.note(f"-- no answer to {kind_name(kind)} for {deadline:g} s")
        return RigFault("link", f"no answer to {kind_name(kind)} for {deadline:g} s{state}; {seen}")

    def too_long(self, kind: int, seconds: float) -> RigFault:
        """The fault of a device that never comes to an end: it says BUSY, or takes a few bytes, for ever."""
        self.note(f"-- {kind_name(kind)} is not done after {seconds:.1f} s")
        seen = (
            f"{kind_name(kind)} is not done after {seconds:.1f} s: the device says BUSY or goes on too slowly"
        )
        more = "A model that needs longer gets it by --qc-run-timeout (pytest) or --run-timeout (quantcheck)"
        return RigFault("link", seen if kind == Kind.HELLO else f"{seen}. {more}")

    def close(self) -> None:
        """Close the transport."""
        self.transport.close()

    def _read(self) -> None:
        try:
            data = self.transport.read(1)
            waiting = getattr(self.transport, "in_waiting", 0) if data else 0
            if waiting:
                data += self.transport.read(waiting)
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            return
        self.statistics.bytes_received += len(data)
        self.pace.passed(len(data))
        self._received += data
        *whole, rest = self._received.split(b"\0")
        if len(rest) > FULL_FRAME:  # no frame is so long, and what never ends must not be kept
            whole, rest = [*whole, rest], bytearray()
        self._received = rest
        for coded in whole:
            if coded:
                self._sort(bytes(coded))

    def _sort(self, coded: bytes) -> None:
        frame = Frame.decode(coded)
        if frame is None:
            if _is_text(coded):
                self.statistics.texts += 1
            else:
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


def _is_text(coded: bytes) -> bool:
    """Lines of ASCII. No frame of a device reads like that: its type is 0x80 or more."""
    return len(coded) >= _SHORTEST_TEXT and not coded.translate(None, _TEXT)


def check_running(answer: Frame, kind: int) -> None:
    """``RigFault`` (crash) for the banner of a device that has started again."""
    if answer.type == Kind.BANNER:
        raise RigFault("crash", f"the device restarted by itself while {kind_name(kind)} was running")


def _refused(answer: Frame, request: Frame) -> RigFault:
    try:
        refusal = Refusal.unpack(answer.payload)
    except MessageError as error:
        return RigFault("protocol", f"the device's ERROR cannot be right: {error}")
    if refusal.request != request.type:
        named = kind_name(refusal.request)
        return RigFault("protocol", f"the device refused {named}, but {kind_name(request.type)} was asked")
    return DeviceError(request.type, refusal.status, refusal.detail)
