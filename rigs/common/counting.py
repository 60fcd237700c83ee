"""Exact counting: a native callback that unicorn calls before every block of translated code.

Compiled by LLVM when a board starts, so that no compiler is needed. It adds up what the blocks hold, and it
is the only place where a core is stopped: the block before which it stops is not counted and not
executed, so stops leave no trace in the count. What a block holds is asked once, in Python.

While a meter is set it also adds up clock cycles: those of the blocks, a refill of the pipeline wherever
execution does not go straight on, and a wait for each line that is not in the cache in front of the flash.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray
from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, Uc, UcError
from unicorn.unicorn_py3 import unicorn as binding

# Words of the shared state, all uint64.
COUNT = 0  # executed instructions
STOP = 1  # set to 1 by any thread: stop before the next block
COUNTDOWN = 2  # when not 0: stop before the block that brings it to 0
BLOCK = 3  # the block that runs now: address, size << 32
STOP_FUNCTION = 4  # address of uc_emu_stop
ASK_FUNCTION = 5  # address of the callback into Python
METERING = 6  # 1: add up cycles
CYCLES = 7
NEXT = 8  # where execution goes straight on
REFILL = 9  # cycles where it does not
_CODE, _DATA = (
    10,
    13,
)  # of each: first address and bytes of the window on the flash, where its cache's words are
_CACHES = (
    16,
    24,
)  # of each: addresses of two tables, place in the ring, lines, cycles of a miss, log2 of a line
_PRESENT, _RING, _PLACE, _LINES, _MISS, _SHIFT = range(6)
TAGS = 32
SLOTS = 1 << 15
WORDS = TAGS + 2 * SLOTS
PACKED = 32  # a block's word: instructions, cycles << PACKED

_WORD, _INT = ir.IntType(64), ir.IntType(32)
_ASK = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)


@dataclass(frozen=True)
class Cache:
    """``lines`` of ``1 << shift`` bytes, the oldest of which gives way; a miss costs ``miss`` cycles."""

    lines: int
    shift: int
    miss: int


@dataclass(frozen=True)
class Window:
    """Addresses that show the flash, behind cache number ``cache``."""

    first: int
    size: int
    cache: int


@dataclass(frozen=True)
class Meter:
    """How cycles are counted: ``refill`` of the pipeline, windows of code and data, caches behind them."""

    refill: int
    code: Window | None = None
    data: Window | None = None
    caches: tuple[Cache, ...] = ()


class BlockCounter:
    """The state of one core's callback.

    ``ask(address, size)`` says what a block holds: its instructions, and its cycles ``<< PACKED``.
    """

    def __init__(self, ask: Callable[[int, int], int]) -> None:
        self._callback = _ASK(ask)
        self._tables: list[NDArray[np.uint64]] = []
        self._load_hook: ctypes.c_size_t | None = None
        self.state: NDArray[np.uint64] = np.zeros(WORDS, np.uint64)
        self.state[STOP_FUNCTION] = _address(binding.uclib.uc_emu_stop)
        self.state[ASK_FUNCTION] = _address(self._callback)

    @property
    def counted(self) -> int:
        """Cycles while a meter is set, else instructions."""
        return int(self.state[CYCLES if self.state[METERING] else COUNT])

    def uncount(self, packed: int) -> None:
        """Take back what was counted and not executed; ``packed`` as a block's."""
        self.state[COUNT] = int(self.state[COUNT]) - (packed & 0xFFFFFFFF)
        self.state[CYCLES] = int(self.state[CYCLES]) - (packed >> PACKED)

    def forget_code(self) -> None:
        """The code in memory has changed, or what it costs."""
        self.state[TAGS:] = 0

    def stop(self) -> None:
        """Before the next block; from any thread."""
        self.state[STOP] = 1

    def attach(self, core: Uc) -> None:
        """Have ``core`` call it."""
        self.add_native_hook(core, UC_HOOK_BLOCK, _callback_address("on_block"))

    def set_meter(self, core: Uc, meter: Meter | None) -> None:
        """Count cycles from now on; None: instructions. The core must not run."""
        self.forget_code()
        if self._load_hook is not None:
            binding.uclib.uc_hook_del(core._uch, self._load_hook)
            self._load_hook = None
        self.state[METERING:_CODE] = 0
        self.state[_CODE:TAGS] = 0
        self._tables.clear()
        if meter is not None:
            self.state[METERING], self.state[REFILL] = 1, meter.refill
            for words, window in ((_CODE, meter.code), (_DATA, meter.data)):
                if window is not None:
                    self.state[words : words + 3] = window.first, window.size, _CACHES[window.cache]
                    self._fill_cache(_CACHES[window.cache], meter.caches[window.cache], window.size)
            if meter.data is not None:
                last = meter.data.first + meter.data.size - 1
                self._load_hook = self.add_native_hook(
                    core, UC_HOOK_MEM_READ, _callback_address("on_load"), meter.data.first, last
                )
        core.ctl_flush_tb()

    def _fill_cache(self, words: int, cache: Cache, size: int) -> None:
        """Empty: the ring is full of a line that does not exist."""
        nowhere = size >> cache.shift
        present, ring = np.zeros(nowhere + 1, np.uint64), np.full(cache.lines, nowhere, np.uint64)
        self._tables += [present, ring]
        self.state[words : words + 6] = (
            present.ctypes.data,
            ring.ctypes.data,
            0,
            cache.lines,
            cache.miss,
            cache.shift,
        )

    def add_native_hook(
        self, core: Uc, kind: int, callback: int, first: int = 1, last: int = 0
    ) -> ctypes.c_size_t:
        """Register a C callback by its address; its user data is the state. ``first > last``: everywhere."""
        handle = ctypes.c_size_t()
        status = binding.uclib.uc_hook_add(
            core._uch,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            ctypes.c_void_p(callback),
            ctypes.c_void_p(self.state.ctypes.data),
            ctypes.c_uint64(first),
            ctypes.c_uint64(last),
        )
        if status:
            raise UcError(status)
        return handle


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


