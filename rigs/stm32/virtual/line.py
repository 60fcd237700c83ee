"""The serial line from a TCP port (pyserial's ``socket://``) to the machine's USART, and its faults."""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import threading
import time
from collections import deque

from rigs.common.line_faults import DIRECTIONS, DamagedDirection, break_line
from rigs.stm32.virtual.machine import Wire

TO_BOARD, FROM_BOARD = DIRECTIONS
_CHUNK = 4096
_PATIENCE = 1.0  # seconds for a host whose buffers are full


class Line(threading.Thread):
    """Carries bytes both ways until ``stop``. One host at a time, as a UART has one cable."""

    def __init__(self) -> None:
        super().__init__(name="serial line", daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._faults = {direction: DamagedDirection() for direction in DIRECTIONS}
        self._late: dict[str, deque[tuple[float, bytes]]] = {TO_BOARD: deque(), FROM_BOARD: deque()}
        self._host: socket.socket | None = None
        self._board: Wire | None = None
        self._next_board: Wire | None = None
        self._changed = self._stopping = self._broken = False
        self._deaf = False  # the host does not read

    def connect_board(self, board: Wire | None) -> None:
        """The USART from now on; None while the board has no power."""
        with self._lock:
            self._next_board, self._changed = board, True
        self._wake.send(b"\0")

    def hang_up(self) -> None:
        """The board has gone for good: so does its cable."""
        self._broken = True
        self.connect_board(None)

    def add_fault(self, kind: str, **how: object) -> None:
        """As ``break_line``."""
        with self._lock:
            break_line(self._faults, kind, **how)  # type: ignore[arg-type]  # values come from outside

    def clear_faults(self) -> None:
        with self._lock:
            for damaged in self._faults.values():
                damaged.heal()

    def hits(self) -> int:
        """How many bytes the present faults have hit."""
        with self._lock:
            return sum(damaged.hits for damaged in self._faults.values())

    def stop(self) -> None:
        self._stopping = True
        self._wake.send(b"\0")
        if self.is_alive():
            self.join(2)

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select(self._timeout()):
                    self._serve(selector, key.fileobj)
                self._deliver_late(selector)
        for connection in (self._listener, self._host, self._board):
            if connection is not None:
                connection.close()

    def _timeout(self) -> float | None:
        due = [queue[0][0] for queue in self._late.values() if queue]
        return max(min(due) - time.monotonic(), 0.0) if due else None

    def _serve(self, selector: selectors.BaseSelector, source: object) -> None:
        if source is self._woken:
            self._woken.recv(64)
            self._swap_board(selector)
        elif source is self._listener:
            self._accept(selector)
        elif source is self._host:
            data = _receive(self._host)
            if data:
                self._carry(TO_BOARD, data, selector)
            else:
                self._drop_host(selector)
        elif source is self._board and self._board is not None:
            data = _receive(self._board)
            if data:
                self._carry(FROM_BOARD, data, selector)
            else:
                selector.unregister(self._board)
                self._board.close()
                self._board = None

    def _swap_board(self, selector: selectors.BaseSelector) -> None:
        with self._lock:
            board, changed, self._changed = self._next_board, self._changed, False
            broken, self._broken = self._broken, False
        if not changed:
            return
        if broken:
            self._drop_host(selector)
        if self._board is not None:
            selector.unregister(self._board)
            self._board.close()
        self._board = board
        if board is not None:
            selector.register(board, selectors.EVENT_READ)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listener.accept()
        if self._host is not None and not _is_closed(self._host):
            connection.close()
            return
        self._drop_host(selector)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._host, self._deaf = connection, False
        selector.register(connection, selectors.EVENT_READ)

    def _drop_host(self, selector: selectors.BaseSelector) -> None:
        if self._host is not None:
            selector.unregister(self._host)
            self._host.close()
            self._host = None

    def _carry(self, direction: str, data: bytes, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        with self._lock:
            data, late = self._faults[direction].damage(data, now)
        if late or self._late[direction]:  # never overtake what is already late
            self._late[direction].append((now + late, data))
        else:
            self._send(direction, data, selector)

    def _deliver_late(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        for direction, queue in self._late.items():
            while queue and queue[0][0] <= now:
                self._send(direction, queue.popleft()[1], selector)

    def _send(self, direction: str, data: bytes, selector: selectors.BaseSelector) -> None:
        """Bytes for nobody are lost, as on a wire."""
        if direction == TO_BOARD and self._board is not None:
            with contextlib.suppress(OSError):
                self._board.sendall(data)
        elif direction == FROM_BOARD and self._host is not None:
            try:
                self._send_to_host(self._host, data)
            except OSError:
                self._drop_host(selector)

    def _send_to_host(self, host: socket.socket, data: bytes) -> None:
        """A host that does not read loses bytes: a board that had to wait could not be reset either."""
        while data:
            try:
                data = data[host.send(data) :]
                self._deaf = False
            except BlockingIOError:
                if self._deaf or not select.select([], [host], [], _PATIENCE)[1]:
                    self._deaf = True
                    return


def _receive(connection: Wire | None) -> bytes:
    try:
        return connection.recv(_CHUNK) if connection is not None else b""
    except OSError:
        return b""


def _is_closed(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
