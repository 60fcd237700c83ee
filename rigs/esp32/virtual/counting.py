"""Exact instruction counting: a native callback that unicorn calls before every block of translated code.

Compiled by numba at run time and kept in the cache folder, so that no compiler is needed. It adds up
how many instructions a block holds, and it is the only place where the core is stopped: the block
before which it stops is not counted and not executed, so stops leave no trace in the count.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

# Words of the shared state, all uint64.
COUNT = 0  # executed instructions
STOP = 1  # set to 1 by any thread: stop before the next block
COUNTDOWN = 2  # when not 0: stop before the block that brings it to 0
STOP_FUNCTION = 3  # address of uc_emu_stop
REGIONS = 4  # three times (first address, bytes, host address): where code may lie
TAGS = 16
SLOTS = 1 << 15
WORDS = TAGS + 2 * SLOTS


@intrinsic  # type: ignore[untyped-decorator]
def _load_byte(_context: Any, address: Any) -> Any:  # noqa: ARG001  # numba goes by the names
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))

    return types.uint8(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _call(_context: Any, function: Any, argument: Any) -> Any:  # noqa: ARG001
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [arguments[1]])

    return types.int32(types.uint64, types.uint64), generate


@numba.njit("uint64(uint64[:], uint64, uint64)", cache=True)  # type: ignore[untyped-decorator]
def instructions_in(state: Any, address: Any, size: Any) -> Any:
    """How many instructions lie in ``size`` bytes of code at ``address``: RV32C, 2 or 4 bytes each."""
    for region in range(3):
        offset = address - state[REGIONS + 3 * region]
        if offset < state[REGIONS + 3 * region + 1]:
            at = state[REGIONS + 3 * region + 2] + offset
            count, end = np.uint64(0), at + size
            while at < end:
                at += np.uint64(4) if (_load_byte(at) & 3) == 3 else np.uint64(2)
                count += np.uint64(1)
            return count
    return np.uint64(0)


@numba.cfunc("void(uint64, uint64, uint32, CPointer(uint64))", cache=True)  # type: ignore[untyped-decorator]
def _on_block(engine: Any, address: Any, size: Any, pointer: Any) -> None:
    state = numba.carray(pointer, (WORDS,), types.uint64)
    if state[COUNTDOWN] != 0:
        state[COUNTDOWN] -= np.uint64(1)
        if state[COUNTDOWN] == 0:
            state[STOP] = np.uint64(1)
    if state[STOP] != 0:
        _call(state[STOP_FUNCTION], engine)
        return
    slot = TAGS + 2 * ((address >> np.uint64(1)) % SLOTS)
    tag = address | (np.uint64(size) << np.uint64(32))
    if state[slot] != tag:
        state[slot] = tag
        state[slot + 1] = instructions_in(state, address, np.uint64(size))
    state[COUNT] += state[slot + 1]


BLOCK_CALLBACK: int = _on_block.address


def new_state(stop_function: int, regions: list[tuple[int, int, int]]) -> NDArray[np.uint64]:
    """The state for one core; ``regions`` are at most three ``(first address, bytes, host address)``."""
    state = np.zeros(WORDS, np.uint64)
    state[STOP_FUNCTION] = stop_function
    for number, region in enumerate(regions):
        state[REGIONS + 3 * number : REGIONS + 3 * number + 3] = region
    return state


def pointer(state: NDArray[np.uint64]) -> ctypes.c_void_p:
    """The state's address as a callback's user data."""
    return ctypes.c_void_p(state.ctypes.data)
