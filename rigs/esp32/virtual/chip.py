"""The chip as a whole: reset and strapping pins, what the mask ROM does after a reset, faults on command."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_quantcheck.rig.protocols.misbehaving import BOARD_FAULTS, FLASH_FAULTS, HEAL, LINE_FAULTS
from rigs.common.cycle_table import BOUNDS
from rigs.common.line_faults import DIRECTIONS, DamagedDirection, break_line
from rigs.esp32.virtual import core as cpu
from rigs.esp32.virtual.flash import NorFlash, PowerLostError
from rigs.esp32.virtual.loader import SerialLoader
from rigs.esp32.virtual.peripherals import FIFO_BYTES, Peripherals

ESP32_C3_CHIP_ID = 5
_DIRECT_BOOT = struct.pack("<II", 0xAEDB041D, 0xAEDB041D)
_BANNER = b"ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x%x (%s),boot:0x%x (%s)\r\n"
_RESET_CAUSES = {
    "POWERON": 0x1,
    "RTC_SW_SYS_RST": 0x3,
    "TG0WDT_SYS_RST": 0x7,
    "RTCWDT_SYS_RST": 0x9,
    "SUPER_WDT_RST": 0x12,
}
_WATCHDOG_CAUSES = {"RTC": "RTCWDT_SYS_RST", "super": "SUPER_WDT_RST", "group 0": "TG0WDT_SYS_RST"}
_BAUD_TOLERANCE = 0.03
_RATE_CHANGE_INSTRUCTIONS = 100_000
FAULTS = (*LINE_FAULTS, *FLASH_FAULTS, *BOARD_FAULTS, "chip_id", "timer_off", HEAL)
_HEADER_REPORTS = 18  # until the watchdog of timer group 0 ends them (espressif/esp-idf#7734)
_REPORT_SECONDS = 0.02


@dataclass(frozen=True)
class _Boot:
    """What to do after a reset: the strap's level, or a program that the loader put into RAM."""

    cause: str
    download: bool = False
    segments: dict[int, bytes] = field(default_factory=dict)
    entry: int = 0


