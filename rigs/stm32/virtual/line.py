"""The serial line from a TCP port (pyserial's ``socket://``) to QEMU's USART, with faults on demand."""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

TO_BOARD, FROM_BOARD = "to_board", "from_board"
DIRECTIONS = (TO_BOARD, FROM_BOARD)
BYTE_FAULTS = ("flip", "drop", "duplicate", "delay", "mute", "overrun")
_CHUNK = 4096


@dataclass
class ByteFault:
    """One kind of damage to bytes on their way.

    kind       flip: one bit of a byte; drop; duplicate; delay: by ``seconds``; mute: all are lost;
               overrun: of the bytes within ``window`` seconds only the first ``limit`` arrive
    rate       the chance of a byte to be hit, drawn with ``seed``
    after      so many bytes pass first
    count      at most so many hits (0: no limit)
    """

    kind: str
    rate: float = 1.0
    seed: int = 0
    after: int = 0
    count: int = 0
    seconds: float = 0.1
    window: float = 0.01
    limit: int = 64
    hits: int = 0
    _position: int = 0
    _window_start: float = 0.0
    _in_window: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate={self.rate!r} is not between 0 and 1")
        self._random.seed(self.seed)

    def pass_on(self, data: bytes, now: float) -> tuple[bytes, float]:
        """What is left of ``data``, and by how many seconds it comes later."""
        if self.kind == "mute":
            self.hits += len(data)
            return b"", 0.0
        if self.kind == "overrun":
            return self._overrun(data, now), 0.0
        result = bytearray()
        late = 0.0
        for byte in data:
            if not self._hit():
                result.append(byte)
            elif self.kind == "flip":
                result.append(byte ^ 1 << self._random.randrange(8))
            elif self.kind == "duplicate":
                result += bytes((byte, byte))
            elif self.kind == "delay":
                result.append(byte)
                late = self.seconds
        return bytes(result), late

    def _hit(self) -> bool:
        self._position += 1
        if self._position <= self.after or 0 < self.count <= self.hits:
            return False
        hit = self._random.random() < self.rate
        self.hits += hit
        return hit

    def _overrun(self, data: bytes, now: float) -> bytes:
        if now - self._window_start > self.window:
            self._window_start, self._in_window = now, 0
        room = max(self.limit - self._in_window, 0)
        self._in_window += len(data)
        self.hits += max(len(data) - room, 0)
        return data[:room]


class Line(threading.Thread):
    """Carries bytes both ways until ``stop``. One host at a time, as a UART has one cable."""

    def __init__(self) -> None:
        super().__init__(name="serial line", daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._faults: dict[str, list[ByteFault]] = {TO_BOARD: [], FROM_BOARD: []}
        self._late: dict[str, deque[tuple[float, bytes]]] = {TO_BOARD: deque(), FROM_BOARD: deque()}
        self._host: socket.socket | None = None
        self._board: socket.socket | None = None
        self._next_board: socket.socket | None = None
        self._changed = self._stopping = False

    def connect_board(self, board: socket.socket | None) -> None:
        """The USART from now on; None while the board has no power."""
        with self._lock:
            self._next_board, self._changed = board, True
        self._wake.send(b"\0")

    def add_fault(self, direction: str, fault: ByteFault) -> None:
        with self._lock:
            self._faults[direction].append(fault)

    def clear_faults(self) -> None:
        with self._lock:
            for faults in self._faults.values():
                faults.clear()

    def hits(self) -> int:
        """How many bytes the present faults have hit."""
        with self._lock:
            return sum(fault.hits for faults in self._faults.values() for fault in faults)

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
        if not changed:
            return
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
        self._host = connection
        selector.register(connection, selectors.EVENT_READ)

    def _drop_host(self, selector: selectors.BaseSelector) -> None:
        if self._host is not None:
            selector.unregister(self._host)
            self._host.close()
            self._host = None

    def _carry(self, direction: str, data: bytes, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        late = 0.0
        with self._lock:
            for fault in self._faults[direction]:
                data, more = fault.pass_on(data, now)
                late += more
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
        receiver = self._board if direction == TO_BOARD else self._host
        if receiver is None or not data:
            return
        try:
            receiver.sendall(data)
        except OSError:
            if direction == FROM_BOARD:
                self._drop_host(selector)


def _receive(connection: socket.socket | None) -> bytes:
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
