"""The first instructions of the shipped image, one by one on a bare core."""

from __future__ import annotations

import pytest
from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, Uc
from unicorn.riscv_const import UC_RISCV_REG_MTVEC, UC_RISCV_REG_PC

from rigs.esp32.firmware import IMAGE
from rigs.esp32.virtual.core import FLASH_CODE, FLASH_WINDOW

pytestmark = pytest.mark.hw

VECTORED = 1  # mode of mtvec, privileged specification 3.1.7


def test_traps_are_asked_for_by_vector() -> None:
    """The chip knows no other mode and need not be asked; a core that knows both does."""
    core = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    core.mem_map(FLASH_CODE, FLASH_WINDOW)
    core.mem_write(FLASH_CODE, IMAGE.read_bytes())
    at = FLASH_CODE + 8
    for _ in range(50):
        core.emu_start(at, 0, count=1)
        at = core.reg_read(UC_RISCV_REG_PC)
        if core.reg_read(UC_RISCV_REG_MTVEC):
            break
    vectors = core.reg_read(UC_RISCV_REG_MTVEC)
    assert vectors & 3 == VECTORED
    assert FLASH_CODE < vectors < FLASH_CODE + FLASH_WINDOW
    assert (vectors & ~3) % 256 == 0