class Chip:
    """``run`` belongs to one thread, everything else to the one that serves the lines.

    ``transmit`` gets what the chip sends (from either thread). ``console`` is ``uart`` or ``usb``.
    """

    def __init__(
        self, flash: NorFlash, mac: bytes, transmit: Callable[[bytes], None], *, console: str = "uart"
    ) -> None:
        self.flash = flash
        self.host_baud: int | None = None
        self.mode = "off"
        self._mac, self._transmit, self._over_usb = mac, transmit, console == "usb"
        self._ram, self._rtc_ram = cpu.Memory(cpu.RAM_BYTES), cpu.Memory(cpu.RTC_BYTES)
        self._lines = {direction: DamagedDirection() for direction in DIRECTIONS}
        self._chip_id = ESP32_C3_CHIP_ID
        self._burst_limit: int | None = None
        self._timer_off = False
        self._change = threading.Condition()
        self._boot: _Boot | None = _Boot("POWERON")
        self._early = bytearray()
        self._misread = bytearray()
        self._misread_until = 0
        self._dtr = self._rts = self._held = self._hung = False
        self._fault_to_inject = 0
        self._core: cpu.Core | None = None
        self._loader: SerialLoader | None = None
        self._peripherals = self._new_peripherals()

    # The lines' side

    def power_on(self, *, download: bool) -> None:
        """The first reset, with GPIO9 at this level."""
        self._reset(_Boot("POWERON", download=download))

    def set_lines(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS through the usual two transistors: RTS alone pulls EN low, DTR alone GPIO9.

        Both asserted leave EN where it was: its capacitor bridges the moment in which a tool
        changes one line after the other.
        """
        self._dtr, self._rts = dtr, rts
        if dtr and rts:
            return
        if rts:
            self._held = True
            self._discard_input()
            self._look_again()
        elif self._held:
            self._held = False
            self._reset(_Boot("POWERON", download=dtr))

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        data, wait = self._lines["to_board"].damage(data, time.monotonic())
        if wait:
            time.sleep(wait)
        with self._change:
            if self._boot is not None:
                self._early += data
                return
        if self._misread or not self._same_rate:
            if not self._misread:
                self._misread_until = self._instructions() + _RATE_CHANGE_INSTRUCTIONS
            self._misread += data
            self._settle_rate()
        else:
            self._deliver(data)

    def tick(self) -> None:
        """Called as often as ``tick_seconds`` says: watchdogs bite, waiting output goes out."""
        self._settle_rate()
        bitten = self._peripherals.tick()
        if bitten and self.mode not in ("off", "hung"):
            self._reset(_Boot(_WATCHDOG_CAUSES[bitten]))

    @property
    def tick_seconds(self) -> float:
        """How soon ``tick`` should come."""
        if self._misread:
            return 0.001
        return 0.02 if self._core is not None and not self._peripherals.napping else 0.25

    @property
    def state(self) -> dict[str, object]:
        """What a test may want to know."""
        return {
            "mode": self.mode,
            "instructions": self._instructions(),
            "unmodelled": sorted(self._peripherals.unmodelled),
            "timer": self._peripherals.timer_runs,
        }

    def misbehave(self, fault: str, **how: object) -> None:
        """Break on purpose; ``heal`` repairs. ``ValueError`` or ``TypeError`` for what makes no sense."""
        if fault == "overrun":  # of the UART's FIFO, not of the line
            self._burst_limit = self._peripherals.uart.burst_limit = _number(how, "limit", FIFO_BYTES)
        elif fault in LINE_FAULTS:
            break_line(self._lines, fault, **how)  # type: ignore[arg-type]  # values come from outside
        elif fault == "stick":
            address, bit = _number(how, "address"), _number(how, "bit", 0)
            opposite = ~self.flash.read(address, 1)[0] >> bit & 1
            self.flash.stick_bit(address, bit, _number(how, "value", opposite))
        elif fault == "power_loss":
            self.flash.lose_power_after(_number(how, "after_bytes", 0))
        elif fault == "hang":
            self._hung = True
            self._look_again()
        elif fault == "crash":
            self._fault_to_inject = _number(how, "cause", cpu.ILLEGAL_INSTRUCTION)
            self._peripherals.wake()
        elif fault == "chip_id":
            self._chip_id = _number(how, "value")
        elif fault == "timer_off":
            self._timer_off = True
        elif fault == "die":
            raise PowerLostError
        elif fault == HEAL:
            self._repair()
        else:
            raise ValueError(f"fault {fault!r} is not known; allowed: {', '.join(FAULTS)}")

    def meter(self, bound: str) -> None:
        """Count clock cycles instead of instructions until the next reset; ``ValueError`` if nothing runs."""
        if self._core is None or bound not in ("", *BOUNDS):
            raise ValueError(f"cycles cannot be counted: mode {self.mode!r}, bound {bound!r}")
        self._core.request_meter(bound)
        self._peripherals.wake()

    # The core's side

    def run(self) -> None:
        """Boot after every reset, for ever."""
        while True:
            with self._change:
                while self._boot is None:
                    self._change.wait()
                boot = self._boot
            if boot.entry:
                self._start_core(boot)
            elif boot.download:
                self._start_loader(boot)
            else:
                self._boot_from_flash(boot)

    def _start_loader(self, boot: _Boot) -> None:
        self._peripherals = self._new_peripherals()
        self._loader = SerialLoader(
            self.flash,
            self._peripherals,
            self._chip_id,
            send=self._send,
            run_ram=lambda segments, entry: self._reset(_Boot("POWERON", segments=segments, entry=entry)),
            reboot=lambda: self._reset(_Boot("RTC_SW_SYS_RST")),
        )
        self._say_hello(boot, 0x5, b"DOWNLOAD(USB/UART0/1)")
        self._send(b"waiting for download\r\n")
        self._booted(boot, "loader")

    def _boot_from_flash(self, boot: _Boot) -> None:
        self._say_hello(boot, 0xD, b"SPI_FAST_FLASH_BOOT")
        header = self.flash.read(0, 8)
        if header == _DIRECT_BOOT:
            self._start_core(boot)
        else:
            self._booted(boot, "no image")
            self._report_header(f"invalid header: 0x{int.from_bytes(header[:4], 'little'):08x}\r\n".encode())

    def _report_header(self, report: bytes) -> None:
        """The ROM looks again and again, until a watchdog or somebody else resets the chip."""
        for _ in range(_HEADER_REPORTS):
            self._send(report)
            with self._change:
                if self._change.wait_for(lambda: self._boot is not None, _REPORT_SECONDS):
                    return
        self._reset(_Boot("TG0WDT_SYS_RST"))

    def _start_core(self, boot: _Boot) -> None:
        for address, content in boot.segments.items():
            self._ram.write((address - cpu.RAM_DATA) % (cpu.RAM_CODE - cpu.RAM_DATA), content)
        self._peripherals = peripherals = self._new_peripherals(boot)
        core = cpu.Core(peripherals, self.flash.host_address, self._ram, self._rtc_ram)
        peripherals.wake_core = core.stop
        self._core = core
        self._booted(boot, "app")
        core.run(boot.entry or cpu.FLASH_CODE + len(_DIRECT_BOOT), self._take_fault)
        peripherals.uart.drain()
        self._core = None
        self.mode = "hung" if self._hung else "off"

    def _booted(self, boot: _Boot, mode: str) -> None:
        with self._change:
            self.mode = mode
            if self._boot is boot:
                self._boot = None
            early, self._early = bytes(self._early), bytearray()
        if early:
            self._deliver(early)

    def _new_peripherals(self, program: _Boot | None = None) -> Peripherals:
        """For the core's run of ``program``, or for the loader."""
        self._loader = None
        made = Peripherals(
            self.flash,
            self._mac,
            transmit_uart=self._uart_out,
            transmit_usb=self._usb_out,
            system_reset=lambda download: self._reset(_Boot("RTC_SW_SYS_RST", download=download)),
            stopping=lambda: self._boot is not None or self._held or self._hung,
            instructions=self._instructions if program else None,
            booted_from_flash=program is not None and not program.entry,
            timer_off=self._timer_off,
        )
        made.uart.burst_limit = self._burst_limit
        return made

    def _instructions(self) -> int:
        return self._core.instructions if self._core is not None else 0

    def _take_fault(self) -> int:
        fault, self._fault_to_inject = self._fault_to_inject, 0
        return fault

    def _say_hello(self, boot: _Boot, strap: int, mode: bytes) -> None:
        self._send(_BANNER % (_RESET_CAUSES[boot.cause], boot.cause.encode(), strap, mode))

    # Both

    def _reset(self, boot: _Boot) -> None:
        with self._change:
            self._boot, self._hung = boot, False
            self._early.clear()
            self._change.notify_all()
        self._peripherals.wake()

    def _look_again(self) -> None:
        with self._change:
            self._change.notify_all()
        self._peripherals.wake()

    def _discard_input(self) -> None:
        with self._change:
            self._early.clear()

    def _deliver(self, data: bytes) -> None:
        if self.mode == "loader" and self._loader is not None:
            self._loader.feed(data)
        elif self.mode == "app":
            self._peripherals.receive(data, self._over_usb)

    def _uart_out(self, data: bytes) -> None:
        if not self._over_usb:
            self._send(data if self._same_rate else _misread(data))

    def _usb_out(self, data: bytes) -> None:
        if self._over_usb:
            self._send(data)

    def _send(self, data: bytes) -> None:
        data, wait = self._lines["from_board"].damage(data, time.monotonic())
        if wait:
            time.sleep(wait)
        if data:
            self._transmit(data)

    @property
    def _same_rate(self) -> bool:
        if self._over_usb or self.host_baud is None or self.mode != "app":
            return True
        return abs(self.host_baud / self._peripherals.uart.baud - 1) <= _BAUD_TOLERANCE

    def _settle_rate(self) -> None:
        """Our line takes no time, so a host can be at a new rate before the core has run the few
        instructions to its own change: bytes wait for that before they count as misread."""
        if not self._misread:
            return
        idle = self._peripherals.resting or self._instructions() >= self._misread_until
        if idle or self._same_rate:
            data, self._misread = bytes(self._misread), bytearray()
            self._deliver(data if self._same_rate else _misread(data))

    def _repair(self) -> None:
        for line in self._lines.values():
            line.heal()
        self.flash.heal()
        self._chip_id = ESP32_C3_CHIP_ID
        self._timer_off = False
        self._burst_limit = self._peripherals.uart.burst_limit = None
        if self._hung:
            self._reset(_Boot("POWERON"))


def _misread(data: bytes) -> bytes:
    """Two ends with different rates read each other's bytes as other bytes."""
    return bytes((byte * 0x55 ^ 0x2B) & 0xFF for byte in data)


def _number(how: dict[str, object], name: str, default: int | None = None) -> int:
    value = how.get(name, default)
    if not isinstance(value, int):
        raise TypeError(f"{name}={value!r} is not a whole number")
    return value
