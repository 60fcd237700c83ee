"""Lies: all the ways in which what a board sends can be wrong, made from the messages' own fields.

A lying line stands between the host and a real board, so everything but the lie is true.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_quantcheck.rig.link.frame import Frame
from pytest_quantcheck.rig.messages.answers import ANSWERS, NOTICES
from pytest_quantcheck.rig.messages.fields import Reader, Span
from pytest_quantcheck.rig.messages.message import Message
from pytest_quantcheck.rig.messages.numbers import PAYLOAD_MAX, REPLY, Kind
from pytest_quantcheck.rig.messages.run import OperatorResult, ReadAnswer
from pytest_quantcheck.rig.protocols.transport import Transport

_RECORDS = 2  # what READ reads


def _name(kind: Kind, what: int = 0) -> str:
    return f"{kind.name} of records" if (kind, what) == (Kind.READ, _RECORDS) else kind.name


MESSAGES: Mapping[str, type[Message]] = {
    **{_name(kind): message for kind, message in {**ANSWERS, **NOTICES}.items()},
    _name(Kind.READ, _RECORDS): OperatorResult,
}
"""Everything a board may say, by name. ECHO is not there: it says what it was told."""

Told = Mapping[str, bytes]
"""What an honest board said, by the name of the message: an example of each."""


@dataclass(frozen=True)
class Lie:
    """What is wrong about the message called ``message`` (``HELLO``, ``READ of records``, ``BUSY``).

    ``field`` says ``how`` (a key of ``VALUES``); without a field ``how`` is a key of ``SHAPES``, or a
    message that is sent though nobody asked. ``late``: the first one is true.
    """

    message: str
    how: str
    field: str = ""
    late: bool = False

    def __str__(self) -> str:
        what = f"{self.message}.{self.field} = {self.how}" if self.field else f"{self.message}: {self.how}"
        return f"{what}, but not at first" if self.late else what


VALUES: Mapping[str, Callable[[int], bytes]] = {
    "zero": lambda size: bytes(size),
    "one": lambda size: (1).to_bytes(size, "little"),
    "two": lambda size: (2).to_bytes(size, "little"),
    "most": lambda size: b"\xff" * size,
    "negative": lambda size: bytes(size - 1) + b"\x80",
}


@dataclass
class _Moment:
    """A frame on its way to the host, and what came before it."""

    frame: Frame
    held: list[Frame]

    def with_payload(self, payload: bytes) -> Frame:
        return Frame(self.frame.type, self.frame.sequence, payload)

    def renumbered(self, step: int) -> Frame:
        return Frame(self.frame.type, (self.frame.sequence + step) % 256, self.frame.payload)

    @property
    def busy(self) -> Frame:
        return Frame(Kind.BUSY, self.frame.sequence, bytes(4))


def _hold(moment: _Moment) -> list[Frame]:
    """Each comes behind the next one."""
    before, moment.held[:] = moment.held[:], [moment.frame]
    return before


ENDLESS = "without end"
BUSY_FOR_EVER = "BUSY for ever"
SHAPES: Mapping[str, Callable[[_Moment], list[Frame]]] = {
    "too short": lambda now: [now.with_payload(now.frame.payload[:-1])],
    "empty": lambda now: [now.with_payload(b"")],
    "too long": lambda now: [now.with_payload((now.frame.payload + b"\1")[:PAYLOAD_MAX])],
    "far too long": lambda now: [now.with_payload(now.frame.payload.ljust(PAYLOAD_MAX, b"\1"))],
    "longer than a frame": lambda now: [now.with_payload(now.frame.payload.ljust(2 * PAYLOAD_MAX, b"\1"))],
    "of another request": lambda now: [now.renumbered(-1)],
    "of a later request": lambda now: [now.renumbered(1)],
    "in the wrong order": _hold,
    "three times": lambda now: [now.frame] * 3,
    "missing": lambda now: [],
    ENDLESS: lambda now: [now.frame],
    BUSY_FOR_EVER: lambda now: [now.busy],
}


def spans(message: str, payload: bytes) -> list[Span]:
    """Where in the payload of a message each of its fields is."""
    reader = Reader(payload)
    if message == _name(Kind.READ, _RECORDS):
        reader.take(ReadAnswer.HEADER_BYTES, "total")
        while reader.left >= OperatorResult.packed_bytes():
            OperatorResult.read(reader)
    elif message in MESSAGES:
        MESSAGES[message].read(reader)
    else:
        reader.take(len(payload), "data")
    return [span for span in reader.spans if span.stop > span.start]


def all_lies(told: Told) -> Iterator[Lie]:
    """Every field of every message with every value, every message in every shape, and unasked ones."""
    for message, payload in told.items():
        for field in dict.fromkeys(span.name for span in spans(message, payload)):
            yield from (Lie(message, how, field) for how in VALUES)
            if message == Kind.HELLO.name:  # what it says once it is trusted
                yield from (Lie(message, how, field, late=True) for how in VALUES)
        yield from (Lie(message, how) for how in SHAPES)
        yield Lie(Kind.RUN.name, f"unasked {message}")
        yield Lie(Kind.HELLO.name, f"unasked {message}")


class Recorder:
    """Sees what goes over a line: names the messages of a board and keeps an example of each."""

    def __init__(self) -> None:
        self.told: dict[str, bytes] = {}
        self._asked: dict[int, Frame] = {}

    def request(self, frame: Frame) -> None:
        self._asked[frame.sequence] = frame

    def answer(self, frame: Frame) -> str:
        """The name of a message; the longest example is kept."""
        if frame.type in NOTICES:
            name = Kind(frame.type).name
        else:
            asked = self._asked.get(frame.sequence)
            what = asked.payload[0] if asked is not None and asked.type == Kind.READ else 0
            name = _name(Kind(frame.type ^ REPLY), what)
        if len(frame.payload) >= len(self.told.get(name, b"")):
            self.told[name] = frame.payload
        return name


class LyingLine:
    """``transport`` with ``lie`` in it (None: none). ``times``: how often it was told."""

    def __init__(self, transport: Transport, recorder: Recorder, lie: Lie | None, told: Told) -> None:
        self.times = 0
        self._transport = transport
        self._recorder = recorder
        self._lie = lie
        self._told = told
        self._to_board = self._from_board = b""
        self._ready = b""
        self._again = b""
        self._held: list[Frame] = []
        self._met: dict[str, int] = defaultdict(int)

    def write(self, data: bytes) -> int:
        *whole, self._to_board = (self._to_board + data).split(b"\0")
        for frame in filter(None, map(Frame.decode, filter(None, whole))):
            self._recorder.request(frame)
        self._transport.write(data)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        if not self._ready:
            if not self._again:
                self._carry()
            self._ready = self._ready or self._again
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken

    @property
    def in_waiting(self) -> int:
        return len(self._ready)

    def close(self) -> None:
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        if name not in ("baudrate", "write_timeout"):
            raise AttributeError(name)
        return getattr(self._transport, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("baudrate", "write_timeout"):
            setattr(self._transport, name, value)
        else:
            super().__setattr__(name, value)

    def _carry(self) -> None:
        data = self._transport.read(1)
        waiting = int(getattr(self._transport, "in_waiting", 0)) if data else 0
        *whole, self._from_board = (self._from_board + data + self._transport.read(waiting)).split(b"\0")
        for frame in filter(None, map(Frame.decode, filter(None, whole))):
            sent = self._tell(frame, self._recorder.answer(frame))
            self._ready += b"".join(each.encode() for each in sent)

    def _tell(self, frame: Frame, message: str) -> list[Frame]:
        """What the host gets for ``frame``."""
        lie = self._lie
        if lie is None or lie.message != message:
            return [frame]
        self._met[message] += 1
        if lie.late and self._met[message] == 1:
            return [frame]
        sent = self._false(frame, lie)
        if sent != [frame] or lie.how == ENDLESS:
            self.times += 1
        if lie.how in (ENDLESS, BUSY_FOR_EVER):
            self._again = b"".join(each.encode() for each in sent)
        return sent

    def _false(self, frame: Frame, lie: Lie) -> list[Frame]:
        if lie.field:
            payload = bytearray(frame.payload)
            for span in spans(lie.message, frame.payload):
                if span.name == lie.field:
                    payload[span.start : span.stop] = VALUES[lie.how](span.stop - span.start)
            return [Frame(frame.type, frame.sequence, bytes(payload))]
        if lie.how in SHAPES:
            return SHAPES[lie.how](_Moment(frame, self._held))
        unasked = lie.how.removeprefix("unasked ")
        kind = Kind[unasked.split()[0]]
        kind_of_frame = kind if kind in NOTICES else kind | REPLY
        return [Frame(kind_of_frame, frame.sequence, self._told[unasked]), frame]
