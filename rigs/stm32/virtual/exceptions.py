"""Exceptions of the Cortex-M4: what is pending, what runs, which comes next. SCB, NVIC and SysTick.

ARMv7-M ARM (DDI 0403) B1.5 (exception model), B3.2 (SCB), B3.3 (SysTick), B3.4 (NVIC).
"""

from __future__ import annotations

from collections.abc import Callable

HARD_FAULT, MEM_FAULT, BUS_FAULT, USAGE_FAULT, SV_CALL, PEND_SV, SYS_TICK = 3, 4, 5, 6, 11, 14, 15
FIRST_INTERRUPT, INTERRUPTS = 16, 96
IACCVIOL = 1 << 0  # CFSR
IBUSERR, PRECISERR, STKERR, BFARVALID = 1 << 8, 1 << 9, 1 << 12, 1 << 15
UNDEFINSTR, INVSTATE, INVPC, NOCP = 1 << 16, 1 << 17, 1 << 18, 1 << 19
UNALIGNED, DIVBYZERO = 1 << 24, 1 << 25
FORCED, DEBUGEVT = 1 << 30, 1 << 31  # HFSR
_SHCSR_ENABLE = {MEM_FAULT: 1 << 16, BUS_FAULT: 1 << 17, USAGE_FAULT: 1 << 18}
_FIXED = {1: -3, 2: -2, HARD_FAULT: -1}  # priorities
LOWEST = 256

_ICSR, _VTOR, _AIRCR, _SHPR, _SHCSR = 0xD04, 0xD08, 0xD0C, 0xD18, 0xD24
_CFSR, _HFSR, _BFAR, _CPUID = 0xD28, 0xD2C, 0xD38, 0xD00
_CCR, _CPACR = 0xD14, 0xD88
_STORED = {0xD10: 0, _CCR: 0x200, _CPACR: 0, 0xF34: 0xC0000000}  # the first is SCR, the last FPCCR
_DIV_0_TRP, _FPU_ON = 1 << 4, 1 << 20  # CCR; CPACR: code that is privileged may use it
_CSR, _RVR, _CVR = 0x010, 0x014, 0x018
_ENABLE, _TICKINT, _COUNTFLAG = 1, 2, 1 << 16
_HARMLESS = {_RVR, _CVR, _CFSR, _HFSR}  # writing them makes no exception due
_PENDS = 1 << 31 | 1 << 28 | 1 << 26  # the bits of ICSR that do
_ISER, _ICER, _ISPR, _ICPR, _IPR = 0x100, 0x180, 0x200, 0x280, 0x400


class LockupError(Exception):
    """A fault where no handler can take it."""


