"""Serial port of a virtual board, ``qcesp32c3://HOST:PORT/TOKEN``: pyserial with working DTR and RTS."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

import serial

from rigs.common.serial_port import BAUD

SCHEME = "qcesp32c3"
_FRAME = struct.Struct("<cI")
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 0.05


class VirtualPort(serial.SerialBase):  # type: ignore[misc]  # pyserial has no types
    """One end of the line; the board's process has the other. Protocol: ``virtual/lines.py``."""

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        self._socket: socket.socket | None = None
        self._received = bytearray()
        super().__init__(url, **settings)

    def open(self) -> None:
        """Connect and put both lines where ``dtr`` and ``rts`` say. ``SerialException`` when busy or gone."""
        host, port, token = _address(self._port)
        try:
            connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(f"serial {token}\n".encode())
            answer = connection.recv(1)
        except OSError as error:
            raise serial.SerialException(f"virtual board at {self._port} does not answer: {error}") from error
        if answer != b"+":
            connection.close()
            raise serial.SerialException(f"port {self._port} is busy: another program has it open")
        self._socket, self.is_open = connection, True
        # esptool sets the lines one by one, as this port needs, on what looks like RFC 2217, and by
        # ioctl on anything else.
        self.name = f"rfc2217:{self._port}"
        self._received.clear()
        self._send_lines()
        self._reconfigure_port()

    def close(self) -> None:
        """Hang up; both lines fall back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.is_open = False

    @property
    def in_waiting(self) -> int:
        """Bytes that ``read`` returns at once."""
        self._collect(0)
        return len(self._received)

    def read(self, size: int = 1) -> bytes:
        """Up to ``size`` bytes, waiting at most ``timeout`` seconds for them."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while len(self._received) < size:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._collect(left) and left is not None and time.monotonic() - (deadline or 0) >= 0:
                break
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def write(self, data: bytes) -> int:
        """Send all of ``data``."""
        self._send(b"D", bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits on this side."""

    def reset_input_buffer(self) -> None:
        """Forget what has arrived."""
        self._collect(0)
        self._received.clear()

    def reset_output_buffer(self) -> None:
        """Nothing waits on this side."""

    cts = dsr = cd = property(lambda _self: True)
    ri = property(lambda _self: False)

    def _reconfigure_port(self, *_arguments: object, **_settings: object) -> None:
        if self.is_open:
            self._send(b"B", struct.pack("<I", self._baudrate))

    def _update_dtr_state(self) -> None:
        self._send_lines()

    def _update_rts_state(self) -> None:
        self._send_lines()

    def _update_break_state(self) -> None:
        """A break has no meaning to this chip."""

    def _send_lines(self) -> None:
        self._send(b"L", bytes([bool(self._dtr_state), bool(self._rts_state)]))

    def _send(self, kind: bytes, payload: bytes) -> None:
        if self._socket is None:
            raise serial.PortNotOpenError
        try:
            self._socket.sendall(_FRAME.pack(kind, len(payload)) + payload)
        except OSError as error:
            raise serial.SerialException(f"virtual board at {self._port} is gone: {error}") from error

    def _collect(self, seconds: float | None) -> bool:
        """Take what has arrived, waiting for something at most ``seconds``."""
        if self._socket is None:
            raise serial.PortNotOpenError
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise serial.SerialException(f"virtual board at {self._port} is gone: {error}") from error
        if not data:
            raise serial.SerialException(f"virtual board at {self._port} is gone: its process has ended")
        self._received += data
        return True


def open_virtual_port(url: str) -> VirtualPort:
    """The port of a virtual board at 115200 baud, with DTR and RTS low. Raises ``serial.SerialException``."""
    port = VirtualPort()
    port.port = url
    port.baudrate, port.timeout = BAUD, _READ_SECONDS
    port.dtr = port.rts = False
    port.open()
    return port


def _address(url: str | None) -> tuple[str, int, str]:
    parts = urlsplit(url or "")
    if parts.scheme != SCHEME or not parts.hostname or not parts.port:
        raise serial.SerialException(f"{url!r} is not {SCHEME}://HOST:PORT/TOKEN")
    return parts.hostname, parts.port, parts.path.lstrip("/")
