"""Exception entry and return: what the core stacks, and how it gets it back (DDI 0403 B1.5.6 to B1.5.8)."""

from __future__ import annotations

import struct
from typing import Any

import unicorn
from unicorn import arm_const as arm

from rigs.stm32.virtual import exceptions as exc

_STACKED = (*(arm.UC_ARM_REG_R0 + i for i in range(4)), arm.UC_ARM_REG_R12, arm.UC_ARM_REG_LR)
_SINGLES = tuple(arm.UC_ARM_REG_S0 + i for i in range(16))
_BASIC, _EXTENDED = 8 * 4, 26 * 4  # bytes of a frame
_ALIGNED = 1 << 9  # xPSR: the stack pointer was moved by four
_FPCA, _SPSEL = 4, 2  # CONTROL
_TO_HANDLER = (0xFFFFFFF1, 0xFFFFFFE1)  # EXC_RETURN (B1.5.8); the other one of each has stacked floats
_TO_THREAD = (0xFFFFFFF9, 0xFFFFFFE9, 0xFFFFFFFD, 0xFFFFFFED)


def enter_exception(core: Any, exceptions: exc.Exceptions, number: int, pc: int) -> int:
    """Stack the frame, enter ``number``; returns where to go on. A stack that is not there leaves STKERR."""
    read, write = core.reg_read, core.reg_write
    control, status = int(read(arm.UC_ARM_REG_CONTROL)), int(read(arm.UC_ARM_REG_XPSR))
    floats = bool(control & _FPCA)
    stack = int(read(arm.UC_ARM_REG_SP))
    top = (stack - (_EXTENDED if floats else _BASIC)) & ~7 & 0xFFFFFFFF
    aligned = _ALIGNED if stack & 4 else 0
    frame = [*(int(read(each)) for each in _STACKED), pc, status & ~_ALIGNED | aligned]
    if floats:
        frame += [*(int(read(each)) for each in _SINGLES), int(read(arm.UC_ARM_REG_FPSCR)), 0]
    try:
        core.mem_write(top, struct.pack(f"<{len(frame)}I", *frame))
    except unicorn.UcError:
        derived = exceptions.fault(exc.BUS_FAULT, exc.STKERR)
        number = number if number == exc.HARD_FAULT else derived
    in_handler = bool(exceptions.active)
    link = 0xFFFFFFF1 if in_handler else 0xFFFFFFFD if control & _SPSEL else 0xFFFFFFF9
    write(arm.UC_ARM_REG_SP, top)
    write(arm.UC_ARM_REG_XPSR, 0x01000000 | number)
    write(arm.UC_ARM_REG_CONTROL, control & ~(_FPCA | _SPSEL))
    write(arm.UC_ARM_REG_LR, link & ~0x10 if floats else link)
    return _begin(core, exceptions, number)


def _begin(core: Any, exceptions: exc.Exceptions, number: int) -> int:
    """The address of the handler of ``number``, which is active now."""
    exceptions.enter(number)
    try:
        handler = int.from_bytes(core.mem_read(exceptions.vector_table + 4 * number, 4), "little")
    except unicorn.UcError:
        raise exc.LockupError from None
    if not handler & 1:
        raise exc.LockupError
    return handler & ~1


def leave_exception(core: Any, exceptions: exc.Exceptions, link: int) -> int:
    """Undo it; ``link`` is EXC_RETURN without its lowest bit. Returns where to go on.

    A value that the architecture does not know, or that leads elsewhere than the exceptions which are
    active say, is a usage fault on the frame that is there (INVPC).
    """
    read, write = core.reg_read, core.reg_write
    to_handler = len(exceptions.active) > 1
    exceptions.leave()
    if link | 1 not in (_TO_HANDLER if to_handler else _TO_THREAD):
        number = exceptions.fault(exc.USAGE_FAULT, exc.INVPC)
        write(arm.UC_ARM_REG_XPSR, 0x01000000 | number)
        write(arm.UC_ARM_REG_LR, link | 0xF0000001)
        return _begin(core, exceptions, number)
    if exceptions.active:
        write(arm.UC_ARM_REG_XPSR, 0x01000000 | exceptions.active[-1])
    else:
        write(arm.UC_ARM_REG_XPSR, 0x01000000)
        write(arm.UC_ARM_REG_CONTROL, int(read(arm.UC_ARM_REG_CONTROL)) & 1 | (_SPSEL if link & 4 else 0))
        write(arm.UC_ARM_REG_FAULTMASK, 0)
    floats = not link & 0x10
    top = int(read(arm.UC_ARM_REG_SP))
    size = _EXTENDED if floats else _BASIC
    try:
        frame = struct.unpack(f"<{size // 4}I", core.mem_read(top, size))
    except unicorn.UcError:
        raise exc.LockupError from None
    for register, value in zip(_STACKED, frame, strict=False):
        write(register, value)
    if floats:
        for register, value in zip(_SINGLES, frame[8:], strict=False):
            write(register, value)
        write(arm.UC_ARM_REG_FPSCR, frame[24])
    control = int(read(arm.UC_ARM_REG_CONTROL)) & ~_FPCA
    write(arm.UC_ARM_REG_CONTROL, control | (_FPCA if floats else 0))
    write(arm.UC_ARM_REG_XPSR, frame[7] & ~_ALIGNED)
    write(arm.UC_ARM_REG_SP, top + size + (4 if frame[7] & _ALIGNED else 0))
    return int(frame[6])
