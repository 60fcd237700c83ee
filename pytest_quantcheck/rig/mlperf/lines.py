"""Commands and answers of MLPerf Tiny's protocol as lines of ASCII: ``name%`` goes, lines come, the last is
``m-ready``. Knows no command's meaning.

Source: the benchmark's public API and runner (mlcommons/tiny), as ``firmware/LINK.md`` section 7 sums it up.
"""

from __future__ import annotations

import time

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.link.frame_log import LogStream
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.wording import clipped, visible

READY = "m-ready"
_STARTED = "m-init-done"
_MOST_BYTES = 1 << 16  # of one answer without its scores
_QUIET_SECONDS = 0.1
_DRAIN_SECONDS = 3.0
_SHOWN = 80
# the benchmark's firmware says two of them without e-
_COMPLAINTS = (
    "e-[",
    "Input db has ",
    "Supplied buffer size ",
)


class TextLine:
    """One host's end of a line of text. All methods raise ``RigFault``: ``link`` for silence and what never
    ends, ``protocol`` for what is no such text or a command that was refused, ``crash`` for a restart.
    """

    def __init__(self, transport: Transport, log: LogStream | None = None) -> None:
        self._transport = transport
        self._log = log
        self._start = time.monotonic()

    def ask(self, command: str, *, silence: float, limit: float, more_bytes: int = 0) -> tuple[str, ...]:
        """Send ``command`` and return the lines of its answer, without ``m-ready``. No line may take longer
        than ``silence`` seconds, all of them no longer than ``limit``; nor may they be longer than 64 KiB and
        ``more_bytes``. Control characters are shown as ``\\x1b``.
        """
        self._note(f"-> {clipped(command, _SHOWN)}%")
        self._write(command.encode("ascii") + b"%")
        lines = self._answer(command, silence, time.monotonic() + limit, _MOST_BYTES + more_bytes)
        for line in lines:
            if line.startswith(_COMPLAINTS):
                raise RigFault(
                    "protocol",
                    f"the device refused {clipped(command, 24)!r}: {clipped(line, _SHOWN)}",
                )
        return lines

    def drain(self) -> None:
        """Drop what still comes, such as the lines of a board that starts when its port is opened."""
        end = time.monotonic() + _DRAIN_SECONDS
        quiet = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < quiet:
            if data := self._read():
                self._note(f"<- dropped {clipped(repr(data), _SHOWN)}")
                quiet = time.monotonic() + _QUIET_SECONDS
            if time.monotonic() > end:
                raise RigFault("link", "the device sends without end though nothing was asked")

    def _answer(self, command: str, silence: float, end: float, most: int) -> tuple[str, ...]:
        lines: list[str] = []
        received, size = bytearray(), 0
        heard = time.monotonic()
        while True:
            data = self._read()
            now = time.monotonic()
            size += len(data)
            received += data.replace(b"\r", b"").replace(b"\0", b"")
            whole: list[bytearray] = []
            if b"\n" in data:  # a line of scores may be long, and comes in many pieces
                *whole, received = received.split(b"\n")
            for each in whole:
                heard = now
                line = self._text(each)
                if READY in line:
                    return tuple(lines)
                if line.startswith(_STARTED):
                    raise RigFault("crash", f"the device restarted during {clipped(command, 24)!r}")
                if line:
                    lines.append(line)
            if size > most:
                raise RigFault(
                    "protocol",
                    f"the answer to {clipped(command, 24)!r} never ends: more than {most:,} bytes came",
                )
            if now > min(end, heard + silence):
                raise _silence(command, lines, received)

    def _text(self, line: bytearray) -> str:
        try:
            text = visible(line.decode("ascii"))
        except UnicodeDecodeError as error:
            raise RigFault(
                "protocol",
                f"the device sent the byte 0x{line[error.start]:02x}, which is no ASCII: another rate, "
                "or another protocol",
            ) from error
        self._note(f"<- {clipped(text, _SHOWN)}")
        return text

    def _read(self) -> bytes:
        try:
            data = self._transport.read(1)
            waiting = int(getattr(self._transport, "in_waiting", 0)) if data else 0
            return data + self._transport.read(waiting) if waiting else data
        except OSError as error:
            raise RigFault("link", f"the port broke: {error}") from error

    def _write(self, data: bytes) -> None:
        try:
            self._transport.write(data)
        except OSError as error:
            raise RigFault("link", f"the port broke: {error}") from error

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.write(f"{time.monotonic() - self._start:10.4f} {text}\n")


def _silence(command: str, lines: list[str], rest: bytearray) -> RigFault:
    came = [*lines, rest.decode("ascii", "replace")] if rest else lines
    seen = f"the last line was {clipped(came[-1], _SHOWN)!r}" if came else "nothing came"
    return RigFault("link", f"no {READY} to {clipped(command, 24)!r} in time; {seen}")