_compiled: list[Any] = []  # the engine owns the code


def _callback_address(name: str) -> int:
    if not _compiled:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = llvm.parse_assembly(str(_module()))
        machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        _compiled.append(engine)
    return int(_compiled[0].get_function_address(name))


def _module() -> ir.Module:
    module = ir.Module()
    touch = _define_touch(module)
    _define_on_block(module, touch)
    _define_on_load(module, touch)
    return module


class _Code(ir.IRBuilder):  # type: ignore[misc]  # llvmlite has no types
    """A builder that knows the state."""

    def __init__(self, function: Any, state: Any) -> None:
        super().__init__(function.append_basic_block())
        self._state = state

    def at(self, index: Any) -> Any:
        return self.gep(self._state, [_WORD(index) if isinstance(index, int) else index])

    def get(self, index: Any) -> Any:
        return self.load(self.at(index))

    def put(self, value: Any, index: Any) -> None:
        self.store(_WORD(value) if isinstance(value, int) else value, self.at(index))

    def add_to(self, index: int, value: Any) -> None:
        self.put(self.add(self.get(index), value), index)

    def if_not_zero(self, value: Any) -> Any:
        return self.if_then(self.icmp_unsigned("!=", value, _WORD(0)), likely=False)


def _define_touch(module: ir.Module) -> Any:
    """``void touch(uint64_t *state, uint64_t cache, uint64_t line)``: a miss costs; the oldest line goes."""
    kind = ir.FunctionType(ir.VoidType(), [_WORD.as_pointer(), _WORD, _WORD])
    function = ir.Function(module, kind, "touch")
    state, cache, line = function.args
    code = _Code(function, state)

    def word(offset: int) -> Any:
        return code.add(cache, _WORD(offset))

    def table(offset: int, index: Any) -> Any:
        return code.gep(code.inttoptr(code.get(word(offset)), _WORD.as_pointer()), [index])

    here = table(_PRESENT, line)
    with code.if_then(code.icmp_unsigned("==", code.load(here), _WORD(0)), likely=False):
        place = code.get(word(_PLACE))
        slot = table(_RING, place)
        code.store(_WORD(0), table(_PRESENT, code.load(slot)))
        code.store(line, slot)
        code.store(_WORD(1), here)
        after = code.add(place, _WORD(1))
        wraps = code.icmp_unsigned("==", after, code.get(word(_LINES)))
        code.put(code.select(wraps, _WORD(0), after), word(_PLACE))
        code.add_to(CYCLES, code.get(word(_MISS)))
    code.ret_void()
    return function


