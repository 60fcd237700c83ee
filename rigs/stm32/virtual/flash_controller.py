"""The flash memory interface of the STM32F405 as RM0090 chapter 3 describes it, with defects on demand.

Programming clears bits, erasing sets them, an illegal access raises a flag and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap

FLASH_BASE = 0x08000000
FLASH_SIZE = 0x100000
REGISTERS_BASE = 0x40023C00

# RM0090 table 5: 4 x 16 KiB, 64 KiB, 7 x 128 KiB.
SECTORS: tuple[tuple[int, int], ...] = (
    *((i * 0x4000, 0x4000) for i in range(4)),
    (0x10000, 0x10000),
    *((0x20000 + i * 0x20000, 0x20000) for i in range(7)),
)

_ACR, _KEYR, _SR, _CR, _OPTCR = 0x00, 0x04, 0x0C, 0x10, 0x14
_KEYS = (0x45670123, 0xCDEF89AB)
_SR_EOP, _SR_PGPERR, _SR_PGSERR = 1 << 0, 1 << 6, 1 << 7
_SR_CLEARABLE = 0xF3
_CR_PG, _CR_SER, _CR_MER, _CR_STRT, _CR_LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 16, 1 << 31
_CR_WRITABLE = 0x8301037F


class PowerLostError(Exception):
    """The supply failed in the middle of a flash operation, as it was told to."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"power lost while flash was written at {FLASH_BASE + offset:#010x}")


@dataclass(frozen=True)
class StuckBit:
    """A bit of the flash that keeps its value whatever is erased or programmed."""

    offset: int
    bit: int
    value: int

    def apply(self, byte: int) -> int:
        return byte | 1 << self.bit if self.value else byte & ~(1 << self.bit)


def sector_of(offset: int) -> int:
    """Number of the sector that holds ``offset`` (bytes from the start of flash)."""
    return next(n for n, (start, size) in enumerate(SECTORS) if start <= offset < start + size)


class FlashController:
    """Registers and array. ``flash`` is the array: a file mapped to memory, so that it outlives processes."""

    def __init__(self, flash: mmap) -> None:
        self.flash = flash
        self.changed: set[int] = set()  # sectors that differ from what QEMU holds
        self.stuck: list[StuckBit] = []
        self.lose_power_after: int | None = None  # bytes still to be programmed or erased
        self.powered = True
        self._restore: list[tuple[int, bytes]] = []
        self.reset()

    def power_on(self) -> None:
        """The supply is back; stuck bits stay."""
        self.lose_power_after, self.powered = None, True
        self.reset()

    def heal(self) -> None:
        """No defect any more; what they did to the contents stays."""
        self.lose_power_after = None
        self.stuck.clear()

    def reset(self) -> None:
        self._cr, self._sr, self._acr, self._keys = _CR_LOCK, 0, 0, 0

    def read_register(self, offset: int) -> int:
        return {_ACR: self._acr, _SR: self._sr, _CR: self._cr, _OPTCR: 0x0FFFAAED}.get(offset, 0)

    def write_register(self, offset: int, value: int) -> None:
        if offset == _ACR:
            self._acr = value
        elif offset == _KEYR:
            self._unlock(value)
        elif offset == _SR:
            self._sr &= ~(value & _SR_CLEARABLE)
        elif offset == _CR and not self._cr & _CR_LOCK:
            self._cr = value & _CR_WRITABLE
            if value & _CR_LOCK:
                self._keys = 0
            if value & _CR_STRT:
                self._cr &= ~_CR_STRT
                self._erase()

    def _unlock(self, key: int) -> None:
        if self._keys < 2 and key == _KEYS[self._keys]:
            self._keys += 1
            if self._keys == 2:
                self._cr &= ~_CR_LOCK
                self._keys = 0
        else:
            self._keys = 3  # a wrong key locks until the next reset (RM0090 3.6.1)

    def _erase(self) -> None:
        number = self._cr >> 3 & 0xF
        if self._cr & _CR_MER:
            sectors = list(range(len(SECTORS)))
        elif self._cr & _CR_SER and number < len(SECTORS):
            sectors = [number]
        else:
            self._sr |= _SR_PGSERR
            return
        for sector in sectors:
            start, size = SECTORS[sector]
            powered = self._spend(size)
            self._store(start, b"\xff" * (size if powered else size // 2))
            if not powered:
                raise PowerLostError(start)
        self._sr |= _SR_EOP

    def program(self, offset: int, size: int, value: int) -> None:
        """The core stores ``value`` at ``offset``; called before the store takes place.

        Where the result differs from the plain store it is noted, for ``settle``.
        """
        old = self.flash[offset : offset + size]
        wanted = value.to_bytes(size, "little")
        if not self._cr & _CR_LOCK and self._cr & _CR_PG and 1 << (self._cr >> 8 & 3) == size:
            if not self._spend(size):
                self._restore.append((offset, old))
                raise PowerLostError(offset)
            result = self._with_stuck_bits(offset, bytes(a & b for a, b in zip(old, wanted, strict=True)))
            if result != wanted:
                self._restore.append((offset, result))
            self.changed.add(sector_of(offset))
        else:
            locked = self._cr & _CR_LOCK or not self._cr & _CR_PG
            self._sr |= _SR_PGSERR if locked else _SR_PGPERR
            self._restore.append((offset, old))

    def settle(self) -> None:
        """Give the cells whose plain store did not happen the value they have."""
        for offset, data in self._restore:
            self.flash[offset : offset + len(data)] = data
        self._restore.clear()

    def stick(self, defect: StuckBit) -> None:
        """Make one bit stuck from now on."""
        self.stuck.append(defect)
        self._store(defect.offset, self.flash[defect.offset : defect.offset + 1])

    def _store(self, offset: int, data: bytes) -> None:
        self.flash[offset : offset + len(data)] = self._with_stuck_bits(offset, data)
        self.changed.add(sector_of(offset))

    def _with_stuck_bits(self, offset: int, data: bytes) -> bytes:
        if not self.stuck:
            return data
        result = bytearray(data)
        for defect in self.stuck:
            if offset <= defect.offset < offset + len(data):
                result[defect.offset - offset] = defect.apply(result[defect.offset - offset])
        return bytes(result)

    def _spend(self, size: int) -> bool:
        """Count down to the power loss; False from then on."""
        if self.lose_power_after is not None:
            self.lose_power_after -= size
            self.powered = self.powered and self.lose_power_after >= 0
        return self.powered
