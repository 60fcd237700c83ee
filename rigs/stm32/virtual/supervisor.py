"""The process that is a virtual board: the machine, the debug port's server, the serial line's other end.

It answers lines of JSON on a unix socket, ``[operation, arguments...]`` with ``["ok", value]`` or
``["fault", kind, text]``. It ends when its standard input closes or its parent dies, and the machine with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.protocols.misbehaving import BOARD_FAULTS, FLASH_FAULTS, HEAL, LINE_FAULTS
from rigs.common.flash_file import map_flash
from rigs.stm32.chips import ENGINES
from rigs.stm32.virtual.core import BusFaultError, Core, NoPowerError, State
from rigs.stm32.virtual.debug_port import DebugPort
from rigs.stm32.virtual.emulator import Emulator
from rigs.stm32.virtual.flash_controller import FLASH_BASE, FLASH_SIZE, PowerLostError, StuckBit
from rigs.stm32.virtual.line import Line
from rigs.stm32.virtual.machine import Machine, TargetLostError
from rigs.stm32.virtual.qemu import Qemu, die_with_parent

FAULTS = (*LINE_FAULTS, *FLASH_FAULTS, *BOARD_FAULTS, HEAL)
SOCKET_FILE = "control"


class Supervisor:
    """One board: its sockets live in ``folder``, its flash is the file ``flash``, ``log`` tells its story."""

    def __init__(self, folder: Path, flash: Path, log: Path, usart: int, engine: str) -> None:
        self._usart = usart
        self._engine = engine
        self._doomed = False  # told to die, once it has answered
        self._folder = folder
        self._flash_path = flash
        self._log_file = log
        self._log = log.open("a", encoding="utf-8")
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._debugger: socket.socket | None = None
        self._watched: Machine | None = None
        self._watched_file = -1
        self.running = True
        self.orphaned = False  # the parent has gone without closing the board
        self._flash_file = map_flash(flash, FLASH_SIZE)
        self._line = Line()
        self._core = Core(self._flash_file, self._start_machine, self.report)
        self._port = DebugPort(self._core)
        self._operations: dict[str, Callable[..., Any]] = {
            "attach": self._attach,
            "connect": self._port.connect,
            "read_dp": self._port.read_dp,
            "write_dp": self._port.write_dp,
            "read_ap": self._port.read_ap,
            "write_ap": self._port.write_ap,
            "nreset": self._port.reset,
            "hold_reset": self._port.hold_reset,
            "reset_held": lambda: self._port.reset_held,
            "reset": self._core.reset,
            "power_cycle": self._power_cycle,
            "meter": self._core.meter,
            "misbehave": self._misbehave,
            "status": self._status,
        }

    @property
    def serial_port(self) -> int:
        return self._line.port

    def report(self, text: str) -> None:
        """One line into the board's log."""
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._log.flush()

    def start(self) -> None:
        """Open the control socket and switch the power on."""
        self._listener.bind(str(self._folder / SOCKET_FILE))
        self._listener.listen(4)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._line.start()
        self._core.power_on()
        self.report(f"power on, serial port {self.serial_port}")

    def run(self) -> None:
        """Serve until standard input has something to say, or closes."""
        while self.running:
            self._watch_machine()
            for key, _ in self._selector.select():
                self._serve(key.fileobj)

    def stop(self) -> None:
        self.running = False
        self._core.power_off()
        self._line.stop()
        self.report("power off")

    # -- events

    def _serve(self, source: object) -> None:
        if source is sys.stdin:
            self.orphaned = not os.read(0, 64)  # an orderly parent says goodbye first
            self.running = False
        elif source is self._listener:
            connection, _ = self._listener.accept()
            self._buffers[connection] = bytearray()
            self._selector.register(connection, selectors.EVENT_READ)
        elif isinstance(source, socket.socket):
            self._receive(source)
        else:
            self._guard(self._core.poll)  # the machine: a breakpoint, or its end

    def _watch_machine(self) -> None:
        """Listen to the machine that runs now."""
        now = None if self._core.state is State.OFF else self._core.machine
        if now is self._watched:
            return
        if self._watched is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._watched_file)
        self._watched = now
        if now is not None:
            self._watched_file = now.fileno()
            self._selector.register(self._watched_file, selectors.EVENT_READ)

    def _start_machine(self) -> Machine:
        machine: Machine
        if self._engine == "qemu":
            machine = Qemu(self._flash_path, self._folder, self._log_file, self._usart)
        else:
            machine = Emulator(self._flash_file, self._usart)
        self._line.connect_board(machine.line)
        return machine

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._hang_up(connection)
            return
        buffer = self._buffers[connection]
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            request = json.loads(buffer[:end])
            del buffer[: end + 1]
            answer = self._answer(connection, request)
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")
            if self._doomed:
                os.kill(os.getpid(), signal.SIGKILL)

    def _hang_up(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._buffers[connection]
        connection.close()
        if connection is self._debugger:
            self._debugger = None
            self._core.release()

    def _answer(self, connection: socket.socket, request: list[Any]) -> list[Any]:
        operation, *arguments = request
        if operation == "attach":
            arguments = [connection]
        return self._guard(self._operations[operation], *arguments)

    def _guard(self, operation: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Do it; what the board does to itself meanwhile becomes an answer."""
        try:
            return ["ok", operation(*arguments)]
        except BusFaultError as error:
            return ["fault", "bus", str(error)]
        except NoPowerError as error:
            return ["fault", "power", str(error)]
        except PowerLostError as error:
            self.report(str(error))
            self._power_off()
            return ["fault", "power", str(error)]
        except TargetLostError:
            self._core.lost()
            if self._core.state is State.OFF:
                self._line.hang_up()
                return ["fault", "power", self._core.death]
            return ["fault", "lockup", "the core locked up"]
        except (ValueError, TypeError) as error:
            return ["fault", "usage", str(error)]

    # -- operations

    def _attach(self, connection: socket.socket) -> None:
        if self._debugger is not None:
            raise ValueError("another debugger is connected")
        self._debugger = connection

    def _power_off(self) -> None:
        self._core.power_off()
        self._line.connect_board(None)

    def _power_cycle(self) -> None:
        self.report("power cycle")
        self._power_off()
        self._core.power_on()

    def _status(self) -> dict[str, Any]:
        return {
            "state": self._core.state.name.lower(),
            "death": self._core.death,
            "lockups": self._core.lockups,
            "byte_faults": self._line.hits(),
            "pid": self._core.machine.pid if self._core.state is not State.OFF else 0,
        }

    def _misbehave(self, fault: str, how: dict[str, Any]) -> None:
        self.report(f"told to misbehave: {fault} {how}")
        if fault in LINE_FAULTS:
            self._line.add_fault(fault, **how)
        elif fault == "stick":
            self._stick(**how)
        elif fault == "power_loss":
            self._core.controller.lose_power_after = int(how.get("after_bytes", 0))
        elif fault == "hang":
            self._core.hang()
        elif fault == "crash":
            self._core.crash()
        elif fault == "die":
            self._die()
        elif fault == HEAL:
            self._line.clear_faults()
            self._core.controller.heal()
        else:
            raise ValueError(f"unknown fault {fault!r}; allowed: {', '.join(FAULTS)}")

    def _die(self) -> None:
        pid = self._core.machine.pid if self._core.state is not State.OFF else os.getpid()
        if pid == os.getpid():
            self._doomed = True
        else:
            os.kill(pid, signal.SIGKILL)

    def _stick(self, address: int, bit: int = 0, value: int | None = None) -> None:
        """Without ``value`` the bit sticks at the opposite of what it is."""
        offset = address - FLASH_BASE
        if not 0 <= offset < FLASH_SIZE or not 0 <= bit < 8:
            raise ValueError(f"no flash bit {bit} at {address:#010x}; flash is 1 MiB at {FLASH_BASE:#010x}")
        if value is None:
            value = 1 - (self._flash_file[offset] >> bit & 1)
        self._core.controller.stick(StuckBit(offset, bit, value))
        if self._core.state is not State.OFF:
            self._core.write_flash_through()


def _follow_parent(supervisor: Supervisor, parent: int) -> None:
    """End when the parent is gone, even if a child of its own still holds our standard input open.

    The signal also comes when only the thread that started us has ended; then nothing is to be done.
    """

    def notice(_number: int, _frame: object) -> None:
        if os.getppid() != parent and supervisor.running:
            supervisor.running, supervisor.orphaned = False, True
            raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, notice)
    die_with_parent(signal.SIGUSR1)
    if os.getppid() != parent:
        raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int | str:
    """Run a board; prints a line of JSON with its serial port when ready. Returns 0, or what is wrong."""
    parser = argparse.ArgumentParser(prog="virtual-stm32f405", description=__doc__)
    parser.add_argument("folder", type=Path, help="where its sockets live; removed at the end")
    parser.add_argument("--flash", type=Path, required=True, help="file with the contents of its flash")
    parser.add_argument("--log", type=Path, required=True, help="the board's log is appended here")
    parser.add_argument("--usart", type=int, choices=(1, 2), default=2, help="the console with a cable")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="what executes its code")
    parser.add_argument("--home", type=Path, required=True, help="removed at the end if the parent is gone")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to die with")
    options = parser.parse_args(arguments)
    try:
        supervisor = Supervisor(options.folder, options.flash, options.log, options.usart, options.engine)
    except UsageError as error:
        return f"virtual-stm32f405: {error}"
    try:
        _follow_parent(supervisor, options.parent)
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
        supervisor.start()
        print(json.dumps({"port": supervisor.serial_port}), flush=True)
        supervisor.run()
    except KeyboardInterrupt:
        pass
    finally:
        supervisor.stop()
        shutil.rmtree(options.home if supervisor.orphaned else options.folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
