"""How the outside reaches the chip: our own socket with DTR, RTS and commands; a pty; RFC 2217.

The socket's protocol. A connection opens with a line of ASCII: ``serial TOKEN`` or ``control TOKEN``.
``serial``: the board answers ``+`` (yours) or ``-`` (somebody else has the port), then sends raw bytes;
the host sends frames: kind (1 byte), length (u32, little-endian), payload. Kinds: ``D`` data,
``L`` two bytes DTR and RTS, ``B`` baud (u32). Closing drops both lines.
``control``: JSON, one request and one reply a line: ``{"do": "state"}``,
``{"do": "misbehave", "fault": "flip", "how": {"rate": 0.01}}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
import tty
from collections.abc import Callable
from typing import Any

from rigs.esp32.virtual.chip import Chip

_FRAME = struct.Struct("<cI")
_CHUNK = 65536


class Server:
    """Serves all connections of one board in one thread. ``url`` and ``control`` say where it listens."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._selector = selectors.DefaultSelector()
        self._serial: socket.socket | None = None
        self._encode: Callable[[bytes], bytes] = bytes
        self._pty: int | None = None
        self._chip: Chip | None = None
        listener = _listen(self._accept_ours, self._selector)
        self.control = f"127.0.0.1:{listener}"
        self.url = f"qcesp32c3://127.0.0.1:{listener}/{token}"

    def attach(self, chip: Chip) -> None:
        """The chip behind the lines; before ``serve``."""
        self._chip = chip

    def use_pty(self) -> None:
        """Offer the line as a pseudo-terminal: without DTR and RTS."""
        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        self._pty, self.url = master, os.ttyname(slave)
        self._selector.register(master, selectors.EVENT_READ, self._read_pty)

    def use_rfc2217(self) -> None:
        """Offer the line as an RFC 2217 server."""
        self.url = f"rfc2217://127.0.0.1:{_listen(self._accept_rfc2217, self._selector)}"

    def die_with(self, heartbeat: int) -> None:
        """End the process when the other end of this pipe is gone, however its owner died."""
        self._selector.register(heartbeat, selectors.EVENT_READ, lambda: self._beat(heartbeat))

    def transmit(self, data: bytes) -> None:
        """What the chip sends; lost when nobody listens, as on a wire."""
        if self._pty is not None:
            os.write(self._pty, data)
        elif self._serial is not None:
            with contextlib.suppress(OSError):
                self._serial.sendall(self._encode(data))

    def serve(self) -> None:
        """Handle events for ever."""
        while True:
            for key, _ in self._selector.select(self._board.tick_seconds):
                key.data()
            self._board.tick()

    @property
    def _board(self) -> Chip:
        assert self._chip is not None
        return self._chip

    def _beat(self, heartbeat: int) -> None:
        if not os.read(heartbeat, _CHUNK):
            os._exit(0)

    def _read_pty(self) -> None:
        with contextlib.suppress(OSError):  # nobody has opened the other side
            assert self._pty is not None
            self._board.receive(os.read(self._pty, _CHUNK))

    def _accept_ours(self, connection: socket.socket) -> None:
        hello = bytearray()

        def greet(data: bytes) -> None:
            hello.extend(data)
            line, end, rest = bytes(hello).partition(b"\n")
            if not end:
                return
            kind, _, token = line.decode("ascii", "replace").partition(" ")
            if token != self._token or kind not in ("serial", "control"):
                self._drop(connection)
            elif kind == "control":
                read = self._control_reader(connection)
                self._watch(connection, read, self._drop)
                read(rest)
            elif self._serial is not None:
                connection.sendall(b"-")
                self._drop(connection)
            else:
                connection.sendall(b"+")
                self._serial, self._encode = connection, bytes
                read = self._frame_reader()
                self._watch(connection, read, self._hang_up)
                read(rest)

        self._watch(connection, greet, self._drop)

    def _frame_reader(self) -> Callable[[bytes], None]:
        waiting = bytearray()

        def read(data: bytes) -> None:
            waiting.extend(data)
            while len(waiting) >= _FRAME.size:
                kind, length = _FRAME.unpack_from(waiting)
                if len(waiting) < _FRAME.size + length:
                    return
                payload = bytes(waiting[_FRAME.size : _FRAME.size + length])
                del waiting[: _FRAME.size + length]
                if kind == b"D":
                    self._board.receive(payload)
                elif kind == b"L":
                    self._board.set_lines(bool(payload[0]), bool(payload[1]))
                elif kind == b"B":
                    self._board.host_baud = int.from_bytes(payload, "little")

        return read

    def _control_reader(self, connection: socket.socket) -> Callable[[bytes], None]:
        waiting = bytearray()

        def read(data: bytes) -> None:
            waiting.extend(data)
            while b"\n" in waiting:
                line, _, rest = bytes(waiting).partition(b"\n")
                waiting[:] = rest
                connection.sendall(json.dumps(self._command(line)).encode() + b"\n")

        return read

    def _command(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if request["do"] == "misbehave":
                self._board.misbehave(request["fault"], **request.get("how", {}))
                return {"ok": True}
            if request["do"] == "meter":
                self._board.meter(request["bound"])
                return {"ok": True}
            if request["do"] == "state":
                return {"ok": True, "state": self._board.state}
            raise ValueError(f"unknown request {request['do']!r}")
        except (ValueError, TypeError, KeyError, IndexError) as error:
            return {"ok": False, "error": str(error)}

    def _accept_rfc2217(self, connection: socket.socket) -> None:
        if self._serial is not None:
            connection.close()
            return
        from serial.rfc2217 import PortManager

        manager = PortManager(_Lines(self._board), _Writer(connection))
        self._serial = connection
        self._encode = lambda data: b"".join(manager.escape(data))
        self._watch(connection, lambda data: self._received(b"".join(manager.filter(data))), self._hang_up)

    def _received(self, data: bytes) -> None:
        if data:
            self._board.receive(data)

    def _watch(
        self,
        connection: socket.socket,
        read: Callable[[bytes], None],
        closed: Callable[[socket.socket], None],
    ) -> None:
        def handle() -> None:
            try:
                data = connection.recv(_CHUNK)
            except OSError:
                data = b""
            if data:
                read(data)
            else:
                closed(connection)

        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        self._selector.register(connection, selectors.EVENT_READ, handle)

    def _hang_up(self, connection: socket.socket) -> None:
        self._serial = None
        self._board.host_baud = None
        self._drop(connection)
        self._board.set_lines(False, False)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()


def _listen(accept: Callable[[socket.socket], None], selector: selectors.BaseSelector) -> int:
    """A listening loopback socket in ``selector``; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle() -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accept(connection)

    selector.register(listener, selectors.EVENT_READ, handle)
    return int(listener.getsockname()[1])


class _Lines:
    """What pyserial's ``PortManager`` wants of a serial port: settings without effect, and two lines."""

    bytesize, parity, stopbits = 8, "N", 1
    xonxoff = rtscts = break_condition = ri = False
    cts = dsr = cd = True

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._dtr = self._rts = False
        self._baud = 115200

    @property
    def baudrate(self) -> int:
        return self._baud

    @baudrate.setter
    def baudrate(self, value: int) -> None:
        self._baud = self._chip.host_baud = value

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, value: bool) -> None:
        self._dtr = value
        self._chip.set_lines(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, value: bool) -> None:
        self._rts = value
        self._chip.set_lines(self._dtr, self._rts)

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


class _Writer:
    """The connection as the object with ``write`` that ``PortManager`` answers to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.sendall(data)
