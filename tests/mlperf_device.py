"""An MLPerf Tiny device of another maker, written from the protocol's specification: a TCP port that answers.

It holds a function from the sample's bytes to scores. It shares no code with our firmware or host.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence

Model = Callable[[bytes], Sequence[float]]
Spoil = Callable[[str, list[str]], "list[str] | bytes"]


def _same(command: str, lines: list[str]) -> list[str]:
    return lines


class MlperfTinyDevice:
    """Answers on ``url`` until ``close``. ``spoil(command, lines)`` may change an answer, or give bytes that
    are sent as they are. ``greeting`` is sent when the port is opened, as by a board that this resets.
    """

    def __init__(
        self,
        model: Model,
        *,
        name: str = "kws01",
        microseconds: int = 1500,
        start: int = 1000,
        spoil: Spoil = _same,
        greeting: str = "",
    ) -> None:
        self.commands: list[str] = []
        self.spoil = spoil
        self._model, self._name, self._microseconds, self._start = model, name, microseconds, start
        self._greeting = greeting
        self._wanted, self._sample = 0, b""
        self._client: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What ``serial_for_url`` takes."""
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Hang up."""
        for each in (self._listener, self._client):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._client = client
            with client, contextlib.suppress(OSError):
                client.sendall(self._greeting.encode())
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        received = b""
        while data := client.recv(4096):
            received += data
            *whole, received = received.split(b"%")
            for each in whole:
                command = each.decode("ascii").strip("\r\n")
                self.commands.append(command)
                said = self.spoil(command, [*self._answer(command), "m-ready"])
                client.sendall(
                    said if isinstance(said, bytes) else "".join(f"{x}\r\n" for x in said).encode()
                )

    def _answer(self, command: str) -> list[str]:
        words = command.split()
        if command == "name":
            return ["m-name-dut-[unit test]"]
        if command == "profile":
            return ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{self._name}]"]
        if words[:2] == ["db", "load"]:
            self._wanted, self._sample = int(words[2]), b""
            return [f"m-[Expecting {self._wanted} bytes]"]
        if words[:1] == ["db"]:
            self._sample += bytes.fromhex(words[1])
            return ["m-load-done"] if len(self._sample) == self._wanted else []
        if words[:1] == ["infer"]:
            return self._infer(int(words[1]), int(words[2]))
        return [f"e-[Unknown command: {command}]"]

    def _infer(self, iterations: int, warmups: int) -> list[str]:
        end = (self._start + iterations * self._microseconds) % 2**32
        results = ",".join(f"{each:0.3f}" for each in self._model(self._sample))
        return [
            f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{iterations}",
            f"m-lap-us-{self._start}", f"m-lap-us-{end}", "m-infer-done", f"m-results-[{results}]",
        ]  # fmt: skip
