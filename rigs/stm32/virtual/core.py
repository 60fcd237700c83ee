"""The STM32F405 as its debug port sees it: run control, core registers, CoreSight blocks, memory.

A machine runs what is in flash. Code in RAM that the debugger starts (a flash algorithm) runs apart,
on a mirror of RAM and on the flash file; before the machine goes on, what changed is written back to it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from mmap import mmap

from rigs.common.process_end import how_it_ended
from rigs.stm32.virtual.algorithm import RAM_BASE, RAM_SIZE, AlgorithmCore
from rigs.stm32.virtual.flash_controller import (
    FLASH_BASE,
    FLASH_SIZE,
    REGISTERS_BASE,
    SECTORS,
    FlashController,
)
from rigs.stm32.virtual.machine import D0, FPSCR, XPSR, Machine, StubError, TargetLostError


class BusFaultError(Exception):
    """The access ended with an error response on the AHB."""


class NoPowerError(Exception):
    """The chip has no supply: it does not answer at all."""


class State(Enum):
    """What the core does."""

    OFF = auto()
    RUNNING = auto()
    HALTED = auto()
    ALGORITHM = auto()  # the debugger started code in RAM
    LOCKUP = auto()  # a fault inside a fault handler, or nothing to run: waits for a reset


# Debug registers, ARMv7-M ARM (DDI 0403) C1.6, C1.8, C1.11; AIRCR and DFSR B3.2.
DHCSR, DCRSR, DCRDR, DEMCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
AIRCR, DFSR = 0xE000ED0C, 0xE000ED30
FP_CTRL, FP_COMP0, FP_COMPARATORS = 0xE0002000, 0xE0002008, 6
_DEBUGEN, _C_HALT, _C_STEP = 1 << 0, 1 << 1, 1 << 2
_S_REGRDY, _S_HALT, _S_LOCKUP, _S_RETIRE, _S_RESET = 1 << 16, 1 << 17, 1 << 19, 1 << 24, 1 << 25
_DFSR_HALTED, _DFSR_BKPT, _DFSR_VCATCH = 1 << 0, 1 << 1, 1 << 3
_VC_CORERESET = 1 << 0
_SP, _PC, _XPSR = 13, 15, 16
_ALGORITHM_SLICE_MS = 2000
_LOCAL_PAGES = (0xE0000, 0xE0001, 0xE0002, 0xE0042, 0xE00FF)  # blocks that the machines lack


def _identification(base: int, peripheral: tuple[int, ...], component: tuple[int, ...]) -> dict[int, int]:
    """PIDR0-4 and CIDR0-3 of a CoreSight block."""
    found = {base + 0xFE0 + 4 * i: value for i, value in enumerate(peripheral[:4])}
    found.update({base + 0xFD0 + 4 * i: value for i, value in enumerate(peripheral[4:])})
    found.update({base + 0xFF0 + 4 * i: value for i, value in enumerate(component)})
    return found


_GENERIC, _ROM_TABLE = (0x0D, 0xE0, 0x05, 0xB1), (0x0D, 0x10, 0x05, 0xB1)
_CONSTANTS = {
    0xE000ED00: 0x410FC241,  # CPUID: Cortex-M4 r0p1
    0xE0042000: 0x10076413,  # DBGMCU_IDCODE: STM32F405 revision Z
    0xE000EF40: 0x10110021,  # MVFR0, MVFR1: single-precision FPU
    0xE000EF44: 0x11000011,
    0xE00FF000: 0xFFF0F003,  # ROM table: SCS, DWT, FPB, ITM
    0xE00FF004: 0xFFF02003,
    0xE00FF008: 0xFFF03003,
    0xE00FF00C: 0xFFF01003,
    0xE00FF010: 0,
    0xE00FFFCC: 1,
    0x1FFF7A10: 0x00420042,  # unique id, flash size
    0x1FFF7A14: 0x31365115,
    0x1FFF7A18: 0x30383937,
    0x1FFF7A20: 0x0400C0C0,
    **_identification(0xE00FF000, (0x13, 0x04, 0x0A, 0, 0), _ROM_TABLE),
    **_identification(0xE000E000, (0x0C, 0xB0, 0x0B, 0, 4), _GENERIC),
    **_identification(0xE0001000, (0x02, 0xB0, 0x3B, 0, 4), _GENERIC),
    **_identification(0xE0002000, (0x03, 0xB0, 0x2B, 0, 4), _GENERIC),
    **_identification(0xE0000000, (0x01, 0xB0, 0x3B, 0, 4), _GENERIC),
}


class Core:
    """A chip on a power supply. ``start_machine`` makes a machine that holds the flash file's contents."""

    def __init__(
        self, flash: mmap, start_machine: Callable[[], Machine], report: Callable[[str], None]
    ) -> None:
        self.controller = FlashController(flash)
        self.state = State.OFF
        self.lockups = 0
        self.death = ""  # how the machine's process ended, when nobody switched it off
        self._hung = False
        self._flash = flash
        self._start_machine = start_machine
        self._report = report
        self._machine: Machine | None = None
        self._ram = bytearray(RAM_SIZE)
        self._algorithm = AlgorithmCore(self._ram, flash, self.controller)
        self._mirrored = False  # self._ram is newer than the machine's RAM
        self._registers: list[int] = []  # r0-r15 and xPSR while halted; empty: ask the machine
        self._written: set[int] = set()  # which of them the machine does not know yet
        self._breakpoints: set[int] = set()
        self._clear_debug_registers()

    # -- power and reset

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            raise NoPowerError("the board has no power")
        return self._machine

    def power_on(self) -> None:
        """A cold start: flash as it was left, RAM lost."""
        self.power_off()
        self.death = ""
        self.controller.power_on()
        self._clear_debug_registers()
        self._boot()

    def power_off(self) -> None:
        if self._machine is not None:
            self._machine.stop()
        self._machine, self.state, self._hung = None, State.OFF, False

    def reset(self, catch: bool | None = None) -> None:
        """A system reset. ``catch``: halt before the first instruction (None: as DEMCR.VC_CORERESET says)."""
        self._pause()
        self._forget_registers()
        self._write_back()
        self.controller.reset()
        self.machine.system_reset()
        self._hung = False
        self._was_reset = True
        if catch is None:
            catch = bool(self._debug[DEMCR] & _VC_CORERESET and self._dhcsr & _DEBUGEN)
        if catch:
            self._stop(_DFSR_VCATCH)
        else:
            self._go()

    def lost(self) -> None:
        """The core locked up, where QEMU aborts: like a core, wait for a reset. Or the machine's process
        was ended, and the board is off.
        """
        code = self._machine.exit_code if self._machine is not None else None
        if code is not None and code != -signal.SIGABRT:
            self.death = f"QEMU has ended ({how_it_ended(code)})"
            self._report(self.death)
            self.power_off()
            return
        self.lockups += 1
        self._report("lockup: the core waits for a reset")
        self.power_off()
        self._boot(locked=True)

    def hang(self) -> None:
        """Stop executing without anybody noticing, until the next reset."""
        self._pause()
        self._hung = True

    def crash(self) -> None:
        """Jump to where no code can be, so that the firmware's own fault handler runs."""
        if self.state is State.RUNNING and self._pause():
            self._load_registers()[_PC] = 0xF0000000
            self._written.add(_PC)
            self._write_back()
            self._forget_registers()
            self.machine.resume()
            self.state = State.RUNNING

    def write_flash_through(self) -> None:
        """Bring flash changes (a bit that got stuck) to the machine at once."""
        with self._quiet():
            self._write_back_flash()

    def meter(self, bound: str, wait_states: int) -> None:
        """As ``Machine.meter``, until the next reset."""
        with self._quiet():
            self.machine.meter(bound, wait_states)

    # -- run control

    def _boot(self, locked: bool = False) -> None:
        self._machine = self._start_machine()
        self.controller.changed.clear()
        self._mirrored = False
        self._breakpoints.clear()
        self._forget_registers()
        if locked:
            self.state = State.LOCKUP
        else:
            self._go()

    def _clear_debug_registers(self) -> None:
        self._dhcsr = 0
        self._dcrdr = 0
        self._was_reset = True
        self._debug = {DEMCR: 0, DFSR: 0, FP_CTRL: FP_COMPARATORS << 4, 0xE0001000: 0x40000000}

    def _go(self) -> None:
        self._write_back()
        registers = self._load_registers()
        runnable = registers[_XPSR] >> 24 & 1 and self._is_memory(registers[_PC])
        self._forget_registers()
        if not runnable:  # a blank chip
            self.state = State.LOCKUP
            return
        self.state = State.RUNNING
        if self._hung:
            return
        wanted = set(self._comparators())
        for address in self._breakpoints - wanted:
            self.machine.clear_breakpoint(address)
        for address in wanted - self._breakpoints:
            self.machine.set_breakpoint(address)
        self._breakpoints = wanted
        self.machine.resume()

    @staticmethod
    def _is_memory(address: int) -> bool:
        return (
            address < FLASH_SIZE
            or FLASH_BASE <= address < FLASH_BASE + FLASH_SIZE
            or RAM_BASE <= address < RAM_BASE + RAM_SIZE
        )

    def _comparators(self) -> Iterator[int]:
        if self._debug[FP_CTRL] & 1:
            for i in range(FP_COMPARATORS):
                value = self._debug.get(FP_COMP0 + 4 * i, 0)
                if value & 1:
                    yield (value & 0x1FFFFFFC) + (2 if value >> 30 == 2 else 0)

    def _pause(self) -> bool:
        """Stop the machine; True when it was running and did not just hit a breakpoint."""
        if self.state is not State.RUNNING or self._hung:
            return False
        if self.machine.interrupt():
            self._stop(_DFSR_BKPT)
            return False
        return True

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """The machine stands still inside; afterwards it goes on if it ran."""
        paused = self._pause()
        try:
            yield
        finally:
            if paused:
                self.machine.resume()

    def _stop(self, reason: int) -> None:
        self.state = State.HALTED
        self._dhcsr |= _C_HALT  # a debug event sets C_HALT
        self._debug[DFSR] |= reason

    def poll(self) -> None:
        """Notice that the core stopped by itself."""
        if self.state is State.ALGORITHM:
            self._run_algorithm()
        elif self.state is not State.OFF and self.machine.stopped() and self.state is State.RUNNING:
            self._stop(_DFSR_BKPT)

    def _halt(self) -> None:
        self.poll()
        if self.state is not State.HALTED:
            self._pause()
            self._stop(_DFSR_HALTED)

    def _resume(self) -> None:
        pc = self._load_registers()[_PC]
        if _PC in self._written and RAM_BASE <= pc < RAM_BASE + RAM_SIZE:
            self._mirror()
            self.state = State.ALGORITHM
            self._run_algorithm()
        else:
            self._go()

    def _step(self) -> None:
        self._write_back()
        self.machine.step()
        self._forget_registers()
        self._stop(_DFSR_HALTED)

    def _run_algorithm(self) -> None:
        stopped, registers = self._algorithm.run(self._registers, _ALGORITHM_SLICE_MS)
        self._registers[:16] = registers
        self._written.update(range(17))
        if stopped:
            self._stop(_DFSR_BKPT)

    # -- what is where

    def _mirror(self) -> None:
        if not self._mirrored:
            self._ram[:] = self.machine.read(RAM_BASE, RAM_SIZE)
            self._mirrored = True

    def _write_back(self) -> None:
        if self._mirrored:
            self.machine.write(RAM_BASE, bytes(self._ram))
            self._mirrored = False
        self._write_back_flash()
        for number in sorted(self._written):
            self.machine.set_register(XPSR if number == _XPSR else number, self._registers[number])
        self._written.clear()

    def _write_back_flash(self) -> None:
        for sector in sorted(self.controller.changed):
            start, size = SECTORS[sector]
            self.machine.write(FLASH_BASE + start, self._flash[start : start + size])
        self.controller.changed.clear()

    def _load_registers(self) -> list[int]:
        if not self._registers:
            self._registers = self.machine.registers()
        return self._registers

    def _forget_registers(self) -> None:
        self._registers = []
        self._written.clear()

    # -- core registers through DCRSR and DCRDR

    def _transfer_register(self, selector: int) -> None:
        number, write = selector & 0x7F, bool(selector & 0x10000)
        if number == 17:  # MSP: this firmware family uses no other stack
            number = _SP
        if number <= _XPSR:
            registers = self._load_registers()
            if write:
                registers[number] = self._dcrdr & (~1 if number == _PC else ~0) & 0xFFFFFFFF
                self._written.add(number)
            else:
                self._dcrdr = registers[number]
        elif number == 0x21:
            self._transfer_stub_register(FPSCR, 0, 4, write)
        elif 0x40 <= number <= 0x5F:
            self._transfer_stub_register(D0 + (number - 0x40) // 2, 32 * (number & 1), 8, write)
        elif not write:
            self._dcrdr = 0  # PSP, CONTROL, FAULTMASK, BASEPRI, PRIMASK: not known

    def _transfer_stub_register(self, number: int, shift: int, size: int, write: bool) -> None:
        value = self.machine.register(number)
        if write:
            value = value & ~(0xFFFFFFFF << shift) | self._dcrdr << shift
            self.machine.set_register(number, value, size)
        else:
            self._dcrdr = value >> shift & 0xFFFFFFFF

    # -- the bus

    def read_word(self, address: int) -> int:
        """A 32-bit read through the AHB-AP."""
        self.machine  # noqa: B018  raises NoPowerError
        if address in _CONSTANTS:
            return _CONSTANTS[address]
        if address == DHCSR:
            return self._read_dhcsr()
        if address == DCRDR:
            return self._dcrdr
        if address in self._debug:
            return self._debug[address]
        if address >> 12 in _LOCAL_PAGES or address & 0xFFFFFF00 == 0xE000EF00:
            return 0
        return int.from_bytes(self.read(address, 4), "little")

    def _read_dhcsr(self) -> int:
        self.poll()
        status = self._dhcsr & 0x2F | _S_REGRDY
        if self.state is State.HALTED:
            status |= _S_HALT
        elif self.state is State.LOCKUP:
            status |= _S_LOCKUP
        else:
            status |= _S_RETIRE
        if self._was_reset:
            status |= _S_RESET
            self._was_reset = False
        return status

    def write_word(self, address: int, value: int) -> None:
        """A 32-bit write through the AHB-AP."""
        self.machine  # noqa: B018  raises NoPowerError
        if address == DHCSR:
            if value >> 16 == 0xA05F:
                self._write_dhcsr(value)
        elif address == DCRSR:
            self._transfer_register(value)
        elif address == DCRDR:
            self._dcrdr = value
        elif address == DFSR:
            self._debug[DFSR] &= ~value
        elif address == FP_CTRL:
            if value & 2:
                self._debug[FP_CTRL] = self._debug[FP_CTRL] & ~1 | value & 1
        elif address == AIRCR:
            if value >> 16 == 0x05FA and value & 5:  # SYSRESETREQ or VECTRESET
                self.reset()
            else:
                self.write(address, value.to_bytes(4, "little"))
        elif address == DEMCR or address >> 12 in _LOCAL_PAGES:
            self._debug[address] = value
        else:
            self.write(address, value.to_bytes(4, "little"))

    def _write_dhcsr(self, value: int) -> None:
        self._dhcsr = value & 0x2F
        if not value & _DEBUGEN:
            if self.state is State.HALTED:
                self._resume()
        elif value & _C_HALT:
            self._halt()
        elif self.state is State.HALTED:
            if value & _C_STEP:
                self._step()
            else:
                self._resume()

    def read(self, address: int, size: int) -> bytes:
        """Plain memory. Flash comes from the file, RAM from the mirror while there is one."""
        if address >= FLASH_BASE and address + size <= FLASH_BASE + FLASH_SIZE:
            return self._flash[address - FLASH_BASE : address - FLASH_BASE + size]
        if self._mirrored and address >= RAM_BASE and address + size <= RAM_BASE + RAM_SIZE:
            return bytes(self._ram[address - RAM_BASE : address - RAM_BASE + size])
        if REGISTERS_BASE <= address < REGISTERS_BASE + 0x20:
            return self.controller.read_register(address - REGISTERS_BASE).to_bytes(4, "little")[:size]
        with self._quiet():
            try:
                return self.machine.read(address, size)
            except StubError as error:
                raise BusFaultError(str(error)) from error

    def write(self, address: int, data: bytes) -> None:
        """Plain memory; to flash nothing happens, as on the chip outside of programming."""
        if FLASH_BASE <= address < FLASH_BASE + FLASH_SIZE:
            return
        if self._mirrored and address >= RAM_BASE and address + len(data) <= RAM_BASE + RAM_SIZE:
            self._ram[address - RAM_BASE : address - RAM_BASE + len(data)] = data
            return
        with self._quiet():
            try:
                self.machine.write(address, data)
            except StubError as error:
                raise BusFaultError(str(error)) from error

    def release(self) -> None:
        """The debugger's connection has ended: a halted core goes on."""
        self._dhcsr = 0
        if self.state in (State.HALTED, State.ALGORITHM) and self._machine is not None:
            try:
                self._go()
            except TargetLostError:
                self.lost()
