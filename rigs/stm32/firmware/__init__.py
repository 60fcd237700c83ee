"""The firmware images for STM32 boards: ours, shipped prebuilt with its manifest, or a user's own file."""

from __future__ import annotations

import zlib
from pathlib import Path

from pytest_quantcheck.errors import MissingExtraError, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import FirmwareImage
from rigs.common.firmware_file import build_id, firmware_path, read_firmware
from rigs.stm32.chips import FLASH_BASE, STORE_BASE

IMAGE = Path(__file__).with_name("stm32f4.bin")


def image_for(entry: BoardEntry, folder: Path) -> FirmwareImage:
    """What ``firmware`` of a board asks for: ours, or an own ELF, HEX or flat binary (``NAME.bin``).

    An own ELF or HEX file is flattened into ``folder``, holes filled with ones. A manifest beside an
    own file (``NAME.json``) gives its build id; without one the id is empty. Raises ``UsageError``.
    """
    path = firmware_path(entry, IMAGE)
    identity = build_id(path)
    address, data = FLASH_BASE, read_firmware(path)
    chunks = _chunks(path)
    start = min((at for at, _ in chunks), default=FLASH_BASE)
    end = max((at + len(part) for at, part in chunks), default=FLASH_BASE + len(data))
    if not FLASH_BASE <= start < end <= STORE_BASE:
        raise UsageError(
            f"{entry.firmware}: occupies {start:#010x} to {end:#010x}; a firmware has "
            f"{FLASH_BASE:#010x} to {STORE_BASE:#010x}, behind it lies the image store"
        )
    if chunks:
        address, data = start, _flat(chunks, start, end)
        path = folder / f"{path.stem}.bin"
        path.write_bytes(data)
    return FirmwareImage(path, identity, zlib.crc32(data), len(data), address)


def _chunks(path: Path) -> list[tuple[int, bytes]]:
    """``(address, bytes)`` of what an ELF or Intel HEX file loads; empty for a flat binary."""
    with path.open("rb") as file:
        start = file.read(4)
    try:
        if start == b"\x7fELF":
            from elftools.elf.elffile import ELFFile

            with path.open("rb") as file:
                segments = [each for each in ELFFile(file).iter_segments() if each["p_type"] == "PT_LOAD"]
                return [(each["p_paddr"], each.data()) for each in segments if each["p_filesz"]]
        if path.suffix.lower() in (".hex", ".ihex"):
            from intelhex import IntelHex  # type: ignore[import-untyped]

            image = IntelHex(str(path))
            return [(first, image.tobinstr(start=first, size=end - first)) for first, end in image.segments()]
    except ImportError as error:  # both come with pyOCD
        raise MissingExtraError(str(error.name), "stm32", f"reading {path.name}") from error
    except Exception as error:  # both libraries raise classes of their own for damaged files
        raise UsageError(f"firmware {path} is damaged: {error}") from error
    return []


def _flat(chunks: list[tuple[int, bytes]], start: int, end: int) -> bytes:
    image = bytearray(b"\xff" * (end - start))
    for address, data in chunks:
        image[address - start : address - start + len(data)] = data
    return bytes(image)
