"""Runs code that a debugger put into RAM (pyOCD's flash algorithms) against the flash controller."""

from __future__ import annotations

import ctypes
from mmap import mmap

from pytest_quantcheck.errors import MissingExtraError
from rigs.stm32.virtual.flash_controller import (
    FLASH_BASE,
    FLASH_SIZE,
    REGISTERS_BASE,
    FlashController,
    PowerLostError,
)

try:
    import unicorn
    from unicorn import arm_const
except ImportError as error:
    raise MissingExtraError("unicorn", "virtual", "the virtual STM32F405") from error

RAM_BASE = 0x20000000
RAM_SIZE = 0x20000
_NEVER = 0xFFFFFFFE  # an address no algorithm reaches
_REGISTERS = (
    *(arm_const.UC_ARM_REG_R0 + i for i in range(13)),
    arm_const.UC_ARM_REG_SP,
    arm_const.UC_ARM_REG_LR,
    arm_const.UC_ARM_REG_PC,
)
_BKPT = 7  # unicorn's number of the exception that BKPT raises (EXCP_BKPT)


class AlgorithmCore:
    """A Cortex-M4 that sees RAM, flash and the flash interface; nothing else answers."""

    def __init__(self, ram: bytearray, flash: mmap, controller: FlashController) -> None:
        self._controller = controller
        self._event = ""
        self._lost: PowerLostError | None = None
        self._views = (
            (ctypes.c_char * len(ram)).from_buffer(ram),
            (ctypes.c_char * FLASH_SIZE).from_buffer(flash),
        )
        core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        core.mem_map_ptr(RAM_BASE, len(ram), unicorn.UC_PROT_ALL, ctypes.addressof(self._views[0]))
        core.mem_map_ptr(FLASH_BASE, FLASH_SIZE, unicorn.UC_PROT_ALL, ctypes.addressof(self._views[1]))
        core.mem_map(0x40000000, 0x23000)  # watchdog and others: plain storage
        core.mmio_map(0x40023000, 0x1000, self._read, None, self._write, None)
        core.hook_add(
            unicorn.UC_HOOK_MEM_WRITE, self._store, begin=FLASH_BASE, end=FLASH_BASE + FLASH_SIZE - 1
        )
        core.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._core = core

    def run(self, registers: list[int], milliseconds: int) -> tuple[bool, list[int]]:
        """Run from ``registers`` (r0 to r15) until BKPT, a fault, or the time is over.

        Returns whether it stopped by itself, and the registers. Raises ``PowerLostError``.
        """
        for register, value in zip(_REGISTERS[:15], registers, strict=False):
            self._core.reg_write(register, value)
        self._event = ""
        try:
            self._core.emu_start(registers[15] | 1, _NEVER, timeout=milliseconds * 1000)
        except unicorn.UcError:
            self._event = self._event or "fault"
        self._controller.settle()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            raise lost
        return bool(self._event), [self._core.reg_read(register) for register in _REGISTERS]

    def _interrupt(self, core: unicorn.Uc, number: int, _user: object) -> None:
        self._event = "breakpoint" if number == _BKPT else "fault"
        core.emu_stop()

    def _read(self, _core: unicorn.Uc, offset: int, _size: int, _user: object) -> int:
        register = 0x40023000 + offset - REGISTERS_BASE
        return self._controller.read_register(register) if register >= 0 else 0

    def _write(self, core: unicorn.Uc, offset: int, _size: int, value: int, _user: object) -> None:
        register = 0x40023000 + offset - REGISTERS_BASE
        if register >= 0:
            try:
                self._controller.write_register(register, value)
            except PowerLostError as lost:
                self._stop(core, lost)

    def _store(
        self, core: unicorn.Uc, _access: int, address: int, size: int, value: int, _user: object
    ) -> None:
        try:
            self._controller.program(address - FLASH_BASE, size, value & (1 << 8 * size) - 1)
        except PowerLostError as lost:
            self._stop(core, lost)

    def _stop(self, core: unicorn.Uc, lost: PowerLostError) -> None:
        self._lost = lost
        core.emu_stop()