def _touch_lines(code: _Code, touch: Any, window: int, address: Any, size: Any) -> None:
    """Every line of ``window`` that ``size`` bytes at ``address`` lie in."""
    offset = code.sub(address, code.get(window))
    with code.if_then(code.icmp_unsigned("<", offset, code.get(window + 1))):
        cache = code.get(window + 2)
        shift = code.get(code.add(cache, _WORD(_SHIFT)))
        last = code.lshr(code.add(offset, code.sub(size, _WORD(1))), shift)
        line = code.alloca(_WORD)
        code.store(code.lshr(offset, shift), line)
        loop, done = code.append_basic_block(), code.append_basic_block()
        code.branch(loop)
        code.position_at_end(loop)
        now = code.load(line)
        code.call(touch, [code._state, cache, now])
        code.store(code.add(now, _WORD(1)), line)
        code.cbranch(code.icmp_unsigned("<", now, last), loop, done)
        code.position_at_end(done)


def _define_on_block(module: ir.Module, touch: Any) -> None:
    """``void on_block(uc_engine *, uint64_t address, uint32_t size, uint64_t *state)``."""
    kind = ir.FunctionType(ir.VoidType(), [_WORD, _WORD, _INT, _WORD.as_pointer()])
    function = ir.Function(module, kind, "on_block")
    engine, address, size, state = function.args
    code = _Code(function, state)
    with code.if_not_zero(code.get(COUNTDOWN)):
        left = code.sub(code.get(COUNTDOWN), _WORD(1))
        code.put(left, COUNTDOWN)
        with code.if_then(code.icmp_unsigned("==", left, _WORD(0)), likely=False):
            code.put(1, STOP)
    with code.if_not_zero(code.get(STOP)):
        stop = ir.FunctionType(_INT, [_WORD]).as_pointer()
        code.call(code.inttoptr(code.get(STOP_FUNCTION), stop), [engine])
        code.ret_void()
    number = code.and_(code.lshr(address, _WORD(1)), _WORD(SLOTS - 1))
    slot = code.add(code.shl(number, _WORD(1)), _WORD(TAGS))
    held = code.add(slot, _WORD(1))
    wide = code.zext(size, _WORD)
    tag = code.or_(address, code.shl(wide, _WORD(32)))
    with code.if_not_zero(code.xor(code.get(slot), tag)):
        ask = ir.FunctionType(_WORD, [_WORD, _WORD]).as_pointer()
        answer = code.call(code.inttoptr(code.get(ASK_FUNCTION), ask), [address, wide])
        code.put(tag, slot)
        code.put(answer, held)
    packed = code.get(held)
    code.add_to(COUNT, code.and_(packed, _WORD(0xFFFFFFFF)))
    code.put(tag, BLOCK)
    with code.if_not_zero(code.get(METERING)):
        code.add_to(CYCLES, code.lshr(packed, _WORD(PACKED)))
        with code.if_not_zero(code.xor(code.get(NEXT), address)):
            code.add_to(CYCLES, code.get(REFILL))
        code.put(code.add(address, wide), NEXT)
        _touch_lines(code, touch, _CODE, address, wide)
    code.ret_void()


def _define_on_load(module: ir.Module, touch: Any) -> None:
    """``void on_load(uc_engine *, int type, uint64_t address, int size, int64_t value, uint64_t *state)``."""
    kind = ir.FunctionType(ir.VoidType(), [_WORD, _INT, _WORD, _INT, _WORD, _WORD.as_pointer()])
    function = ir.Function(module, kind, "on_load")
    _, _, address, size, _, state = function.args
    code = _Code(function, state)
    _touch_lines(code, touch, _DATA, address, code.zext(size, _WORD))
    code.ret_void()
