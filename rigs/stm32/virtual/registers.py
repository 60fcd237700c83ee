"""Names of the core's registers in unicorn."""

from __future__ import annotations

from unicorn import arm_const as arm

from rigs.stm32.virtual.machine import D0, FPSCR, XPSR

GENERAL = (
    *(arm.UC_ARM_REG_R0 + i for i in range(13)),
    arm.UC_ARM_REG_SP,
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
)


def unicorn_register(number: int) -> int:
    """The register that GDB numbers so."""
    if number == XPSR:
        return int(arm.UC_ARM_REG_XPSR)
    if number == FPSCR:
        return int(arm.UC_ARM_REG_FPSCR)
    return int(arm.UC_ARM_REG_D0) + number - D0 if number >= D0 else int(GENERAL[number])