class SysTick:
    """The timer of the core. ``now`` gives the core's clock."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._control = self._reload = self._start = self._seen = 0

    def read(self, offset: int) -> int:
        if offset == _CSR:
            flag = _COUNTFLAG if self._wrapped() else 0
            self._seen = self._now()
            return self._control | flag
        if offset == _CVR and self._control & _ENABLE and self._reload:
            return self._reload - (self._now() - self._start) % (self._reload + 1)
        return self._reload if offset == _RVR else 0

    def write(self, offset: int, value: int) -> None:
        if offset == _CSR:
            if value & ~self._control & _ENABLE:
                self._start = self._seen = self._now()
            self._control = value & 7
        elif offset == _RVR:
            self._reload = value & 0xFFFFFF
        elif offset == _CVR:
            self._start = self._seen = self._now()

    @property
    def left(self) -> int | None:
        """Clocks until it wakes the core; None when it will not."""
        if not self._reload or self._control & (_ENABLE | _TICKINT) != _ENABLE | _TICKINT:
            return None
        return self._reload + 1 - (self._now() - self._start) % (self._reload + 1)

    def due(self) -> bool:
        """Whether it has passed zero since the last call, and interrupts."""
        if self._control & _TICKINT and self._wrapped():
            self._seen = self._now()
            return True
        return False

    def _wrapped(self) -> bool:
        if not self._control & _ENABLE or not self._reload:
            return False
        period = self._reload + 1
        return (self._now() - self._start) // period > (self._seen - self._start) // period


class Exceptions:
    """Registers at 0xE000E000 and the decision what the core does next. ``reset`` is SYSRESETREQ."""

    def __init__(
        self, now: Callable[[], int], reset: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._reset_core, self._changed = reset, changed
        self.tick = SysTick(now)
        self.active: list[int] = []
        self.lines: set[int] = set()  # interrupts whose source asks, by exception number
        self._pending: set[int] = set()
        self._enabled: set[int] = set()
        self._priority = dict.fromkeys(range(MEM_FAULT, FIRST_INTERRUPT + INTERRUPTS), 0)
        self._stored = dict(_STORED)
        self.vector_table = self._enables = self._status = self._hard_status = 0
        self._bus_address = 0
        self._group = 0

    def fault(self, number: int, status: int, address: int | None = None) -> int:
        """Take a synchronous fault: the exception to enter now. Raises ``LockupError``."""
        self._status |= status
        if address is not None:
            self._bus_address = address
            self._status |= BFARVALID
        return self.escalated(number)

    def escalated(self, number: int) -> int:
        """``number``, or HardFault where it cannot be taken (B1.5.10). Raises ``LockupError``."""
        running = self.priority_now()
        enabled = _SHCSR_ENABLE.get(number, 0)
        if (not enabled or self._enables & enabled) and self._priority.get(number, -1) < running:
            return number
        return self.hard_fault(FORCED)

    def hard_fault(self, why: int) -> int:
        """HardFault, for one of the reasons in HFSR. Raises ``LockupError`` inside of one."""
        if self.priority_now() <= -1:
            raise LockupError
        self._hard_status |= why
        return HARD_FAULT

    def pend(self, number: int) -> None:
        """Set an exception pending."""
        self._pending.add(number)

    def next(self, primask: int, basepri: int, faultmask: int) -> int:
        """The exception that preempts what runs now; 0 for none."""
        chosen = self.wakes(basepri)
        if not chosen or faultmask or (primask and chosen >= MEM_FAULT):
            return 0
        return chosen if self._priority.get(chosen, -1) < self.priority_now() else 0

    def wakes(self, basepri: int = 0) -> int:
        """The most urgent pending exception, which ends WFI although PRIMASK may hold it back; 0 for none."""
        if self.tick.due():
            self._pending.add(SYS_TICK)
        waiting = self._pending | self.lines
        ready = [each for each in waiting if each < FIRST_INTERRUPT or each in self._enabled]
        if not ready:
            return 0
        chosen = min(ready, key=lambda each: (self._priority.get(each, -1), each))
        priority = self._priority.get(chosen, -1)
        return chosen if priority < min(self.priority_now(), basepri or LOWEST) else 0

    @property
    def armed(self) -> int:
        """The statuses that instructions may set which execute otherwise: ``NOCP``, ``DIVBYZERO``."""
        floats = 0 if self._stored[_CPACR] & _FPU_ON else NOCP
        return floats | (DIVBYZERO if self._stored[_CCR] & _DIV_0_TRP else 0)

    def enter(self, number: int) -> None:
        self._pending.discard(number)
        self.active.append(number)

    def leave(self) -> None:
        if self.active:
            self.active.pop()

    def priority_now(self) -> int:
        """Of the code that runs; lower is more urgent."""
        return min((_FIXED.get(each, self._priority.get(each, 0)) for each in self.active), default=LOWEST)

    # -- registers

    def read(self, offset: int) -> int:
        """A word; ``offset`` from 0xE000E000."""
        if _CSR <= offset <= _CVR:
            return self.tick.read(offset)
        if _ISER <= offset < _IPR:
            group, word = offset & 0x380, offset % 0x80 // 4
            return self._bits(self._enabled if group < _ISPR else self._pending | self.lines, word)
        if _IPR <= offset < _IPR + INTERRUPTS:
            return self._priorities(FIRST_INTERRUPT + offset - _IPR)
        if _SHPR <= offset < _SHCSR:
            return self._priorities(offset - _SHPR + MEM_FAULT)
        return {
            _CPUID: 0x410FC241,
            _ICSR: (self.active[-1] if self.active else 0) | (1 << 26 if SYS_TICK in self._pending else 0),
            _VTOR: self.vector_table,
            _AIRCR: 0xFA050000 | self._group,
            _SHCSR: self._enables,
            _CFSR: self._status,
            _HFSR: self._hard_status,
            _BFAR: self._bus_address,
        }.get(offset, self._stored.get(offset, 0))

    def write(self, offset: int, value: int, size: int = 4) -> None:
        """``offset`` from 0xE000E000; ``size`` in bytes."""
        if _CSR <= offset <= _CVR:
            self.tick.write(offset, value)
        elif _ISER <= offset < _IPR:
            self._write_bits(offset, value)
        elif _IPR <= offset < _IPR + INTERRUPTS:
            self._set_priorities(FIRST_INTERRUPT + offset - _IPR, value, size)
        elif _SHPR <= offset < _SHCSR:
            self._set_priorities(offset - _SHPR + MEM_FAULT, value, size)
        elif offset == _ICSR:
            self._write_icsr(value)
        elif offset == _VTOR:
            self.vector_table = value & 0xFFFFFF80
        elif offset == _AIRCR:
            if value >> 16 == 0x05FA:
                self._group = value & 0x700
                if value & 2:  # VECTCLRACTIVE, which a debugger writes for a reset without one
                    self.active.clear()
                if value & 5:  # SYSRESETREQ or VECTRESET
                    self._reset_core()
        elif offset == _SHCSR:
            self._enables = value & 0x70000
        elif offset == _CFSR:
            self._status &= ~value
        elif offset == _HFSR:
            self._hard_status &= ~value
        elif offset in self._stored:
            self._stored[offset] = value
        if offset not in _HARMLESS and not (offset == _ICSR and not value & _PENDS):
            self._changed()

    def _write_icsr(self, value: int) -> None:
        for bit, number, pend in ((26, SYS_TICK, True), (25, SYS_TICK, False)):
            if value >> bit & 1:
                (self._pending.add if pend else self._pending.discard)(number)
        if value >> 28 & 1:
            self._pending.add(PEND_SV)
        if value >> 27 & 1:
            self._pending.discard(PEND_SV)
        if value & 1 << 25:
            self.tick.due()

    def _write_bits(self, offset: int, value: int) -> None:
        first = FIRST_INTERRUPT + 8 * (offset & 0x7C)
        numbers = {first + bit for bit in range(32) if value >> bit & 1}
        group = offset & 0x380
        if group == _ISER:
            self._enabled |= numbers
        elif group == _ICER:
            self._enabled -= numbers
        elif group == _ISPR:
            self._pending |= numbers
        else:
            self._pending -= numbers

    @staticmethod
    def _bits(numbers: set[int], word: int) -> int:
        first = FIRST_INTERRUPT + 32 * word
        return sum(1 << each - first for each in numbers if first <= each < first + 32)

    def _priorities(self, first: int) -> int:
        return sum(self._priority.get(first + i, 0) << 8 * i for i in range(4))

    def _set_priorities(self, first: int, value: int, size: int) -> None:
        for i in range(size):
            if first + i in self._priority:
                self._priority[first + i] = value >> 8 * i & 0xF0  # four bits: PM0214 4.3.7
