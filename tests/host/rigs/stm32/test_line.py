"""The line of the virtual STM32 between a board that never stops talking and a host that does not listen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from rigs.stm32.virtual.line import Line

pytestmark = pytest.mark.host

MORE_THAN_ALL_BUFFERS = 64 << 20


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    line.start()
    yield line
    line.stop()


def test_a_host_that_does_not_read_does_not_stop_the_board(line: Line) -> None:
    board, wire = socket.socketpair()
    line.connect_board(wire)
    with board, socket.create_connection(("127.0.0.1", line.port)) as host:
        host.sendall(b"here")
        assert board.recv(4) == b"here"  # the host is connected
        talking = threading.Thread(target=board.sendall, args=(bytes(MORE_THAN_ALL_BUFFERS),), daemon=True)
        talking.start()
        talking.join(60)
        assert not talking.is_alive(), "the board waits for its host"
        host.settimeout(10)
        assert host.recv(4096) == bytes(4096)  # and the cable is still there
        host.sendall(b"still")
        assert board.recv(5) == b"still"
