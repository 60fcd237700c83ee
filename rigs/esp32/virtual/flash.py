"""NOR flash as the chip sees it: erasing sets bits, programming clears them, both can fail on purpose."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

from rigs.common.flash_file import map_flash

SECTOR = 4096
_JEDEC_CAPACITY = {1 << 20: 0x14, 2 << 20: 0x15, 4 << 20: 0x16, 8 << 20: 0x17, 16 << 20: 0x18}
_JEDEC_VENDOR_AND_TYPE = 0x40EF  # Winbond W25Q, vendor in the lowest byte
_READ_JEDEC_ID = 0x9F
_READ_SFDP = 0x5A
_SFDP_HEADER = b"SFDP\x06\x01\x00\xff"  # JESD216: no parameter tables follow


class PowerLostError(Exception):
    """The supply went away in the middle of a flash write; the bytes so far are written."""


class NorFlash:
    """``size`` bytes of flash, kept in ``path`` (created erased) so that they outlive the process;
    ``UsageError`` for a file that is no such flash, or another board's.

    ``memory`` is the live content: a CPU may map it and sees every change.
    """

    def __init__(self, size: int, path: Path | None = None) -> None:
        if size not in _JEDEC_CAPACITY:
            raise ValueError(f"flash size {size} is not one of {sorted(_JEDEC_CAPACITY)}")
        self.size = size
        self.memory = mmap.mmap(-1, size) if path is None else map_flash(path, size)
        if path is None:
            self.memory[:] = b"\xff" * size
        self._pin = (ctypes.c_char * size).from_buffer(self.memory)
        self._stuck: list[tuple[int, int, int]] = []
        self._bytes_to_power_loss: int | None = None

    @property
    def host_address(self) -> int:
        """Where ``memory`` lies in this process; page-aligned."""
        return ctypes.addressof(self._pin)

    def erase(self, address: int, length: int) -> None:
        """Set all bits of the sectors that the range touches. ``IndexError`` outside the flash."""
        start = address - address % SECTOR
        end = -(-(address + length) // SECTOR) * SECTOR
        self._check(start, end - start)
        self.memory[start:end] = b"\xff" * (end - start)
        self._apply_stuck_bits()

    def program(self, address: int, data: bytes) -> None:
        """Clear the bits that are 0 in ``data``; a bit once cleared stays so until erased."""
        self._check(address, len(data))
        lost, wanted = self._bytes_to_power_loss, len(data)
        if lost is not None:
            data = data[:lost]
        end = address + len(data)
        old = int.from_bytes(self.memory[address:end], "little")
        self.memory[address:end] = (old & int.from_bytes(data, "little")).to_bytes(len(data), "little")
        self._apply_stuck_bits()
        if lost is not None:
            self._bytes_to_power_loss = lost - len(data)
            if wanted > lost:
                raise PowerLostError

    def read(self, address: int, length: int) -> bytes:
        """``length`` bytes; ``IndexError`` outside the flash."""
        self._check(address, length)
        return self.memory[address : address + length]

    def command(self, opcode: int, address: int, reply_bits: int) -> int:
        """The reply of a raw SPI command, as the controller's first data word holds it."""
        if opcode == _READ_JEDEC_ID:
            return _JEDEC_CAPACITY[self.size] << 16 | _JEDEC_VENDOR_AND_TYPE
        if opcode == _READ_SFDP:
            word = _SFDP_HEADER[address : address + 4].ljust(4, b"\xff")
            return int.from_bytes(word, "little") & ((1 << reply_bits) - 1)
        return 0

    def stick_bit(self, address: int, bit: int, value: int) -> None:
        """From now on this bit reads ``value`` whatever is written."""
        self._check(address, 1)
        self._stuck.append((address, bit, value))
        self._apply_stuck_bits()

    def lose_power_after(self, programmed_bytes: int) -> None:
        """Raise ``PowerLostError`` at the byte that follows so many further ones."""
        self._bytes_to_power_loss = programmed_bytes

    def heal(self) -> None:
        """No stuck bits and no power loss from now on; what is stored stays as it is."""
        self._stuck.clear()
        self._bytes_to_power_loss = None

    def _apply_stuck_bits(self) -> None:
        for address, bit, value in self._stuck:
            if value:
                self.memory[address] |= 1 << bit
            else:
                self.memory[address] &= ~(1 << bit) & 0xFF

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self.size:
            raise IndexError(f"flash range 0x{address:x} + {length} is outside {self.size} bytes")
