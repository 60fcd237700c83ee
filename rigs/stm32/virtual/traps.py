"""Instructions that trap as CPACR and CCR say, and that unicorn executes whatever they say.

Float instructions while the FPU is off (DDI 0403 B1.4.6, B3.2.20), divisions by zero (B3.2.8).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import unicorn
from unicorn import arm_const as arm

from rigs.stm32.virtual import exceptions as exc
from rigs.stm32.virtual.registers import GENERAL

_OTHERWISE = 14  # the condition of what lies outside of an IT block


@dataclass(frozen=True)
class Trap:
    """An instruction that may trap: at ``offset``, with ``status`` in CFSR.

    ``condition`` is that of its IT block (A7.3.1), ``divisor`` the register that must not be zero.
    """

    offset: int
    status: int
    condition: int
    divisor: int | None = None

    def is_met(self, flags: int, divisor: int) -> bool:
        """Whether it traps now: ``flags`` is xPSR, ``divisor`` what the register holds."""
        return _holds(self.condition, flags) and (self.divisor is None or divisor == 0)


class Traps:
    """Hooks on the instructions that may trap; ``hit`` is called with the address of one that does."""

    def __init__(self, core: Any, hit: Callable[[int], None]) -> None:
        self.armed = 0  # the statuses that are looked for
        self._core, self._hit = core, hit
        self._set: dict[int, tuple[Trap, int]] = {}  # by address, with their hooks

    def rearm(self, armed: int) -> None:
        """Look for other statuses; the translated code must be forgotten."""
        self.armed = armed
        for _, hook in self._set.values():
            self._core.hook_del(hook)
        self._set.clear()

    def miss(self, block: int, code: bytes | bytearray) -> bool:
        """Whether ``code``, a block at address ``block``, holds one without a hook."""
        return any(block + trap.offset not in self._set for trap in find(code, self.armed))

    def add(self, block: int, code: bytes | bytearray) -> None:
        """Hook those; the block must not be translated yet."""
        for trap in find(code, self.armed):
            at = block + trap.offset
            if at not in self._set:
                hook = self._core.hook_add(unicorn.UC_HOOK_CODE, self._on_trap, begin=at, end=at)
                self._set[at] = (trap, hook)

    def status(self, address: int) -> int:
        """What the instruction at ``address`` sets in CFSR."""
        return self._set[address][0].status

    def _on_trap(self, core: Any, address: int, _size: int, _user: object) -> None:
        trap, _ = self._set[address]
        divisor = 0 if trap.divisor is None else int(core.reg_read(GENERAL[trap.divisor]))
        if trap.is_met(int(core.reg_read(arm.UC_ARM_REG_XPSR)), divisor):
            self._hit(address)


def find(code: bytes | bytearray, armed: int) -> Iterator[Trap]:
    """The instructions in ``code``, a block of Thumb instructions, that may set a status of ``armed``."""
    at = 0
    conditions: Iterator[int] = iter(())
    while armed and at + 2 <= len(code):
        (first,) = struct.unpack_from("<H", code, at)
        condition = next(conditions, _OTHERWISE)
        if first >= 0xE800 and at + 4 <= len(code):
            (second,) = struct.unpack_from("<H", code, at + 2)
            if armed & exc.NOCP and _is_float(first, second):
                yield Trap(at, exc.NOCP, condition)
            elif armed & exc.DIVBYZERO and first & 0xFFD0 == 0xFB90 and second & 0xF0F0 == 0xF0F0:
                yield Trap(at, exc.DIVBYZERO, condition, second & 15)
        elif first >> 8 == 0xBF and first & 15:
            conditions = _conditions(first >> 4 & 15, first & 15)
        at += 4 if first >= 0xE800 else 2


def _is_float(first: int, second: int) -> bool:
    """Coprocessor 10 or 11 (A5.3.18)."""
    return first & 0xEC00 == 0xEC00 and first & 0x0300 != 0x0300 and second >> 9 & 7 == 5


def _conditions(first: int, mask: int) -> Iterator[int]:
    """Of the up to four instructions behind IT: the mask's bits, above its lowest one, end each condition."""
    count = 4 - ((mask & -mask).bit_length() - 1)
    yield first
    yield from ((first & 14) | (mask >> 4 - i & 1) for i in range(1, count))


def _holds(condition: int, flags: int) -> bool:
    negative, zero, carry, overflow = (bool(flags >> bit & 1) for bit in (31, 30, 29, 28))
    greater = negative == overflow
    said = (zero, carry, negative, overflow, carry and not zero, greater, greater and not zero, True)
    return said[condition >> 1] != bool(condition & 1)
