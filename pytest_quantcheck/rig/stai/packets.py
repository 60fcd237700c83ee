"""Messages in packets of a fixed size, over a serial line.

A packet is a header and 32 bytes, filled up with zeros. Version 3.1 has a header of one byte, 3.2 one of two
(high byte first), in which the first bit marks the last packet of a message from the device and the rest
counts bytes; all packets but the last are full. The device acknowledges each packet of a message but the last
with one byte, whatever it is.
"""

from __future__ import annotations

import time

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.link.frame_log import LogStream
from pytest_quantcheck.rig.protocols.transport import Transport
from pytest_quantcheck.rig.stai.protobuf import varint
from pytest_quantcheck.wording import clipped

PAYLOAD_BYTES = 32
_QUIET_SECONDS = 0.1
_DRAIN_SECONDS = 3.0
_SHOWN = 64
_SYNC_SECONDS = 5.0


class PacketLine:
    """One host's end of the line. ``header``: bytes of a packet's header. All methods raise ``RigFault``:
    ``link`` for silence and what never ends, ``protocol`` for a packet that cannot be.
    """

    def __init__(self, transport: Transport, *, header: int, log: LogStream | None = None) -> None:
        self._transport, self._log, self._header = transport, log, header
        self.payload = PAYLOAD_BYTES
        self._start = time.monotonic()

    def send(self, data: bytes, *, end: float) -> None:
        """Send one message, its size in front, until ``end`` (of the monotonic clock)."""
        self._note(f"-> {clipped(data.hex(), _SHOWN)} ({len(data)} bytes)")
        data = varint(len(data)) + data
        for start in range(0, len(data), self.payload):
            if start and not self._received(1, min(end, time.monotonic() + _SYNC_SECONDS)):
                raise RigFault(
                    "link", f"no byte of the device after {start} of {len(data)} bytes of a message"
                )
            part = data[start : start + self.payload]
            self._write(len(part).to_bytes(self._header, "big") + part.ljust(self.payload, b"\0"))

    def receive(self, seconds: float, *, end: float, most: int) -> bytes:
        """One message of up to ``most`` bytes; no longer than ``seconds`` for each of its packets, and all of
        them until ``end`` (of the monotonic clock).
        """
        made, whole = bytearray(), False
        while not whole:
            whole, content = self._packet(seconds, end, len(made))
            made += content
            if len(made) > most:
                raise RigFault("protocol", f"a message never ends: {len(made):,} bytes came, {most:,} may")
        self._note(f"<- {clipped(made.hex(), _SHOWN)} ({len(made)} bytes)")
        return bytes(made)

    def _packet(self, seconds: float, end: float, before: int) -> tuple[bool, bytes]:
        """Whether it is a message's last one, of which ``before`` bytes came already, and its content."""
        wanted = self._header + self.payload
        packet = self._received(wanted, min(end, time.monotonic() + seconds))
        if len(packet) < wanted:
            late = time.monotonic() > end
            raise RigFault(
                "link",
                (
                    "the request takes longer than it may"
                    if late
                    else f"no answer of the device within {seconds:g} s"
                )
                + f": {len(packet)} of {wanted} bytes came"
                + (f", after {before} of a message" if before else ""),
            )
        head = int.from_bytes(packet[: self._header], "big")
        flag = 1 << (8 * self._header - 1)
        whole, size = bool(head & flag), head & flag - 1
        if size > self.payload or (size < self.payload and not whole):
            raise RigFault(
                "protocol",
                f"a packet {'' if whole else 'inside a message '}says that it has {size} bytes, and holds "
                f'{self.payload}: the firmware speaks another version (version = "3.1" or "3.2" in '
                "[board.protocol_settings]), another rate, or another protocol",
            )
        return whole, packet[self._header : self._header + size]

    def drain(self) -> None:
        """Drop what still comes, such as the words of a board that starts when its port is opened."""
        end = time.monotonic() + _DRAIN_SECONDS
        quiet = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < quiet:
            if data := self._read(1):
                self._note(f"<- dropped {clipped(repr(data), _SHOWN)}")
                quiet = time.monotonic() + _QUIET_SECONDS
            if time.monotonic() > end:
                raise RigFault("link", "the device sends without end though nothing was asked")

    def _received(self, count: int, end: float) -> bytes:
        """``count`` bytes, or what came until ``end``."""
        made = bytearray()
        while len(made) < count:
            made += self._read(count - len(made))
            if time.monotonic() > end:
                break
        return bytes(made)

    def _read(self, count: int) -> bytes:
        try:
            return self._transport.read(count)
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
