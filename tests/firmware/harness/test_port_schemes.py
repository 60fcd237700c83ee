"""A board is reached through any URL that pyserial takes: a conversation with the real firmware for each."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import serial
from serial import rfc2217

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.link import Link
from rigs.common.serial_port import explained, open_serial

pytestmark = pytest.mark.host

Serve = Callable[[Any, socket.socket], None]


def bridge(port: Any, connection: socket.socket) -> None:
    """Bytes as they are, both ways."""
    _pump(port, connection, lambda data: data, lambda data: data)


class WithModemLines:
    """A pseudo-terminal has no modem lines, which the server asks about as soon as a client comes."""

    cts = dsr = ri = cd = dtr = rts = False

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def with_rfc2217(port: Any, connection: socket.socket) -> None:
    """pyserial's own RFC 2217 server between the two."""

    class Writer:
        def write(self, data: bytes) -> None:
            connection.sendall(data)

    manager = rfc2217.PortManager(WithModemLines(port), Writer())
    _pump(
        port,
        connection,
        lambda data: b"".join(manager.escape(data)),
        lambda data: b"".join(manager.filter(data)),
    )


def _pump(
    port: Any, connection: socket.socket, out: Callable[[bytes], bytes], back: Callable[[bytes], bytes]
) -> None:
    def to_network() -> None:
        with contextlib.suppress(OSError, TypeError):  # pyserial says the latter of a port that was closed
            while True:
                if data := port.read(port.in_waiting or 1):
                    connection.sendall(out(data))

    threading.Thread(target=to_network, daemon=True).start()
    with contextlib.suppress(OSError, TypeError):
        while data := connection.recv(4096):
            port.write(back(data))
    port.close()


@pytest.fixture
def served(bench: Any) -> Iterator[Callable[[Serve], int]]:
    """``served(serve)``: a TCP port behind which ``serve`` stands in front of the board."""
    with ExitStack() as stack:

        def start(serve: Serve) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    serve(open_serial(bench.board._pty), connection)

            threading.Thread(target=answer, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


def talk(port: Any) -> None:
    """HELLO, a long echo, and a second rate where the port has one."""
    device = RemoteDevice(Link(port, patience=0.5))
    assert device.hello().runtime == "lookup"
    assert device.echo(bytes(range(256)) * 2) == bytes(range(256)) * 2
    port.close()


def test_socket(served: Callable[[Serve], int]) -> None:
    port = open_serial(f"socket://127.0.0.1:{served(bridge)}")
    assert port._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    talk(port)


def test_rfc2217(served: Callable[[Serve], int]) -> None:
    port = open_serial(f"rfc2217://127.0.0.1:{served(with_rfc2217)}?timeout=20")
    assert port._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    talk(port)


def test_spy(bench: Any, tmp_path: Path) -> None:
    talk(open_serial(f"spy://{bench.board._pty}?file={tmp_path / 'spy.txt'}"))
    assert "TX" in (tmp_path / "spy.txt").read_text()


@pytest.mark.parametrize("kind", ["PosixPollSerial", "VTIMESerial"])
def test_alt(bench: Any, kind: str) -> None:
    talk(open_serial(f"alt://{bench.board._pty}?class={kind}"))


def test_a_plain_device(bench: Any) -> None:
    talk(open_serial(bench.board._pty))


def test_a_port_that_takes_no_more_bytes_is_a_link_fault_in_time() -> None:
    ours, theirs = os.openpty()
    link, caught = Link(open_serial(os.ttyname(theirs))), []

    def send() -> None:
        try:
            link.send_bulk(bytes(1 << 16), chunk=1016, window=64)
        except RigFault as fault:
            caught.append(fault)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    sending.join(20)
    stuck = sending.is_alive()
    os.close(ours)  # lets go whoever still writes
    os.close(theirs)
    assert not stuck
    assert [fault.kind for fault in caught] == ["link"]


def test_loop_hears_itself_which_is_no_device() -> None:
    device = RemoteDevice(Link(open_serial("loop://"), patience=0.2))
    with pytest.raises(RigFault) as fault:
        device.hello(deadline=1.0)
    assert fault.value.kind in ("link", "protocol")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("no such board", "matches no port; it must match one"), ("[", "no regular expression: unterminated")],
)
def test_hwgrep_that_matches_no_port_says_so(pattern: str, said: str) -> None:
    url = f"hwgrep://{pattern}"
    with pytest.raises(RigFault) as fault:
        explained(lambda: open_serial(url), url=url, board="b", kind="link")
    assert said in fault.value.reason


@pytest.mark.parametrize("url", ["sockets://127.0.0.1:1", "socket://127.0.0.1:1", "rfc2217://127.0.0.1:1"])
def test_a_url_that_cannot_be_opened_is_a_rig_fault(url: str) -> None:
    with pytest.raises(RigFault, match="cannot be opened"):
        explained(lambda: open_serial(url), url=url, board="b", kind="link")
    assert issubclass(serial.SerialException, OSError)
