"""SW-DP and AHB-AP of the virtual chip at register level (ARM IHI 0031, ADIv5.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from rigs.stm32.virtual.core import BusFaultError, Core

_T = TypeVar("_T")

_DPIDR, _CTRL_STAT, _SELECT, _RDBUFF, _ABORT = 0x0, 0x4, 0x8, 0xC, 0x0
_DPIDR_VALUE = 0x2BA01477  # SW-DP of the STM32F4: RM0090 38.8.5
_CSW, _TAR, _DRW, _BD0, _BD3, _BASE, _IDR = 0x00, 0x04, 0x0C, 0x10, 0x1C, 0xF8, 0xFC
_IDR_VALUE = 0x24770011  # AHB-AP: RM0090 38.16
_STICKY = 0xB2  # STICKYORUN, STICKYCMP, STICKYERR, WDATAERR
_STICKYERR = 1 << 5
_TAR_PAGE = 0xFFF  # auto-increment stays inside 4 KiB


class DebugPort:
    """What a probe reads and writes. A failed access raises ``BusFaultError`` and sets STICKYERR."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reset_line = False
        self.connect()

    def connect(self) -> None:
        """The line reset that begins every connection."""
        self._select = self._status = self._tar = 0
        self._csw = 0x03000052

    def read_dp(self, address: int) -> int:
        if address == _DPIDR:
            self._core.machine  # noqa: B018  raises NoPowerError
            return _DPIDR_VALUE
        if address == _CTRL_STAT:
            return self._status if not self._select & 0xF else 0
        return 0

    def write_dp(self, address: int, value: int) -> None:
        if address == _ABORT and value & 0x1E:
            self._status &= ~_STICKY
        elif address == _CTRL_STAT:
            self._status = value & 0x50FFFF4D | self._status & _STICKY
            self._status |= (value & 0x50000000) << 1  # power-up requests are acknowledged at once
        elif address == _SELECT:
            self._select = value

    def read_ap(self, address: int, count: int) -> list[int]:
        """``count`` reads of one AP register."""
        if not self._may_access():
            return [0] * count
        if self._is_block(address, count):
            data = self._guard(lambda: self._core.read(self._tar, 4 * count))
            self._advance(4 * count)
            return list(struct.unpack(f"<{count}I", data))
        return [self._guard(lambda: self._read_register(address)) for _ in range(count)]

    def write_ap(self, address: int, values: Sequence[int]) -> None:
        """Writes of one AP register, one after the other."""
        if not self._may_access():
            return
        if self._is_block(address, len(values)):
            data = struct.pack(f"<{len(values)}I", *values)
            self._guard(lambda: self._core.write(self._tar, data))
            self._advance(len(data))
            return
        for value in values:
            self._guard(partial(self._write_register, address, value))

    def reset(self) -> None:
        """A pulse on nRESET."""
        self._core.reset()

    def hold_reset(self, asserted: bool) -> None:
        """nRESET low, or released again."""
        if asserted != self._reset_line:
            self._reset_line = asserted
            self._core.reset(catch=True if asserted else None)

    @property
    def reset_held(self) -> bool:
        return self._reset_line

    def _may_access(self) -> bool:
        if self._status & _STICKYERR:
            raise BusFaultError("STICKYERR is set")
        return self._select >> 24 == 0

    def _guard(self, access: Callable[[], _T]) -> _T:
        try:
            return access()
        except BusFaultError:
            self._status |= _STICKYERR
            raise

    def _register(self, address: int) -> int:
        return self._select & 0xF0 | address & 0xC

    def _size(self) -> int:
        return 1 << (self._csw & 3)

    def _advance(self, count: int) -> None:
        if self._csw & 0x30:
            self._tar = self._tar & ~_TAR_PAGE | self._tar + count & _TAR_PAGE

    def _is_block(self, address: int, count: int) -> bool:
        """Whether these are words of plain memory, so that they may go in one piece."""
        return (
            count > 1
            and self._register(address) == _DRW
            and self._csw & 0x37 == 0x12
            and self._tar >> 20 in (0x080, 0x200)
            and (self._tar & _TAR_PAGE) + 4 * count <= _TAR_PAGE + 1
        )

    def _read_register(self, address: int) -> int:
        register = self._register(address)
        if register == _DRW:
            value = self._read_memory(self._tar)
            self._advance(self._size())
            return value
        if _BD0 <= register <= _BD3:
            return self._core.read_word(self._tar & ~0xF | register & 0xC)
        return {_CSW: self._csw | 0x40, _TAR: self._tar, _BASE: 0xE00FF003, _IDR: _IDR_VALUE}.get(register, 0)

    def _read_memory(self, address: int) -> int:
        if self._size() == 4 or address >> 28 == 0xE:
            return self._core.read_word(address & ~3)
        return int.from_bytes(self._core.read(address, self._size()), "little") << 8 * (address & 3)

    def _write_register(self, address: int, value: int) -> None:
        register = self._register(address)
        if register == _CSW:
            if value & 7 <= 2:
                self._csw = value & 0x7F000037
        elif register == _TAR:
            self._tar = value
        elif register == _DRW:
            self._write_memory(self._tar, value)
            self._advance(self._size())
        elif _BD0 <= register <= _BD3:
            self._core.write_word(self._tar & ~0xF | register & 0xC, value)

    def _write_memory(self, address: int, value: int) -> None:
        size = self._size()
        if size == 4:
            self._core.write_word(address & ~3, value)
        else:
            lane = value >> 8 * (address & 3) & (1 << 8 * size) - 1
            self._core.write(address, lane.to_bytes(size, "little"))
