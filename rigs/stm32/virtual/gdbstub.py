"""A small client of QEMU's gdbstub (GDB remote serial protocol over a unix socket)."""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path

from rigs.stm32.virtual.machine import XPSR, StubError, TargetLostError


class GdbStub:
    """One connection to a gdbstub. Connecting stops the machine; ``resume`` starts it.

    While the machine runs nothing may be asked: ``interrupt`` first.
    """

    def __init__(self, path: Path, deadline: float) -> None:
        self._buffer = bytearray()
        self._acknowledge = True
        self._socket = _connect(path, deadline)
        self._socket.settimeout(20)
        features = self.ask("qSupported:")
        while "PacketSize=" not in features:  # the stop reply that attaching causes comes first
            features = self._receive()
        packet = int(features.split("PacketSize=")[1].split(";")[0], 16)
        self._chunk = (packet - 32) // 2
        self.ask("QStartNoAckMode")
        self._acknowledge = False
        self.ask("qXfer:features:read:target.xml:0,ff0")  # QEMU answers p and P only afterwards
        self.ask("?")

    def fileno(self) -> int:
        """For ``select``: readable when the machine stopped by itself or is gone."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, packet: str) -> str:
        """Send one packet, return the answer."""
        self._send(packet)
        return self._receive()

    def interrupt(self) -> bool:
        """Stop the running machine. True when it had stopped by itself before (a breakpoint)."""
        try:
            self._socket.sendall(b"\x03")
        except OSError as error:
            raise TargetLostError(str(error)) from error
        return self._receive().startswith("T05")

    def resume(self) -> None:
        self._send("vCont;c")

    def step(self) -> None:
        self.ask("vCont;s:1")

    def stopped(self) -> bool:
        """Whether the running machine has stopped by itself; takes its stop reply."""
        while not (b"$" in self._buffer and b"#" in self._buffer):
            if not select.select([self._socket], [], [], 0)[0]:
                return False
            self._fill()
        self._receive()
        return True

    def monitor(self, command: str) -> str:
        """Run a command of QEMU's monitor; returns what it printed."""
        self._send("qRcmd," + command.encode().hex())
        printed = ""
        while (answer := self._receive()) != "OK":
            if not answer.startswith("O"):
                raise StubError(f"{command}: {answer}")
            printed += bytes.fromhex(answer[1:]).decode(errors="replace")
        return printed

    def system_reset(self) -> None:
        self.monitor("system_reset")

    def read(self, address: int, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            count = min(size - len(data), self._chunk)
            answer = self.ask(f"m{address + len(data):x},{count:x}")
            if len(answer) == 3 and answer.startswith("E"):
                raise StubError(f"no memory at {address + len(data):#010x}")
            data += bytes.fromhex(answer)
        return bytes(data)

    def write(self, address: int, data: bytes) -> None:
        for offset in range(0, len(data), self._chunk):
            part = data[offset : offset + self._chunk]
            self._expect_ok(f"M{address + offset:x},{len(part):x}:{part.hex()}")

    def registers(self) -> list[int]:
        """r0 to r15 and xPSR."""
        answer = bytes.fromhex(self.ask("g"))
        general = [int.from_bytes(answer[4 * i : 4 * i + 4], "little") for i in range(16)]
        return [*general, self.register(XPSR)]

    def register(self, number: int) -> int:
        """One register by QEMU's number: 0-15, xPSR 25, d0-d15 from 26, FPSCR 42."""
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def set_register(self, number: int, value: int, size: int = 4) -> None:
        self._expect_ok(f"P{number:x}={value.to_bytes(size, 'little').hex()}")

    def set_breakpoint(self, address: int) -> None:
        self._expect_ok(f"Z1,{address:x},2")

    def clear_breakpoint(self, address: int) -> None:
        self._expect_ok(f"z1,{address:x},2")

    def _expect_ok(self, packet: str) -> None:
        answer = self.ask(packet)
        if answer != "OK":
            raise StubError(f"{packet[:24]}: {answer}")

    def _send(self, packet: str) -> None:
        body = packet.encode("ascii")
        try:
            self._socket.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xFF))
        except OSError as error:
            raise TargetLostError(str(error)) from error

    def _receive(self) -> str:
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start) if start >= 0 else -1
            if end >= 0 and len(self._buffer) >= end + 3:
                body = bytes(self._buffer[start + 1 : end])
                del self._buffer[: end + 3]
                if self._acknowledge:
                    self._socket.sendall(b"+")
                return body.decode("ascii")
            self._fill()

    def _fill(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except OSError as error:
            raise TargetLostError(str(error)) from error
        if not data:
            raise TargetLostError("QEMU closed its gdbstub")
        self._buffer += data


def _connect(path: Path, deadline: float) -> socket.socket:
    end = time.monotonic() + deadline
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError as error:
            connection.close()
            if time.monotonic() > end:
                raise TargetLostError(f"QEMU does not open {path}: {error}") from error
            time.sleep(0.005)
