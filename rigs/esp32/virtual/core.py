"""The RISC-V core: unicorn with the chip's memory map, traps, interrupts and performance counter.

unicorn executes translated blocks and knows neither interrupts from outside nor this core's own
registers; both are done here, between blocks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

from unicorn import (
    UC_ARCH_RISCV,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_WRITE_PROT,
    UC_MEM_WRITE_UNMAPPED,
    UC_MODE_RISCV32,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
    riscv_const,
)

from rigs.common import counting
from rigs.common.cycle_table import HIGH
from rigs.esp32.virtual import timing

FLASH_CODE, FLASH_DATA, FLASH_WINDOW = 0x42000000, 0x3C000000, 4 << 20
RAM_DATA, RAM_CODE, RAM_BYTES = 0x3FC80000, 0x40380000, 0x60000
RTC_RAM, RTC_BYTES = 0x50000000, 0x2000
PERIPHERALS, PERIPHERAL_BYTES = 0x60000000, 0x100000

ILLEGAL_INSTRUCTION, BREAKPOINT = 2, 3  # mcause
_LOAD_FAULT, _STORE_FAULT, _FETCH_FAULT = 5, 7, 1
CACHE_MISS = (
    430  # cycles at 160 MHz for 32 bytes over two lines at 40 MHz: 8 + 24 / 2 + 4 + 256 / 2 clocks, rounded
)
_MIE, _MPIE, _MPP_MACHINE = 1 << 3, 1 << 7, 3 << 11
_MPCER, _MPCMR, _MPCCR = 0x7E0, 0x7E1, 0x7E2
_COUNT_INSTRUCTIONS = 1 << 1  # the only event of MPCER that a core without a clock can offer
_NEVER = 0xFFFFFFFE  # "run until": an address that is never executed
_BLOCKS_UNTIL_UNMASKED = 16  # an interrupt handler is a handful of blocks: look again soon
_X = [getattr(riscv_const, f"UC_RISCV_REG_X{number}") for number in range(32)]
_FETCH_KINDS = (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT)
_WRITE_KINDS = (UC_MEM_WRITE_UNMAPPED, UC_MEM_WRITE_PROT)


class Bus(Protocol):
    """What the core needs of the chip around it."""

    def read(self, address: int) -> int: ...
    def write(self, address: int, value: int) -> None: ...
    def interrupt_line(self) -> int:
        """The CPU interrupt that asks for service, 0 for none."""

    def stopping(self) -> bool:
        """Whether the core should leave ``run``: reset, power off, hang."""


class Memory:
    """Page-aligned memory that several cores in turn, and two addresses at once, can map."""

    def __init__(self, size: int) -> None:
        self._block = ctypes.create_string_buffer(size + 4096)
        self.size = size
        self.address = (ctypes.addressof(self._block) + 4095) & ~4095

    def write(self, offset: int, data: bytes) -> None:
        """Copy ``data`` to ``offset``."""
        if offset < 0 or offset + len(data) > self.size:
            raise IndexError(f"RAM range 0x{offset:x} + {len(data)} is outside {self.size} bytes")
        ctypes.memmove(self.address + offset, data, len(data))


class Core:
    """One core from one reset to the next. ``run`` belongs to one thread; ``stop`` to any."""

    def __init__(self, bus: Bus, flash_address: int, ram: Memory, rtc_ram: Memory) -> None:
        self._bus = bus
        self._uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
        self._fault: tuple[int, int, int] | None = None  # cause, pc, value
        self._event = self._enabled = self._base = self._frozen = 0
        self._wanted = ""
        self._map(flash_address, ram, rtc_ram)
        self._bound = ""  # of the cycles that are counted; empty: instructions are
        self._counter = counting.BlockCounter(self._ask)
        self._state = self._counter.state
        self._counter.attach(self._uc)
        self._uc.hook_add(UC_HOOK_INTR, self._on_exception)
        self._uc.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid_access)

    @property
    def instructions(self) -> int:
        """Executed since reset; exact between blocks, at most a block ahead inside one."""
        return int(self._state[counting.COUNT])

    def request_meter(self, bound: str) -> None:
        """Count cycles, ``low`` or ``high``, empty: instructions, from the next block on; from any thread."""
        self._wanted = bound
        self.stop()

    def _set_meter(self, bound: str) -> None:
        """One cache for code and data: 16 KiB in lines of 32 bytes (TRM 3.3.3)."""
        self._bound = bound
        meter = None
        if bound:
            code = counting.Window(FLASH_CODE, FLASH_WINDOW, 0) if bound == HIGH else None
            data = counting.Window(FLASH_DATA, FLASH_WINDOW, 0) if bound == HIGH else None
            cache = counting.Cache(512, 5, CACHE_MISS)
            meter = counting.Meter(timing.TABLE[bound]["refill"], code, data, (cache,))
        before = self._counter.counted
        self._counter.set_meter(self._uc, meter)
        self._base += self._counter.counted - before  # the register goes on from where it was

    def stop(self) -> None:
        """Make the core look at its surroundings before the next block."""
        self._counter.stop()

    def run(self, entry: int, inject: Callable[[], int]) -> None:
        """Execute from ``entry`` until the bus says stop. ``inject`` gives a fault to raise now, or 0."""
        pc = entry
        while True:
            self._state[counting.STOP] = 0
            if self._bus.stopping():
                return
            if self._wanted != self._bound:
                self._set_meter(self._wanted)
            cause = inject()
            if cause:
                self._enter_trap(cause, pc, 0)
                pc = self._pc
            pc = self._deliver_interrupt(pc)
            try:
                self._uc.emu_start(pc, _NEVER)
            except UcError:
                self._note_error()
            if self._fault is not None:
                fault, self._fault = self._fault, None
                self._enter_trap(*fault)
            pc = self._pc

    def add_native_hook(self, kind: int, callback: int) -> None:
        """Register a C callback by its address; its user data is the counting state."""
        self._counter.add_native_hook(self._uc, kind, callback)

    def _ask(self, address: int, size: int) -> int:
        """What a block holds, as the counter wants it. RV32C: 2 or 4 bytes each."""
        code, at, count = self._uc.mem_read(address, size), 0, 0
        while at < size:
            at += 4 if code[at] & 3 == 3 else 2
            count += 1
        cycles = timing.cycles(code, self._bound) if self._bound else 0
        return count | cycles << counting.PACKED

    @property
    def _pc(self) -> int:
        return int(self._uc.reg_read(riscv_const.UC_RISCV_REG_PC))

    def _map(self, flash_address: int, ram: Memory, rtc_ram: Memory) -> None:
        read_execute = UC_PROT_READ | UC_PROT_EXEC
        self._uc.mem_map_ptr(FLASH_CODE, FLASH_WINDOW, read_execute, flash_address)
        self._uc.mem_map_ptr(FLASH_DATA, FLASH_WINDOW, UC_PROT_READ, flash_address)
        self._uc.mem_map_ptr(RAM_DATA, RAM_BYTES, UC_PROT_READ | UC_PROT_WRITE, ram.address)
        self._uc.mem_map_ptr(RAM_CODE, RAM_BYTES, UC_PROT_ALL, ram.address)
        self._uc.mem_map_ptr(RTC_RAM, RTC_BYTES, UC_PROT_ALL, rtc_ram.address)
        self._uc.mmio_map(PERIPHERALS, PERIPHERAL_BYTES, self._mmio_read, None, self._mmio_write, None)

    def _mmio_read(self, _uc: Any, offset: int, _size: int, _user: Any) -> int:
        return self._bus.read(PERIPHERALS + (offset & ~3))

    def _mmio_write(self, _uc: Any, offset: int, _size: int, value: int, _user: Any) -> None:
        self._bus.write(PERIPHERALS + (offset & ~3), value & 0xFFFFFFFF)

    def _deliver_interrupt(self, pc: int) -> int:
        line = self._bus.interrupt_line()
        if not line:
            return pc
        if not self._uc.reg_read(riscv_const.UC_RISCV_REG_MSTATUS) & _MIE:
            self._state[counting.COUNTDOWN] = _BLOCKS_UNTIL_UNMASKED
            return pc
        self._enter_trap(1 << 31 | line, pc, 0)
        return self._pc

    def _enter_trap(self, cause: int, pc: int, value: int) -> None:
        """Privileged specification 3.1.7: state saved, interrupts off, on to the vector of this cause."""
        uc = self._uc
        status = uc.reg_read(riscv_const.UC_RISCV_REG_MSTATUS)
        saved = (status & ~(_MIE | _MPIE)) | (_MPIE if status & _MIE else 0) | _MPP_MACHINE
        uc.reg_write(riscv_const.UC_RISCV_REG_MSTATUS, saved)
        uc.reg_write(riscv_const.UC_RISCV_REG_MCAUSE, cause)
        uc.reg_write(riscv_const.UC_RISCV_REG_MEPC, pc)
        uc.reg_write(riscv_const.UC_RISCV_REG_MTVAL, value)
        line = cause & 31 if cause >> 31 else 0
        vector = (uc.reg_read(riscv_const.UC_RISCV_REG_MTVEC) & ~3) + 4 * line
        uc.reg_write(riscv_const.UC_RISCV_REG_PC, vector)

    def _on_exception(self, uc: Any, number: int, _user: Any) -> None:
        pc = self._pc - 4  # unicorn has stepped over a 4-byte instruction already
        word = int.from_bytes(uc.mem_read(pc, 4), "little")
        if number == ILLEGAL_INSTRUCTION and word & 0x7F == 0x73 and self._counter_access(word):
            return
        self._fault = (number, pc, word if number == ILLEGAL_INSTRUCTION else 0)
        uc.emu_stop()

    def _on_invalid_access(self, _uc: Any, kind: int, address: int, *_rest: Any) -> bool:
        cause = (
            _FETCH_FAULT if kind in _FETCH_KINDS else _STORE_FAULT if kind in _WRITE_KINDS else _LOAD_FAULT
        )
        self._fault = (cause, address if cause == _FETCH_FAULT else self._pc, address)
        return False

    def _note_error(self) -> None:
        """Errors that unicorn reports without calling a hook: compressed illegal ones and ``c.ebreak``."""
        if self._fault is None:
            pc = self._pc
            half = int.from_bytes(self._uc.mem_read(pc, 2), "little")
            self._fault = (BREAKPOINT, pc, 0) if half == 0x9002 else (ILLEGAL_INSTRUCTION, pc, half)

    def _counter_access(self, word: int) -> bool:
        """csrrw, csrrs, csrrc and their immediate forms on the performance counter's registers."""
        number, source, function, target = word >> 20, word >> 15 & 31, word >> 12 & 7, word >> 7 & 31
        if number not in (_MPCER, _MPCMR, _MPCCR) or not function & 3:
            return False
        operand = source if function & 4 else int(self._uc.reg_read(_X[source]))
        old = self._counter_register(number)
        if function & 3 == 1:
            self._set_counter_register(number, operand)
        elif source:
            self._set_counter_register(number, old | operand if function & 3 == 2 else old & ~operand)
        if target:
            self._uc.reg_write(_X[target], old)
        return True

    def _counter_register(self, number: int) -> int:
        if number == _MPCER:
            return self._event
        if number == _MPCMR:
            return self._enabled
        return (self._counter.counted - self._base if self._counting else self._frozen) & 0xFFFFFFFF

    @property
    def _counting(self) -> bool:
        return bool(self._enabled & 1 and self._event & _COUNT_INSTRUCTIONS)

    def _set_counter_register(self, number: int, value: int) -> None:
        count = self._counter_register(_MPCCR)
        if number == _MPCER:
            self._event = value & _COUNT_INSTRUCTIONS
        elif number == _MPCMR:
            self._enabled = value & 3
        else:
            count = value
        self._frozen, self._base = count, self._counter.counted - count
