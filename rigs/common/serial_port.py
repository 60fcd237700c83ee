"""Opening a serial port: anything pyserial's ``serial_for_url`` takes; what to do when it cannot be had."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from pytest_quantcheck.errors import RigFault

try:
    from termios import error as TermiosError  # noqa: N812
except ImportError:  # not a POSIX system
    TermiosError = OSError  # type: ignore[misc, assignment]

BAUD = 115200  # what ROMs, our firmware and every session start with
BACK_SECONDS = 8.0  # a port on USB leaves the bus when its board restarts, and comes back
_READ_SECONDS = 0.05


def open_serial(url: str, *, lines_low: bool = False) -> Any:
    """A pyserial port at 115200 baud, taken exclusively where the system can do that.

    ``url`` is anything ``serial_for_url`` takes; a ``hwgrep://`` must match one port only. ``lines_low``:
    with DTR and RTS low, where they would reset the board. Raises ``serial.SerialException``, ``ValueError``.
    """
    if url.startswith("hwgrep://"):
        url = _only_match(url)
    port = serial.serial_for_url(url, do_not_open=True)
    with contextlib.suppress(AttributeError, ValueError):
        port.exclusive = True
    port.baudrate, port.timeout = BAUD, _READ_SECONDS
    if lines_low:
        port.dtr = port.rts = False
    open_port(port)
    _no_delay(port)
    return port


def _no_delay(port: Any) -> None:
    """Small frames go at once over a network, not when there are more of them."""
    connection = getattr(port, "_socket", None)  # of socket://; rfc2217:// does it itself
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # a socket that is not TCP
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def open_port(port: Any) -> None:
    """Open ``port``; raises ``serial.SerialException``, also where its other end goes away meanwhile.

    (pyserial lets errors of termios through, which are no OSError.)
    """
    try:
        port.open()
    except serial.SerialException:
        raise
    except TermiosError as error:
        raise serial.SerialException(f"{port.port}: {error.args[-1]}") from error


def explained(open_it: Callable[[], Any], *, url: str, board: str, kind: str, patience: float = 0.0) -> Any:
    """What ``open_it`` returns. A ``RigFault`` of ``kind`` that says what to do when ``url`` cannot be had;
    one that is absent may come back within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return open_it()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            if not _may_come_back(url, error) or time.monotonic() >= deadline:
                raise RigFault(kind, _advice(url, error), board=board) from error
        time.sleep(0.1)


def _only_match(url: str) -> str:
    """The device that ``hwgrep://REGEXP[&options]`` means; pyserial alone takes the first of several."""
    pattern = url.removeprefix("hwgrep://").partition("&")[0]
    try:
        found = [port.device for port in list_ports.grep(pattern)]
    except (re.error, OverflowError) as error:
        raise serial.SerialException(f"{url} holds no regular expression: {error}") from error
    if len(found) != 1:
        matches = f"{len(found)} ports: {', '.join(sorted(found))}" if found else "no port"
        raise serial.SerialException(f"{url} matches {matches}; it must match one")
    return str(found[0])


def _may_come_back(url: str, error: Exception) -> bool:
    """Whether the port is absent, as after a reset over USB, and not busy or wrong."""
    absent = isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == 2
    absent = absent or "no such file" in str(error).lower()
    return bool(url) and "://" not in url and absent and Path(url).parent.is_dir()


def _advice(url: str, error: Exception) -> str:
    text = str(error)
    words = text.lower()
    if not url:
        return 'the inventory names no port for it; add port = "..." (quantcheck boards --scan prints ports)'
    if any(word in words for word in ("busy", "exclusively lock")):
        return (
            f"port {url} is in use by another program ({text}). Close whatever else uses it (a terminal, "
            "ModemManager) and try again"
        )
    if "permission" in words:
        return f"no permission for port {url} ({text}); add yourself to the port's group (Debian: dialout)"
    return f"port {url} cannot be opened ({text}); check `port` in boards.toml and the cable"
