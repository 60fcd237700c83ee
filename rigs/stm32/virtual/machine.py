"""What executes the chip's code: promised here, kept by ``Emulator`` (unicorn) and by ``Qemu``."""

from __future__ import annotations

from typing import Protocol

XPSR, D0, FPSCR = 25, 26, 42  # numbers of registers beyond r0 to r15, as GDB numbers them


class TargetLostError(Exception):
    """The core locked up, or what executed it has ended."""


class StubError(Exception):
    """The access was refused, for instance because there is no memory at the address."""


class Wire(Protocol):
    """A socket, or what can be read and written like one."""

    def fileno(self) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


class Machine(Protocol):
    """A chip's core, memory and peripherals. It waits in reset for ``resume``.

    While it runs nothing may be asked: ``interrupt`` first.
    """

    @property
    def line(self) -> Wire:
        """The other end of its serial line."""

    @property
    def pid(self) -> int:
        """Of the process that executes it, perhaps ours."""

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended; None while it runs."""

    def fileno(self) -> int:
        """For ``select``: readable when the core stopped by itself or is gone."""

    def stop(self) -> None:
        """End at once, as when the supply goes."""

    def resume(self) -> None:
        """Run."""

    def interrupt(self) -> bool:
        """Stop the running core. True when it had stopped by itself before (a breakpoint)."""

    def stopped(self) -> bool:
        """Whether the running core has stopped by itself. Raises ``TargetLostError``."""

    def step(self) -> None:
        """One instruction."""

    def system_reset(self) -> None:
        """Reset of core and peripherals; RAM is kept."""

    def read(self, address: int, size: int) -> bytes:
        """Raises ``StubError``."""

    def write(self, address: int, data: bytes) -> None:
        """Also to flash. Raises ``StubError``."""

    def registers(self) -> list[int]:
        """r0 to r15 and xPSR."""

    def register(self, number: int) -> int:
        """One register by number."""

    def set_register(self, number: int, value: int, size: int = 4) -> None:
        """One register by number; ``size`` in bytes."""

    def set_breakpoint(self, address: int) -> None:
        """Stop before the instruction at ``address``."""

    def meter(self, bound: str, wait_states: int) -> None:
        """Count clock cycles, ``low`` or ``high``, at so many wait states; empty: instructions.

        ``ValueError`` where only instructions can be counted.
        """

    def clear_breakpoint(self, address: int) -> None:
        """No longer."""
