"""TIM2's registers, whose count is exact to the instruction: every access is executed on its own.

unicorn tells a peripheral only which block reads it. So nothing is mapped where TIM2 is; the fault names the
instruction, what the block counted ahead is taken back, and the instruction is executed here.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import arm_const as arm

from rigs.common.counting import COUNT, COUNTDOWN, CYCLES, NEXT, STOP, BlockCounter
from rigs.stm32.virtual.peripherals import COUNTER_PAGE, TIM2, Peripherals
from rigs.stm32.virtual.registers import GENERAL

_REGISTERS = range(TIM2, TIM2 + 0x60, 4)
_IT_STATE = 0x0600FC00  # xPSR: inside an IT block


class CounterPage:
    """``memory`` is the address of a page of this process; ``load_cycles()`` what an LDR costs now."""

    def __init__(
        self,
        core: Any,
        counter: BlockCounter,
        peripherals: Peripherals,
        memory: int,
        load_cycles: Callable[[], int],
    ) -> None:
        self._core, self._counter, self._peripherals = core, counter, peripherals
        self._memory, self._load_cycles = memory, load_cycles

    def execute(self, pc: int, address: int) -> int:
        """The instruction at ``pc``, which accesses ``address`` here; returns where to go on."""
        code = struct.unpack("<2H", self._core.mem_read(pc, 4))
        state = self._counter.state
        if int(self._core.reg_read(arm.UC_ARM_REG_XPSR)) & _IT_STATE:
            return self._execute_any(pc, code)
        if code[0] & 0xF800 == 0x6800:  # LDR (immediate), by far the most frequent
            target, length = code[0] & 7, 2
        elif code[0] & 0xFFF0 == 0xF8D0 and code[1] >> 12 < 13:
            target, length = code[1] >> 12, 4
        else:
            return self._execute_any(pc, code)
        self._core.reg_write(GENERAL[target], self._peripherals.read(address & ~3))
        state[COUNT] += 1
        state[CYCLES] += self._load_cycles()
        state[NEXT] = pc + length
        return pc + length

    def _execute_any(self, pc: int, code: tuple[int, ...]) -> int:
        """With the registers in memory for this one instruction."""
        before = [self._peripherals.read(each) for each in _REGISTERS]
        page = struct.pack(f"<{len(before)}I", *before)
        ctypes.memmove(self._memory, page, len(page))
        self._core.mem_map_ptr(TIM2, COUNTER_PAGE, unicorn.UC_PROT_ALL, self._memory)
        end = pc + (4 if code[0] >= 0xE800 else 2)
        state = self._counter.state
        state[NEXT] = pc
        blocks, state[COUNTDOWN], state[STOP] = int(state[COUNTDOWN]), 0, 0  # else it may never be executed
        self._core.ctl_remove_cache(pc, end)  # the block there would not end behind it
        try:
            self._core.emu_start(pc | 1, end)
        finally:
            state[COUNTDOWN] = blocks
            self._core.mem_unmap(TIM2, COUNTER_PAGE)
        after = ctypes.string_at(self._memory, len(page))
        values = struct.unpack(f"<{len(before)}I", after)
        for address, old, new in zip(_REGISTERS, before, values, strict=True):
            if old != new:
                self._peripherals.write(address, new)
        return int(self._core.reg_read(arm.UC_ARM_REG_PC)) & ~1
