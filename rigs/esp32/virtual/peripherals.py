"""The chip around the core: UART, USB Serial/JTAG, system timer, watchdogs, interrupt matrix, eFuses.

``receive`` and ``tick`` are called by the thread that serves the lines, all else by the core's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rigs.esp32.virtual import registers as reg
from rigs.esp32.virtual.flash import NorFlash

FIFO_BYTES = 128
USB_PACKET = 64
XTAL_HZ = 40_000_000
TIMER_HZ = 16_000_000
_INSTRUCTIONS_PER_TICK = 10  # the core is taken to run at 160 MHz, an instruction a cycle
_POLLING_DISTANCE = 2000  # instructions between two looks at the timer, if nothing is done in between
_RESTING_NAPS = 6
_FIRST_NAP, _NAP, _LONG_NAP = 0.0005, 0.02, 0.1  # seconds; a nap is twice the one before it
_MILLISECOND = TIMER_HZ // 1000
_TRUE_MILLISECONDS = 15.0  # seconds of silence; longer than any timeout of the firmware


class Uart:
    """UART0. The line waits while the FIFO is full, unless ``burst_limit`` is set.

    Then only so many bytes can wait, and those beyond are lost, as on a line that cannot be stopped.
    """

    def __init__(self, transmit: Callable[[bytes], None], raised: Callable[[], None]) -> None:
        self._transmit, self._raised = transmit, raised
        self._lock = threading.Lock()
        self._wire = bytearray()
        self._fifo = bytearray()
        self._unsent = bytearray()
        self._raw = self._enabled = 0
        self._threshold, self._timeout_enabled = 96, False
        self._divider = 347 | 3 << 20
        self._sync = 0
        self.burst_limit: int | None = None

    @property
    def baud(self) -> float:
        """Bits per second that CLKDIV makes of the crystal."""
        return XTAL_HZ / ((self._divider & 0xFFF or 1) + (self._divider >> 20 & 15) / 16)

    @property
    def interrupting(self) -> bool:
        """Whether an enabled interrupt is raised."""
        return bool(self._raw & self._enabled)

    def receive(self, data: bytes) -> None:
        """Bytes arrive on the line."""
        with self._lock:
            if self.burst_limit is not None:
                room = max(0, self.burst_limit - len(self._fifo) - len(self._wire))
                if len(data) > room:
                    self._raw |= reg.RXFIFO_OVF
                data = data[:room]
            self._wire += data
            self._refill()

    def drain(self) -> None:
        """Send what the core has written."""
        with self._lock:
            data, self._unsent = bytes(self._unsent), bytearray()
        if data:
            self._transmit(data)

    def read(self, address: int) -> int:
        """A register of the UART."""
        if address == reg.UART_FIFO:
            return self._pop()
        if address == reg.UART_STATUS:
            self.drain()
            return min(len(self._fifo), FIFO_BYTES)
        return {
            reg.UART_INT_RAW: self._raw,
            reg.UART_INT_ST: self._raw & self._enabled,
            reg.UART_INT_ENA: self._enabled,
            reg.UART_CLKDIV: self._divider,
            reg.UART_CONF1: self._threshold | (reg.RX_TOUT_EN if self._timeout_enabled else 0),
            reg.UART_ID: self._sync,
        }.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """A register of the UART."""
        if address == reg.UART_FIFO:
            self._unsent.append(value & 0xFF)
            if len(self._unsent) >= FIFO_BYTES:
                self.drain()
        elif address == reg.UART_CLKDIV:
            self.drain()
            self._divider = value
        elif address == reg.UART_CONF0 and value & reg.RXFIFO_RST:
            with self._lock:
                self._fifo.clear()
        elif address == reg.UART_ID:
            self._sync = value & ~reg.REG_UPDATE
        else:
            with self._lock:
                if address == reg.UART_INT_ENA:
                    self._enabled = value
                elif address == reg.UART_INT_CLR:
                    self._raw &= ~value
                elif address == reg.UART_CONF1:
                    self._threshold, self._timeout_enabled = value & 0x1FF, bool(value & reg.RX_TOUT_EN)
                self._refill()

    def _pop(self) -> int:
        with self._lock:
            if not self._fifo:
                return 0
            byte = self._fifo.pop(0)
            if self._wire:
                self._refill()
            return byte

    def _refill(self) -> None:
        room = FIFO_BYTES - len(self._fifo)
        if room and self._wire:
            self._fifo += self._wire[:room]
            del self._wire[:room]
        before = self.interrupting
        if len(self._fifo) > self._threshold:
            self._raw |= reg.RXFIFO_FULL
        if self._fifo and not self._wire and self._timeout_enabled:
            self._raw |= reg.RXFIFO_TOUT
        if self.interrupting and not before:
            self._raised()


class UsbSerial:
    """The serial half of USB Serial/JTAG, with a host that always reads."""

    def __init__(self, transmit: Callable[[bytes], None], raised: Callable[[], None]) -> None:
        self._transmit, self._raised = transmit, raised
        self._lock = threading.Lock()
        self._wire = bytearray()
        self._packet = bytearray()
        self._unsent = bytearray()
        self._raw = self._enabled = 0

    @property
    def interrupting(self) -> bool:
        """Whether an enabled interrupt is raised."""
        return bool(self._raw & self._enabled)

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        with self._lock:
            self._wire += data
            self._next_packet()

    def read(self, address: int) -> int:
        """A register of the controller."""
        if address == reg.USB_EP1:
            with self._lock:
                byte = self._packet.pop(0) if self._packet else 0
                self._next_packet()
                return byte
        if address == reg.USB_EP1_CONF:
            return reg.USB_IN_FREE | (reg.USB_OUT_AVAIL if self._packet else 0)
        return {
            reg.USB_INT_RAW: self._raw,
            reg.USB_INT_ST: self._raw & self._enabled,
            reg.USB_INT_ENA: self._enabled,
        }.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """A register of the controller."""
        if address == reg.USB_EP1:
            self._unsent.append(value & 0xFF)
        elif address == reg.USB_EP1_CONF and value & reg.USB_WR_DONE:
            data, self._unsent = bytes(self._unsent), bytearray()
            self._transmit(data)
        elif address == reg.USB_INT_ENA:
            self._enabled = value
        elif address == reg.USB_INT_CLR:
            self._raw &= ~value

    def _next_packet(self) -> None:
        if not self._packet and self._wire:
            self._packet += self._wire[:USB_PACKET]
            del self._wire[:USB_PACKET]
            self._raw |= reg.USB_RECEIVED
            if self.interrupting:
                self._raised()


class Watchdogs:
    """RTC, super and timer group 0 watchdog: armed by the ROM, stopped only by the right keys."""

    def __init__(self, booted_from_flash: bool, now: Callable[[], float]) -> None:
        self._now = now
        self._rtc_key = self._swd_key = self._group_key = False
        self._rtc_seconds = _rtc_seconds(200_000)
        start = now()
        self._deadlines: dict[str, float] = {}
        if booted_from_flash:
            self._deadlines = {"RTC": start + self._rtc_seconds, "super": start + 1.0, "group 0": start + 1.0}

    def expired(self) -> str:
        """The watchdog that has bitten, else an empty string."""
        now = self._now()
        return next((name for name, when in self._deadlines.items() if now >= when), "")

    def write(self, address: int, value: int) -> bool:
        """Follow a register write; False when the register is not a watchdog's, or locked."""
        if address == reg.RTC_WDTWPROTECT:
            self._rtc_key = value == reg.WDT_KEY
        elif address == reg.RTC_SWD_WPROTECT:
            self._swd_key = value == reg.SWD_KEY
        elif address == reg.TIMG0_WDTWPROTECT:
            self._group_key = value == reg.WDT_KEY
        elif address == reg.RTC_WDTCONFIG1 and self._rtc_key:
            self._rtc_seconds = _rtc_seconds(value)
        elif address == reg.RTC_WDTCONFIG0 and self._rtc_key:
            self._set("RTC", value & (reg.WDT_EN | reg.WDT_FLASHBOOT), self._rtc_seconds)
        elif address == reg.RTC_SWD_CONF and self._swd_key:
            self._set("super", not value & reg.SWD_AUTO_FEED, 1.0)
        elif address == reg.TIMG0_WDTCONFIG0 and self._group_key:
            self._set("group 0", value & (reg.TIMG_WDT_EN | reg.TIMG_WDT_FLASHBOOT), 1.0)
        else:
            return False
        return True

    def _set(self, name: str, armed: int | bool, seconds: float) -> None:
        if armed:
            self._deadlines[name] = self._now() + seconds
        else:
            self._deadlines.pop(name, None)


