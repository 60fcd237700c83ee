"""The serial loader of the mask ROM, and what Espressif's flasher stub does once it is loaded: esptool's
serial protocol seen from the chip.

Protocol: esptool documentation, "Serial Protocol". The stub itself is not executed: its upload is
recognised and its commands are done here.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

from rigs.esp32.virtual.flash import NorFlash

_ROM_VALUE = 0x20120707  # beside the ROM's answers to SYNC and GET_SECURITY_INFO; a stub's have 0
_ECO_VERSION = 3  # revision 0.3, as in the eFuses
_BAD_MESSAGE, _BAD_CHECKSUM, _UNKNOWN_COMMAND = 0x0105, 0x0107, 0xFF00
_IRAM = range(0x40380000, 0x403E0000)


class RegisterBus(Protocol):
    """Peripheral registers, as READ_REG and WRITE_REG reach them."""

    def read(self, address: int) -> int: ...
    def write(self, address: int, value: int) -> None: ...


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status 0x{status:04x}")
        self.status = status


class SerialLoader:
    """One stay in download mode. ``feed`` takes received bytes; ``send`` is called with replies.

    ``run_ram(segments, entry)`` is called for an uploaded program that is not esptool's stub,
    ``reboot()`` when the loader is told to leave.
    """

    def __init__(
        self,
        flash: NorFlash,
        bus: RegisterBus,
        chip_id: int,
        *,
        send: Callable[[bytes], None],
        run_ram: Callable[[dict[int, bytes], int], None],
        reboot: Callable[[], None],
    ) -> None:
        self.stub = False
        self._flash, self._bus, self._chip_id = flash, bus, chip_id
        self._raw_send, self._run_ram, self._reboot = send, run_ram, reboot
        self._frame: bytearray | None = None
        self._segments: dict[int, bytearray] = {}
        self._segment = bytearray()
        self._write_at = self._write_left = 0
        self._inflate: zlib._Decompress | None = None
        self._reading: _FlashRead | None = None
        self._afterwards: Callable[[], None] | None = None
        self._commands: dict[int, Callable[[bytes, int], tuple[int, bytes]]] = {
            0x02: self._flash_begin,
            0x03: self._flash_data,
            0x04: self._flash_end,
            0x05: self._ram_begin,
            0x06: self._ram_end,
            0x07: self._ram_data,
            0x08: self._sync,
            0x09: self._write_register,
            0x0A: self._read_register,
            0x0B: self._accept,  # SPI_SET_PARAMS
            0x0D: self._accept,  # SPI_ATTACH
            0x0F: self._accept,  # CHANGE_BAUDRATE: the line takes any rate
            0x10: self._compressed_begin,
            0x11: self._flash_data,
            0x12: self._flash_end,
            0x13: self._flash_md5,
            0x14: self._security_info,
        }
        self._rom_commands = {0x0E: self._slow_read}
        self._stub_commands = {0xD0: self._erase_all, 0xD1: self._erase_region, 0xD2: self._read_flash}

    def feed(self, data: bytes) -> None:
        """Received bytes: SLIP frames (RFC 1055), of which complete ones are executed."""
        for number, part in enumerate(data.split(b"\xc0")):
            if number:
                self._delimiter()
            if self._frame is not None:
                self._frame += part

    def _delimiter(self) -> None:
        if self._frame:
            frame = bytes(self._frame).replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            self._frame = None
            self._execute(frame)
        else:
            self._frame = bytearray()

    def _execute(self, frame: bytes) -> None:
        if self._reading is not None and len(frame) == 4:
            self._continue_read(int.from_bytes(frame, "little"))
            return
        if len(frame) < 8 or frame[0] != 0:
            return
        _, operation, length, checksum = struct.unpack_from("<BBHI", frame)
        if length != len(frame) - 8:
            return
        try:
            value, body = self._command(operation)(frame[8:], checksum)
            status = 0
        except _RefusedError as refused:
            value, body, status = 0, b"", refused.status
        except (IndexError, struct.error, zlib.error):
            value, body, status = 0, b"", _BAD_MESSAGE
        self._reply(operation, value, body, status)
        after, self._afterwards = self._afterwards, None
        if after is not None:
            after()

    def _command(self, operation: int) -> Callable[[bytes, int], tuple[int, bytes]]:
        extra = self._stub_commands if self.stub else self._rom_commands
        found = self._commands.get(operation) or extra.get(operation)
        if found is None:
            raise _RefusedError(_UNKNOWN_COMMAND if self.stub else _BAD_MESSAGE)
        return found

    def _reply(self, operation: int, value: int, body: bytes, status: int) -> None:
        tail = struct.pack(">H", status) + (b"" if self.stub else b"\0\0")
        packet = struct.pack("<BBHI", 1, operation, len(body) + len(tail), value) + body + tail
        for _ in range(8 if operation == 0x08 else 1):
            self._send(packet)

    def _send(self, packet: bytes) -> None:
        self._raw_send(b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def _accept(self, _data: bytes, _checksum: int) -> tuple[int, bytes]:
        return 0, b""

    def _sync(self, _data: bytes, _checksum: int) -> tuple[int, bytes]:
        return self._value, b""

    def _security_info(self, _data: bytes, _checksum: int) -> tuple[int, bytes]:
        return self._value, struct.pack("<IB7BII", 0, 0, *[0] * 7, self._chip_id, _ECO_VERSION)

    @property
    def _value(self) -> int:
        return 0 if self.stub else _ROM_VALUE

    def _read_register(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        return self._bus.read(*struct.unpack("<I", data)), b""

    def _write_register(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        writes = list(struct.iter_unpack("<4I", data))

        def write() -> None:
            for address, value, mask, _delay in writes:
                old = self._bus.read(address) if mask != 0xFFFFFFFF else 0
                self._bus.write(address, old & ~mask | value & mask)

        self._afterwards = write  # the reply comes first: a write may be a reset
        return 0, b""

    def _ram_begin(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        *_sizes, address = struct.unpack("<4I", data)
        self._segment = self._segments[address] = bytearray()
        return 0, b""

    def _ram_data(self, data: bytes, checksum: int) -> tuple[int, bytes]:
        self._segment += self._payload(data, checksum)
        return 0, b""

    def _ram_end(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        stay, entry = struct.unpack("<2I", data)
        if not stay:
            segments = {address: bytes(content) for address, content in self._segments.items()}
            self._segments = {}
            if any(content in esptool_stubs() for address, content in segments.items() if address in _IRAM):
                self._afterwards = self._become_stub
            else:
                self._afterwards = lambda: self._run_ram(segments, entry)
        return 0, b""

    def _become_stub(self) -> None:
        self.stub = True
        self._send(b"OHAI")

    def _flash_begin(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        size, _blocks, _block_size, address = struct.unpack_from("<4I", data)
        if size:
            self._flash.erase(address, size)
        self._write_at, self._write_left, self._inflate = address, size, None
        return 0, b""

    def _compressed_begin(self, data: bytes, checksum: int) -> tuple[int, bytes]:
        reply = self._flash_begin(data, checksum)
        self._inflate = zlib.decompressobj()
        return reply

    def _flash_data(self, data: bytes, checksum: int) -> tuple[int, bytes]:
        content = self._payload(data, checksum)
        if self._inflate is not None:
            content = self._inflate.decompress(content)
        content = content[: self._write_left]  # the last block is padded
        self._flash.program(self._write_at, content)
        self._write_at += len(content)
        self._write_left -= len(content)
        return 0, b""

    def _flash_end(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        (stay,) = struct.unpack_from("<I", data)
        if not stay and not self.stub:  # version 2 of the stub ignores the flag
            self._afterwards = self._reboot
        return 0, b""

    def _flash_md5(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        address, size = struct.unpack_from("<2I", data)
        digest = hashlib.md5(self._flash.read(address, size))
        return 0, digest.digest() if self.stub else digest.hexdigest().encode()

    def _slow_read(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        address, size = struct.unpack_from("<2I", data)
        return 0, self._flash.read(address, size).ljust(64, b"\0")

    def _erase_all(self, _data: bytes, _checksum: int) -> tuple[int, bytes]:
        self._flash.erase(0, self._flash.size)
        return 0, b""

    def _erase_region(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        self._flash.erase(*struct.unpack_from("<2I", data))
        return 0, b""

    def _read_flash(self, data: bytes, _checksum: int) -> tuple[int, bytes]:
        address, size, block_size, _in_flight = struct.unpack_from("<4I", data)
        self._reading = _FlashRead(self._flash.read(address, size), block_size)
        self._afterwards = self._next_block
        return 0, b""

    def _next_block(self) -> None:
        if self._reading is not None:
            block = self._reading.next_block()
            if block:
                self._send(block)

    def _continue_read(self, received: int) -> None:
        if self._reading is not None and received >= len(self._reading.content):
            self._send(hashlib.md5(self._reading.content).digest())
            self._reading = None
        else:
            self._next_block()

    @staticmethod
    def _payload(data: bytes, checksum: int) -> bytes:
        (size,) = struct.unpack_from("<I", data)
        content = data[16 : 16 + size]
        expected = 0xEF
        for byte in content:
            expected ^= byte
        if len(content) != size:
            raise _RefusedError(_BAD_MESSAGE)
        if expected != checksum & 0xFF:
            raise _RefusedError(_BAD_CHECKSUM)
        return content


class _FlashRead:
    """A block-wise read in progress: the next block goes out when the last one is acknowledged."""

    def __init__(self, content: bytes, block_size: int) -> None:
        self.content = content
        self._block_size = block_size
        self._position = 0

    def next_block(self) -> bytes:
        block = self.content[self._position : self._position + self._block_size]
        self._position += len(block)
        return block


@cache
def esptool_stubs() -> frozenset[bytes]:
    """The code of every ESP32-C3 stub that the installed esptool may upload; esptool is not imported."""
    spec = importlib.util.find_spec("esptool")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    files = Path(spec.submodule_search_locations[0]).glob("targets/stub_flasher/*/esp32c3.json")
    return frozenset(base64.b64decode(json.loads(file.read_text())["text"]) for file in files)
