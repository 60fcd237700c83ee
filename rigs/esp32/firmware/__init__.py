"""The firmware images for ESP32 boards: ours, shipped prebuilt with its manifest, or a user's own file."""

from __future__ import annotations

import zlib
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from rigs.common.firmware_file import build_id, firmware_path, read_firmware
from rigs.esp32.chips import FIRMWARE_ADDRESS, STORE_ADDRESS

IMAGE = Path(__file__).with_name("esp32c3.bin")


def image_for(entry: BoardEntry) -> FirmwareImage:
    """What ``firmware`` of a board asks for: ours, or an own flat binary that boots from flash offset 0.

    A manifest beside an own file (``NAME.json``) gives its build id; without one the id is empty and
    only size and CRC say whether a board holds it. Raises ``UsageError``.
    """
    path = firmware_path(entry, IMAGE)
    content = read_firmware(path)
    if content.startswith(b"\x7fELF"):
        raise UsageError(
            f"{path} is an ELF; an ESP32-C3 needs the flat image that its ROM boots. Make one with: "
            "riscv64-unknown-elf-objcopy -O binary IN.elf OUT.bin, or esptool elf2image"
        )
    if len(content) > STORE_ADDRESS:
        raise UsageError(f"{path} has {len(content)} bytes; {STORE_ADDRESS} are there before the image store")
    return FirmwareImage(path, build_id(path), zlib.crc32(content), len(content), FIRMWARE_ADDRESS)
