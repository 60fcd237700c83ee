"""Opening a serial port. pyserial lets errors of termios through, which are no OSError."""

from __future__ import annotations

from typing import Any

import serial

try:
    from termios import error as TermiosError  # noqa: N812
except ImportError:  # not a POSIX system
    TermiosError = OSError  # type: ignore[misc, assignment]


def open_port(port: Any) -> None:
    """Open ``port``; raises ``serial.SerialException``, also where its other end goes away meanwhile."""
    try:
        port.open()
    except serial.SerialException:
        raise
    except TermiosError as error:
        raise serial.SerialException(f"{port.port}: {error.args[-1]}") from error
