"""The ROM's serial loader, byte by byte: what esptool does not show."""

from __future__ import annotations

import struct

import pytest

from rigs.esp32.virtual.flash import NorFlash
from rigs.esp32.virtual.loader import SerialLoader

pytestmark = pytest.mark.host

SYNC, GET_SECURITY_INFO = 0x08, 0x14
ESP32_C3 = 5


class NoRegisters:
    def read(self, address: int) -> int:
        raise AssertionError(f"register {address:#x}")

    def write(self, address: int, value: int) -> None:
        raise AssertionError(f"register {address:#x}")


def ask(operation: int, *, stub: bool = False) -> tuple[int, bytes]:
    """The value and the data of the first answer to a request without data; the status is in the data."""
    sent: list[bytes] = []
    loader = SerialLoader(
        NorFlash(4 << 20),
        NoRegisters(),
        ESP32_C3,
        send=sent.append,
        run_ram=lambda segments, entry: None,
        reboot=lambda: None,
    )
    loader.stub = stub
    loader.feed(b"\xc0" + struct.pack("<BBHI", 0, operation, 0, 0) + b"\xc0")
    frame = sent[0].strip(b"\xc0").replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
    direction, answered, length, value = struct.unpack_from("<BBHI", frame)
    assert (direction, answered, length) == (1, operation, len(frame) - 8)
    return value, frame[8:]


@pytest.mark.parametrize("operation", [SYNC, GET_SECURITY_INFO])
def test_the_rom_has_its_date_beside_the_answer_and_a_stub_has_zero(operation: int) -> None:
    assert ask(operation)[0] == 0x20120707
    assert ask(operation, stub=True)[0] == 0


def test_security_info_ends_with_the_chips_id_and_its_revision() -> None:
    flags, crypt_count, *keys, chip, revision = struct.unpack("<IB7BII", ask(GET_SECURITY_INFO)[1][:20])
    assert (flags, crypt_count, keys) == (0, 0, [0] * 7)
    assert (chip, revision) == (ESP32_C3, 3)
    assert ask(GET_SECURITY_INFO)[1][20:] == bytes(4)
