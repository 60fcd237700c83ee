"""The firmware images for STM32 boards: ours, shipped prebuilt with its manifest, or a user's own file."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.board import BoardEntry, FirmwareImage
from rigs.stm32.chips import FLASH_BASE, STORE_BASE

IMAGE = Path(__file__).with_name("stm32f4.bin")
OWN_FORMATS = (".bin", ".elf", ".axf", ".hex")


def shipped_image() -> FirmwareImage:
    """Our firmware, as its manifest describes it."""
    manifest = json.loads(IMAGE.with_name(IMAGE.name + ".json").read_text(encoding="utf-8"))
    return FirmwareImage(
        path=IMAGE,
        build_id=manifest["build_id"],
        crc32=manifest["crc32"],
        size=manifest["size"],
        address=manifest["address"],
    )


def image_for(entry: BoardEntry, folder: Path) -> FirmwareImage:
    """What ``firmware`` of a board asks for. An ELF or HEX file is flattened into ``folder``.

    An own firmware has no build id: only its CRC says whether a board holds it.
    """
    if entry.firmware in ("quantcheck", "external"):
        return shipped_image()
    source = Path(entry.firmware)
    if source.suffix.lower() not in OWN_FORMATS or not source.is_file():
        raise UsageError(
            f"{entry.source or entry.name}: firmware={entry.firmware!r} is neither 'quantcheck', 'external' "
            f"nor an existing file ending in {', '.join(OWN_FORMATS)}"
        )
    path, address = source, FLASH_BASE
    if source.suffix.lower() != ".bin":
        address, data = _flatten(source)
        path = folder / f"{source.stem}.bin"
        path.write_bytes(data)
    data = path.read_bytes()
    if not FLASH_BASE <= address < STORE_BASE:
        raise UsageError(
            f"{source}: starts at {address:#010x}; a firmware starts in flash, at {FLASH_BASE:#010x}"
        )
    return FirmwareImage(path, "", zlib.crc32(data), len(data), address)


def _flatten(source: Path) -> tuple[int, bytes]:
    """Address and contents of an ELF or HEX file; holes are filled with ones."""
    chunks = _hex_chunks(source) if source.suffix.lower() == ".hex" else _elf_chunks(source)
    if not chunks:
        raise UsageError(f"{source} holds nothing to be written to flash")
    start = min(address for address, _ in chunks)
    image = bytearray(b"\xff" * (max(address + len(data) for address, data in chunks) - start))
    for address, data in chunks:
        image[address - start : address - start + len(data)] = data
    return start, bytes(image)


def _elf_chunks(source: Path) -> list[tuple[int, bytes]]:
    from elftools.elf.elffile import ELFFile  # comes with pyOCD

    with source.open("rb") as file:
        segments = [each for each in ELFFile(file).iter_segments() if each["p_type"] == "PT_LOAD"]
        return [(each["p_paddr"], each.data()) for each in segments if each["p_filesz"]]


def _hex_chunks(source: Path) -> list[tuple[int, bytes]]:
    from intelhex import IntelHex  # type: ignore[import-untyped]  # comes with pyOCD

    image = IntelHex(str(source))
    return [(start, image.tobinstr(start=start, size=end - start)) for start, end in image.segments()]
