"""The STM32F405 on unicorn's Cortex-M4: memory, exceptions and idling around what unicorn executes.

unicorn knows neither interrupts nor exception entry and return of this profile; both are done here, between
blocks. A thread runs the core; everything else belongs to the thread that serves the debugger.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
import time
from mmap import mmap
from typing import Any

import unicorn
from unicorn import arm_const as arm

from rigs.common.counting import (
    BLOCK,
    COUNT,
    COUNTDOWN,
    PACKED,
    STOP,
    BlockCounter,
    Cache,
    Meter,
    Window,
)
from rigs.common.cycle_table import HIGH
from rigs.stm32.virtual import exceptions as exc
from rigs.stm32.virtual import timing
from rigs.stm32.virtual.algorithm import RAM_BASE, RAM_SIZE
from rigs.stm32.virtual.counter_page import CounterPage
from rigs.stm32.virtual.flash_controller import FLASH_BASE, FLASH_SIZE
from rigs.stm32.virtual.frames import enter_exception, leave_exception
from rigs.stm32.virtual.machine import XPSR, StubError, TargetLostError
from rigs.stm32.virtual.peripherals import COUNTER_PAGE, TIM2, Cable, Peripherals
from rigs.stm32.virtual.registers import GENERAL, unicorn_register
from rigs.stm32.virtual.traps import Traps

CLOCK_HZ = 168_000_000  # an instruction a cycle, for SysTick
PERIPHERAL_BASE, PERIPHERAL_BYTES = 0x40001000, 0x7F000
AHB2_BASE, AHB2_BYTES = 0x50000000, 0x61000
SYSTEM_BASE, SYSTEM_BYTES = 0xE0000000, 0x100000
_NEVER = 0xFFFFFFFE  # "run until": an address that is never executed
_INTERRUPTS = {2: "svc", 3: "fetch", 4: "unaligned", 7: "bkpt", 8: "return"}  # unicorn's numbers
_WFI, _WFE = 0xBF30, 0xBF20
_BLOCKS_UNTIL_SENT = 2000  # what the firmware has written leaves so soon, if nothing else happens
_TRUE_TIME = 12.0  # seconds of silence; longer than any timeout of the firmware
_LONG_NAP = 0.1  # a wake costs about a millisecond of the processor
_FETCH = (unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT)


class Emulator:
    """Keeps ``Machine``'s promises. ``flash`` is the live contents; ``usart`` (1 or 2) has the cable."""

    pid = os.getpid()
    exit_code: int | None = None

    def __init__(self, flash: mmap, usart: int) -> None:
        self._flash = (ctypes.c_char * FLASH_SIZE).from_buffer(flash)
        self._block = ctypes.create_string_buffer(RAM_SIZE + COUNTER_PAGE + 4096)
        self._ram = (ctypes.addressof(self._block) + 4095) & ~4095
        self._turn = threading.Condition()
        self._running = self._wanted_stop = self._ending = False
        self._halted = self._lost = self._reset_wanted = False
        self._idle_clocks = 0
        self._silent_since = time.monotonic()
        self._event: tuple[str, int, int] | None = None  # what ended the last stretch: kind, address, pc
        self._breakpoints: dict[int, int] = {}
        self._skip = -1  # the breakpoint that the core goes on from
        self._bound = ""  # of the cycles that are counted; empty: instructions are
        self._counter = BlockCounter(self._ask)
        self._state = self._counter.state
        self._peripherals = Peripherals(lambda: self._counter.counted, self._notice_byte)
        self._exceptions = self._new_exceptions()
        self._core = self._new_core()
        self._traps = Traps(self._core, lambda address: self._stop_at("trap", address))
        self._page = CounterPage(
            self._core, self._counter, self._peripherals, self._ram + RAM_SIZE, self._load_cycles
        )
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self.line = Cable(self._peripherals.usarts[usart])
        self.system_reset()
        self._thread = threading.Thread(target=self._serve, name="core", daemon=True)
        self._thread.start()

    # -- run control

    def fileno(self) -> int:
        return self._woken.fileno()

    def stop(self) -> None:
        with self._turn:
            self._ending = True
            self._counter.stop()
            self._turn.notify_all()
        self._thread.join()
        self.line.hang_up()
        for end in (self._wake, self._woken):
            end.close()

    def resume(self) -> None:
        with self._turn:
            if self._lost:
                raise TargetLostError("the core is in lockup")
            self._halted, self._running, self._skip = False, True, self._pc
            self._turn.notify_all()

    def interrupt(self) -> bool:
        with self._turn:
            self._wanted_stop = True
            self._counter.stop()
            self._turn.notify_all()
            while self._running:
                self._turn.wait()
            self._wanted_stop = False
        return self.stopped()

    def stopped(self) -> bool:
        with self._turn:
            if self._lost:
                raise TargetLostError("the core is in lockup")
            halted, self._halted = self._halted and not self._running, False
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(64)
        return halted

    def step(self) -> None:
        before, self._skip = int(self._state[COUNT]), self._pc
        self._state[STOP] = 0
        self._advance(count=1)
        self._state[COUNT] = before + 1
        if self._lost:
            raise TargetLostError("the core is in lockup")

    def system_reset(self) -> None:
        """B1.5.5: stack pointer and program counter from the vector table in flash."""
        self._peripherals.reset()
        self._exceptions = self._new_exceptions()
        self._event = None
        self.meter("", 0)
        for register in (arm.UC_ARM_REG_PRIMASK, arm.UC_ARM_REG_FAULTMASK, arm.UC_ARM_REG_BASEPRI):
            self._core.reg_write(register, 0)
        self._core.reg_write(arm.UC_ARM_REG_CONTROL, 0)
        stack, entry = self._word(FLASH_BASE), self._word(FLASH_BASE + 4)
        self._core.reg_write(arm.UC_ARM_REG_XPSR, (entry & 1) << 24)
        self._core.reg_write(arm.UC_ARM_REG_SP, stack & ~3)
        self._core.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFFF)
        self._core.reg_write(arm.UC_ARM_REG_PC, entry)
        self._pc = entry & ~1

    def meter(self, bound: str, wait_states: int) -> None:
        """The adaptive accelerator (RM0090 3.5.2): 64 lines for code, 8 for data, of 128 bits."""
        self._bound = bound
        meter = None
        if bound:
            flash = [Window(FLASH_BASE, FLASH_SIZE, cache) if bound == HIGH else None for cache in (0, 1)]
            caches = tuple(Cache(lines, 4, wait_states) for lines in (64, 8))
            meter = Meter(timing.TABLE[bound]["refill"], flash[0], flash[1], caches)
        self._counter.set_meter(self._core, meter)

    # -- what a debugger sees

    def read(self, address: int, size: int) -> bytes:
        if self._is_peripheral(address):
            return self._register_at(address & ~3).to_bytes(4, "little")[address & 3 :][:size]
        try:
            return bytes(self._core.mem_read(address, size))
        except unicorn.UcError as error:
            raise StubError(f"no memory at {address:#010x}") from error

    def write(self, address: int, data: bytes) -> None:
        if self._is_peripheral(address):
            self._write_register(address, int.from_bytes(data, "little"), len(data))
            return
        try:
            self._core.mem_write(address, data)
        except unicorn.UcError as error:
            raise StubError(f"no memory at {address:#010x}") from error
        self._forget_code()

    def registers(self) -> list[int]:
        values = [int(self._core.reg_read(register)) for register in GENERAL]
        values[15] = self._pc
        return [*values, self.register(XPSR)]

    def register(self, number: int) -> int:
        if number == 15:
            return self._pc
        return int(self._core.reg_read(unicorn_register(number)))

    def set_register(self, number: int, value: int, size: int = 4) -> None:
        del size
        if number == 15:
            self._pc = value & ~1
        else:
            self._core.reg_write(unicorn_register(number), value)

    def set_breakpoint(self, address: int) -> None:
        hook = self._core.hook_add(unicorn.UC_HOOK_CODE, self._on_breakpoint, begin=address, end=address)
        self._breakpoints[address] = hook
        self._core.ctl_flush_tb()

    def clear_breakpoint(self, address: int) -> None:
        self._core.hook_del(self._breakpoints.pop(address))
        self._core.ctl_flush_tb()

    # -- the core's thread

    def _serve(self) -> None:
        while True:
            with self._turn:
                while not self._running and not self._ending:
                    self._turn.wait()
                if self._ending:
                    self._running = False
                    self._peripherals.drain()
                    return
            while self._running:
                self._state[STOP] = 0
                if self._wanted_stop or self._ending or self._halted or self._lost:
                    self._park()
                elif self._reset_wanted:
                    self._reset_wanted = False
                    self.system_reset()
                else:
                    self._advance()

    def _park(self) -> None:
        self._peripherals.drain()
        with self._turn:
            self._running = False
            if self._halted or self._lost:
                self._wake.send(b"\0")
            self._turn.notify_all()

    def _advance(self, count: int = 0) -> None:
        """Run until something wants attention, and give it."""
        try:
            self._exceptions.lines = {exc.FIRST_INTERRUPT + each for each in self._peripherals.interrupts}
            number = self._exceptions.next(*self._masks())
            if number:
                self._enter(number)
            self._plan_next_look()
            self._rearm()
            self._execute(count)
        except (exc.LockupError, unicorn.UcError):  # nobody else would notice that this thread ended
            self._lost = True

    def _execute(self, count: int) -> None:
        if not self._in_thumb_state():
            self._enter(self._exceptions.fault(exc.USAGE_FAULT, exc.INVSTATE))
            return
        failed = self._run(count)
        while self._event is not None and self._event[0] == "traps":
            block = self._event[1]  # counted, and not executed yet
            self._uncount(block)
            self._traps.add(block, self._core.mem_read(block, int(self._state[BLOCK]) >> 32))
            self._core.ctl_flush_tb()
            failed = self._run(count)
        event, self._event = self._event, None
        if event is None and not failed:
            if not count and self._has_waited():
                self._idle()
            return
        kind, address, pc = event or ("undefined", self._pc, self._pc)
        self._take(kind, address, pc)

    def _run(self, count: int) -> bool:
        """Until something ends the stretch; whether it failed."""
        self._event, failed = None, False
        try:
            self._core.emu_start(self._pc | 1, _NEVER, count=count)
        except unicorn.UcError:
            failed = True
        self._pc = int(self._core.reg_read(arm.UC_ARM_REG_PC)) & ~1
        return failed

    def _take(self, kind: str, address: int, pc: int) -> None:
        """What ended a stretch; ``pc`` is the instruction that did."""
        if kind not in ("return", "svc", "bkpt"):
            self._uncount(pc)
            self._pc = pc
        if kind == "halt":
            self._halted = True
        elif kind == "counter":
            self._pc = self._page.execute(self._pc, address)
        elif kind == "return":
            self._pc = leave_exception(self._core, self._exceptions, pc)
        elif kind == "svc":
            self._enter(self._exceptions.escalated(exc.SV_CALL))
        elif kind == "bkpt":
            self._enter(self._exceptions.hard_fault(exc.DEBUGEVT))
        elif kind in ("undefined", "fetch") and not self._in_thumb_state():
            self._enter(self._exceptions.fault(exc.USAGE_FAULT, exc.INVSTATE))
        elif kind == "undefined":
            self._enter(self._exceptions.fault(exc.USAGE_FAULT, exc.UNDEFINSTR))
        elif kind == "fetch":
            if address >> 29 in (2, 5, 6, 7):  # never executable: B3.1
                self._enter(self._exceptions.fault(exc.MEM_FAULT, exc.IACCVIOL))
            else:
                self._enter(self._exceptions.fault(exc.BUS_FAULT, exc.IBUSERR))
        elif kind == "unaligned":
            self._enter(self._exceptions.fault(exc.USAGE_FAULT, exc.UNALIGNED))
        elif kind == "trap":
            self._enter(self._exceptions.fault(exc.USAGE_FAULT, self._traps.status(address)))
        elif kind == "access":
            self._enter(self._exceptions.fault(exc.BUS_FAULT, exc.PRECISERR, address))

    def _enter(self, number: int) -> None:
        self._pc = enter_exception(self._core, self._exceptions, number, self._pc)

    def _in_thumb_state(self) -> bool:
        return bool(int(self._core.reg_read(arm.UC_ARM_REG_XPSR)) >> 24 & 1)

    def _masks(self) -> tuple[int, int, int]:
        read = self._core.reg_read
        return (
            int(read(arm.UC_ARM_REG_PRIMASK)),
            int(read(arm.UC_ARM_REG_BASEPRI)),
            int(read(arm.UC_ARM_REG_FAULTMASK)),
        )

    def _rearm(self) -> None:
        """What traps has changed: look again at all code."""
        if self._traps.armed != self._exceptions.armed:
            self._traps.rearm(self._exceptions.armed)
            self._forget_code()

    def _forget_code(self) -> None:
        self._counter.forget_code()
        self._core.ctl_flush_tb()

    def _plan_next_look(self) -> None:
        """Stop in time for SysTick, and for what waits to be sent."""
        left = self._exceptions.tick.left
        blocks = 0 if left is None else left // 8 + 1
        if self._peripherals.unsent:
            if self._state[COUNTDOWN] == 0:
                self._peripherals.drain()
            blocks = min(blocks or _BLOCKS_UNTIL_SENT, _BLOCKS_UNTIL_SENT)
        if any(self._masks()) and self._exceptions.wakes():
            blocks = 2  # one block at a time, until it is no longer held back
        self._state[COUNTDOWN] = blocks

    def _has_waited(self) -> bool:
        """Whether the last block ended with WFI or WFE."""
        block = int(self._state[BLOCK])
        if (block & 0xFFFFFFFF) + (block >> 32) != self._pc or not self._pc:
            return False
        return int.from_bytes(self._core.mem_read(self._pc - 2, 2), "little") in (_WFI, _WFE)

    def _idle(self) -> None:
        """WFI: until an interrupt asks for service, or SysTick is due."""
        self._peripherals.drain()
        with self._turn:
            begin = time.monotonic()
            while not (self._wanted_stop or self._ending or self._is_awake()):
                left = self._exceptions.tick.left
                if left is None:
                    self._turn.wait()
                    continue
                seconds = left / CLOCK_HZ
                if begin - self._silent_since > _TRUE_TIME:
                    seconds = max(seconds, _LONG_NAP)
                before = time.monotonic()
                self._turn.wait(seconds)
                slept = int((time.monotonic() - before) * CLOCK_HZ)
                self._idle_clocks += min(slept, left)

    def _is_awake(self) -> bool:
        self._exceptions.lines = {exc.FIRST_INTERRUPT + each for each in self._peripherals.interrupts}
        return bool(self._exceptions.wakes())

    def _notice_byte(self) -> None:
        self._silent_since = time.monotonic()
        with self._turn:
            self._counter.stop()
            self._turn.notify_all()

    # -- memory and hooks

    def _new_core(self) -> Any:
        core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        core.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        code = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        flash = ctypes.addressof(self._flash)
        core.mem_map_ptr(0, FLASH_SIZE, code, flash)
        core.mem_map_ptr(FLASH_BASE, FLASH_SIZE, code, flash)
        core.mem_map_ptr(RAM_BASE, RAM_SIZE, unicorn.UC_PROT_ALL, self._ram)
        for base, size in (
            (PERIPHERAL_BASE, PERIPHERAL_BYTES),
            (AHB2_BASE, AHB2_BYTES),
            (SYSTEM_BASE, SYSTEM_BYTES),
        ):
            core.mmio_map(base, size, self._on_mmio_read, base, self._on_mmio_write, base)
        self._counter.attach(core)
        core.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        core.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid_access)
        return core

    def _new_exceptions(self) -> exc.Exceptions:
        return exc.Exceptions(
            now=lambda: int(self._state[COUNT]) + self._idle_clocks,
            reset=self._want_reset,
            changed=self._counter.stop,
        )

    def _want_reset(self) -> None:
        self._reset_wanted = True

    @staticmethod
    def _is_peripheral(address: int) -> bool:
        return (
            TIM2 <= address < PERIPHERAL_BASE + PERIPHERAL_BYTES
            or AHB2_BASE <= address < AHB2_BASE + AHB2_BYTES
            or SYSTEM_BASE <= address < SYSTEM_BASE + SYSTEM_BYTES
        )

    def _register_at(self, address: int) -> int:
        if address >= SYSTEM_BASE:
            return self._exceptions.read(address & 0xFFF) if address >> 12 == 0xE000E else 0
        return self._peripherals.read(address)

    def _write_register(self, address: int, value: int, size: int) -> None:
        if address < SYSTEM_BASE:
            self._peripherals.write(address, value)
        elif address >> 12 == 0xE000E:
            self._exceptions.write(address & 0xFFF, value, size)

    def _on_mmio_read(self, _core: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        return self._register_at(address & ~3) >> 8 * (address & 3) & (1 << 8 * size) - 1

    def _on_mmio_write(self, _core: Any, offset: int, size: int, value: int, base: int) -> None:
        self._write_register(base + offset, value & 0xFFFFFFFF, size)

    def _on_interrupt(self, core: Any, number: int, _user: object) -> None:
        pc = int(core.reg_read(arm.UC_ARM_REG_PC))
        self._event = (_INTERRUPTS.get(number, "undefined"), pc, pc)
        core.emu_stop()

    def _on_breakpoint(self, _core: Any, address: int, _size: int, _user: object) -> None:
        if address == self._skip:
            self._skip = -1
        else:
            self._stop_at("halt", address)

    def _stop_at(self, kind: str, pc: int) -> None:
        """From a hook. In an IT block unicorn stops only where the counter stops it: behind the block."""
        self._event = (kind, pc, pc)
        self._counter.stop()
        self._core.emu_stop()

    def _on_invalid_access(
        self, core: Any, kind: int, address: int, _size: int, _value: int, _user: object
    ) -> bool:
        pc = int(core.reg_read(arm.UC_ARM_REG_PC))
        if kind not in _FETCH and TIM2 <= address < TIM2 + COUNTER_PAGE:
            self._event = ("counter", address, pc)
        elif kind in _FETCH:
            self._event = ("fetch", address, address & ~1)
        else:
            self._event = ("access", address, pc)
        return False

    def _load_cycles(self) -> int:
        return timing.TABLE[self._bound]["load"] if self._bound else 0

    def _ask(self, address: int, size: int) -> int:
        """What a block holds, as the counter wants it."""
        code = self._core.mem_read(address, size)
        if self._traps.miss(address, code):
            self._event = ("traps", address, address)
            self._core.emu_stop()
        return self._held(code)

    def _held(self, code: bytes | bytearray) -> int:
        cycles = timing.cycles(code, self._bound) if self._bound else 0
        return timing.instructions(code) | cycles << PACKED

    def _uncount(self, pc: int) -> None:
        """What the block holds from ``pc`` on is counted, and not executed yet."""
        block = int(self._state[BLOCK])
        start, end = block & 0xFFFFFFFF, (block & 0xFFFFFFFF) + (block >> 32)
        if start <= pc < end:
            self._counter.uncount(self._held(self._core.mem_read(pc, end - pc)))

    def _word(self, address: int) -> int:
        return int.from_bytes(self._core.mem_read(address, 4), "little")
