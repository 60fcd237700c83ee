"""What the firmware finds at 0x40000000: USARTs, TIM2 that counts, clocks that are ready; the rest stores.

RM0090 chapters 7 (RCC), 18 (TIM2), 30 (USART).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

TIM2 = 0x40000000
COUNTER_PAGE = 0x1000  # trapped, so that a reading counts to the instruction
USARTS = {1: (0x40011000, 37), 2: (0x40004400, 38)}  # base, interrupt
_SR, _DR, _CR1 = 0x00, 0x04, 0x0C
_RXNE, _TC, _TXE, _RXNEIE = 1 << 5, 1 << 6, 1 << 7, 1 << 5
_RCC_CR, _RCC_CFGR, _RCC_CSR = 0x40023800, 0x40023808, 0x40023874
_CHUNK = 4096


class Usart:
    """One USART. Its line waits until the firmware has taken what came: here no byte is lost."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._received = bytearray()
        self._taken = 0
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._registers: dict[int, int] = {}
        self.transmit: Callable[[bytearray], None] | None = None

    @property
    def interrupting(self) -> bool:
        return bool(self._received) and bool(self._registers.get(_CR1, 0) & _RXNEIE)

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self, data: bytes) -> None:
        """Bytes arrive; from any thread."""
        with self._lock:
            self._received += data
        self._notify()

    def reset(self) -> None:
        self.drain()
        with self._lock:
            self._received.clear()
            self._taken = 0
        self._registers.clear()

    def read(self, offset: int) -> int:
        if offset == _SR:
            return _TXE | _TC | (_RXNE if self._received else 0)
        return self._take() if offset == _DR else self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset != _DR:
            self._registers[offset] = value
            return
        self._unsent.append(value & 0xFF)
        if len(self._unsent) >= _CHUNK:
            self.drain()

    def drain(self) -> None:
        """Send what has been written. Bytes for nobody are lost, as on a wire."""
        if self._unsent:
            data, self._unsent = self._unsent, bytearray()
            if self.transmit is not None:
                with contextlib.suppress(OSError):
                    self.transmit(data)

    def _take(self) -> int:
        with self._lock:
            if not self._received:
                return 0
            byte = self._received[self._taken]
            self._taken += 1
            if self._taken == len(self._received):
                self._received.clear()
                self._taken = 0
            return byte


class Cable:
    """The serial line's end at the host's side. What is sent is in the USART at once."""

    def __init__(self, usart: Usart) -> None:
        self.sendall = usart.receive
        self._out, self._in = socket.socketpair()
        usart.transmit = self._out.sendall
        self.fileno, self.recv, self.close = self._in.fileno, self._in.recv, self._in.close

    def hang_up(self) -> None:
        """No power: nothing comes any more."""
        self._out.close()


class Peripherals:
    """``count`` is what TIM2 shows when it runs; ``notify`` is called when a byte has come in."""

    def __init__(self, count: Callable[[], int], notify: Callable[[], None]) -> None:
        self._count = count
        self.usarts = {number: Usart(notify) for number in USARTS}
        self._pages = {USARTS[number][0] >> 10: usart for number, usart in self.usarts.items()}
        self._stored: dict[int, int] = {}
        self._base = 0

    @property
    def interrupts(self) -> set[int]:
        """Numbers of the interrupts that ask for service."""
        return {USARTS[number][1] for number, usart in self.usarts.items() if usart.interrupting}

    def reset(self) -> None:
        for usart in self.usarts.values():
            usart.reset()
        self._stored.clear()
        self._base = 0

    def drain(self) -> None:
        for usart in self.usarts.values():
            usart.drain()

    @property
    def unsent(self) -> bool:
        return any(usart.unsent for usart in self.usarts.values())

    def read(self, address: int) -> int:
        """A word."""
        usart = self._pages.get(address >> 10)
        if usart is not None:
            return usart.read(address & 0x3FF)
        if address == TIM2 + 0x24:
            return (self._count() - self._base) & 0xFFFFFFFF if self._stored.get(TIM2, 0) & 1 else 0
        value = self._stored.get(address, 0)
        if address == _RCC_CR:  # every oscillator is ready at once
            return value | (value & 0x01010001) << 1
        if address == _RCC_CFGR:
            return value & ~0xC | (value & 3) << 2
        return value

    def write(self, address: int, value: int) -> None:
        """A word, or a part of one."""
        usart = self._pages.get(address >> 10)
        if usart is not None:
            usart.write(address & 0x3FF, value)
        elif address == TIM2 + 0x14 or (address == TIM2 and value & ~self._stored.get(TIM2, 0) & 1):
            self._base = self._count()  # EGR.UG, or CEN
            if address == TIM2:
                self._stored[TIM2] = value
        else:
            self._stored[address] = value
