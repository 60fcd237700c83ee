"""A serial port shared over TCP, as an exporter of a lab does: ``socket://127.0.0.1:N`` leads to it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Any


class Bridge:
    """Carries bytes between an open port and one client at a time, until ``close``."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def number(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """What ``serial_for_url`` takes."""
        return f"socket://127.0.0.1:{self.number}"

    def close(self) -> None:
        """Hang up and close the port."""
        self._ends.set()
        self._thread.join(timeout=10)
        self._listener.close()
        self._port.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._ends.is_set():
                if selector.select(0.05):
                    client, _ = self._listener.accept()
                    with client, contextlib.suppress(OSError):
                        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        self._carry(client)

    def _carry(self, client: socket.socket) -> None:
        client.settimeout(0.002)
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                data = client.recv(4096)
                if not data:
                    return
                self._port.write(data)
            if waiting := int(self._port.in_waiting):
                client.sendall(self._port.read(waiting))