def _rtc_seconds(hold: int) -> float:
    """Stage 0 lasts twice its register's count of the slow clock, with eFuse WDT_DELAY_SEL at 0."""
    return 2 * hold / reg.RTC_SLOW_HZ


class Peripherals:
    """The bus of one boot.

    ``instructions`` reads the core's counter, from which its time is made; without one, in the
    loader, time is the real one. ``wake_core`` makes the core look here.
    """

    def __init__(
        self,
        flash: NorFlash,
        mac: bytes,
        *,
        transmit_uart: Callable[[bytes], None],
        transmit_usb: Callable[[bytes], None],
        system_reset: Callable[[bool], None],
        stopping: Callable[[], bool],
        instructions: Callable[[], int] | None,
        booted_from_flash: bool,
        timer_off: bool = False,
    ) -> None:
        self.stopping = stopping
        self.uart = Uart(transmit_uart, lambda: self.wake_core())
        self.usb = UsbSerial(transmit_usb, lambda: self.wake_core())
        self._instructions = instructions
        self.wake_core: Callable[[], None] = lambda: None
        self.unmodelled: set[int] = set()
        self._flash = flash
        self._system_reset = system_reset
        self._plain = {reg.SYSTIMER_CONF: reg.SYSTIMER_RESET & ~(reg.SYSTIMER_WORK_EN if timer_off else 0)}
        self._fuses = {
            reg.EFUSE_MAC_LOW: int.from_bytes(mac[2:], "big"),
            reg.EFUSE_MAC_HIGH: int.from_bytes(mac[:2], "big"),
            reg.EFUSE_SYS3: 3 << 18,  # revision 0.3, the first that boots directly
            reg.EFUSE_SYS5: 0,
        }
        self._alarm = threading.Condition()
        self._woken = False
        self._naps = 0
        self._skipped_ticks = 0
        self._owed = 0  # ticks slept that the core has not seen pass yet
        self._quiet_since = time.monotonic()
        self._last_look: int | None = None
        self._sampled = 0
        self.napping = False
        self.watchdogs = Watchdogs(booted_from_flash, self._seconds)

    @property
    def timer_runs(self) -> bool:
        """Whether unit 0 of the system timer is switched on."""
        return bool(self._plain[reg.SYSTIMER_CONF] & reg.SYSTIMER_WORK_EN)

    @property
    def resting(self) -> bool:
        """Whether the core has been waiting for a while, not just for the end of something it does."""
        return self.napping and self._naps == _RESTING_NAPS

    def receive(self, data: bytes, over_usb: bool) -> None:
        """Bytes arrive at one of the consoles."""
        (self.usb if over_usb else self.uart).receive(data)
        self.wake()

    def wake(self) -> None:
        """Something has happened that the core should see."""
        with self._alarm:
            self._woken = True
            self._alarm.notify()
        self.wake_core()

    def interrupt_line(self) -> int:
        """The CPU interrupt with a raised, mapped, enabled source of sufficient priority, 0 for none."""
        for source, raised in (
            (reg.UART_SOURCE, self.uart.interrupting),
            (reg.USB_SOURCE, self.usb.interrupting),
        ):
            if not raised:
                continue
            line = self._plain.get(reg.INTERRUPT_MATRIX + 4 * source, 0) & 31
            priority = self._plain.get(reg.CPU_INT_PRI_0 + 4 * line, 0)
            enabled = self._plain.get(reg.CPU_INT_ENABLE, 0) >> line & 1
            if line and enabled and priority >= max(1, self._plain.get(reg.CPU_INT_THRESH, 0)):
                return line
        return 0

    def read(self, address: int) -> int:
        """A 32-bit register."""
        if address == reg.SYSTIMER_OP:
            return reg.SYSTIMER_VALID
        if address == reg.SYSTIMER_LOW:
            return self._sampled & 0xFFFFFFFF
        if address == reg.SYSTIMER_HIGH:
            return self._sampled >> 32
        self._last_look = None
        if reg.UART <= address < reg.UART + 0x100 and address not in reg.PLAIN:
            return self.uart.read(address)
        if reg.USB <= address < reg.USB + 0x100:
            return self.usb.read(address)
        if address in self._fuses:
            return self._fuses[address]
        if address not in reg.PLAIN and address not in (reg.RTC_OPTIONS0, reg.RTC_WDTCONFIG0):
            self.unmodelled.add(address)
        return self._plain.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """A 32-bit register."""
        if address == reg.SYSTIMER_OP:
            self._look_at_timer()
            return
        self._last_look = None
        if address == reg.UART_FIFO:
            self.uart.write(address, value)
        else:
            self._configure(address, value)
            if self.interrupt_line():
                self.wake_core()

    def _configure(self, address: int, value: int) -> None:
        if reg.USB <= address < reg.USB + 0x100:
            self.usb.write(address, value)
        elif address == reg.SPI_CMD and value & reg.SPI_USER_START:
            self._flash_command()
        elif address == reg.RTC_OPTIONS0 and value & reg.SW_SYS_RST:
            self.uart.drain()
            self._system_reset(bool(self._plain.get(reg.RTC_OPTION1, 0) & reg.FORCE_DOWNLOAD_BOOT))
        elif self.watchdogs.write(address, value) or address in reg.PLAIN:
            self._plain[address] = value
            if address == reg.UART_CONF0:
                self.uart.write(address, value)
        elif reg.UART <= address < reg.UART + 0x100:
            self.uart.write(address, value)
        elif address not in (reg.RTC_OPTIONS0, reg.RTC_WDTCONFIG0, reg.TIMG0_WDTCONFIG0):
            self.unmodelled.add(address)

    def tick(self) -> str:
        """Called now and then: sends what waits; returns the name of a watchdog that has bitten."""
        self.uart.drain()
        if self.timer_runs:
            self._sampled = max(self._sampled, self._ticks())
        return self.watchdogs.expired()

    def _flash_command(self) -> None:
        opcode = self._plain.get(reg.SPI_USER2, 0) & 0xFF
        reply_bits = self._plain.get(reg.SPI_MISO_DLEN, 0) + 1
        word = self._flash.command(opcode, self._plain.get(reg.SPI_ADDR, 0), reply_bits)
        self._plain[reg.SPI_W0] = word
        self._plain[reg.SPI_CMD] = 0

    def _ticks(self) -> int:
        if self._instructions is None:
            return int(time.monotonic() * TIMER_HZ)
        return self._instructions() // _INSTRUCTIONS_PER_TICK + self._skipped_ticks

    def _seconds(self) -> float:
        return self._ticks() / TIMER_HZ

    def _look_at_timer(self) -> None:
        """A core that reads the timer again and again, and does nothing else, has nothing to do: let it
        sleep until something comes.
        """
        self.uart.drain()
        count = self._instructions() if self._instructions else 0
        polling = self._last_look is not None and count - self._last_look < _POLLING_DISTANCE
        if polling and not self.interrupt_line():
            self._nap()
        self._last_look = count
        if self.timer_runs:
            self._sampled = self._ticks()

    def _nap(self) -> None:
        """Sleep a while, then let the slept time pass a millisecond a look, so that a program that counts
        its rounds of waiting counts right. After long silence nothing counts any more: time then jumps.
        """
        self._naps = min(self._naps + 1, _RESTING_NAPS)
        if self._owed < _MILLISECOND:
            start = time.monotonic()
            jump = start - self._quiet_since > _TRUE_MILLISECONDS
            woken = self._sleep(_LONG_NAP if jump else min(_FIRST_NAP * 2**self._naps, _NAP))
            self._owed += int((time.monotonic() - start) * TIMER_HZ)
            if woken or jump:
                self._skipped_ticks += self._owed
                self._owed = 0
                return
        step = min(self._owed, _MILLISECOND)
        self._skipped_ticks += step
        self._owed -= step

    def _sleep(self, seconds: float) -> bool:
        """True when something came."""
        with self._alarm:
            self.napping = True
            if not self._woken:
                self._alarm.wait(seconds)
            woken, self._woken, self.napping = self._woken, False, False
            if woken:
                self._naps = 0
                self._quiet_since = time.monotonic()
        return woken
