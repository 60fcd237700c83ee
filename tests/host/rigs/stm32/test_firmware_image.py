"""The shipped firmware is what its manifest says; an own firmware may take its place."""

from __future__ import annotations

import hashlib
import json
import resource
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from rigs.stm32.chips import FLASH_BASE, RAM_BASE, STORE_BASE
from rigs.stm32.firmware import IMAGE, image_for

pytestmark = pytest.mark.host

ENTRY = BoardEntry(name="bench", family="stm32", target="stm32f446re")


def elf(segments: list[tuple[int, bytes]]) -> bytes:
    """A 32-bit little-endian ELF that only has program headers."""
    offset = 52 + 32 * len(segments)
    headers = b""
    for address, data in segments:
        headers += struct.pack("<8I", 1, offset, address, address, len(data), len(data), 5, 4)
        offset += len(data)
    start = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    start += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 52, 0, 0, 52, 32, len(segments), 40, 0, 0)
    return start + headers + b"".join(data for _, data in segments)


def test_the_shipped_image_matches_its_manifest(tmp_path: Path) -> None:
    manifest = json.loads(IMAGE.with_name(IMAGE.name + ".json").read_text(encoding="utf-8"))
    data = IMAGE.read_bytes()
    image = image_for(ENTRY, tmp_path)
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert (image.size, image.crc32, image.address) == (len(data), zlib.crc32(data), FLASH_BASE)
    assert image.build_id == manifest["build_id"] != ""


def test_the_shipped_images_first_words_are_a_stack_and_a_thumb_entry_in_flash() -> None:
    stack, entry = struct.unpack_from("<II", IMAGE.read_bytes())
    assert RAM_BASE < stack <= RAM_BASE + 0x10000
    assert entry & 1
    assert FLASH_BASE < entry < FLASH_BASE + IMAGE.stat().st_size


def test_an_own_binary_goes_to_the_start_of_flash(tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(b"firmware")
    image = image_for(replace(ENTRY, firmware=str(path)), tmp_path)
    assert (image.path, image.address, image.size, image.build_id) == (path, FLASH_BASE, 8, "")
    assert image.crc32 == zlib.crc32(b"firmware")


def test_an_own_elf_is_judged_as_the_chip_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "own.elf"
    path.write_bytes(elf([(FLASH_BASE, b"code"), (FLASH_BASE + 8, b"data")]))
    image = image_for(replace(ENTRY, firmware=str(path)), tmp_path)
    assert (image.address, image.size) == (FLASH_BASE, 12)
    assert image.crc32 == zlib.crc32(b"code\xff\xff\xff\xffdata")
    assert image.path.read_bytes() == b"code\xff\xff\xff\xffdata"


def test_an_own_hex_file_is_flattened(tmp_path: Path) -> None:
    path = tmp_path / "own.hex"
    path.write_text(":020000040800F2\n:04000000636F646561\n:00000001FF\n", encoding="ascii")
    image = image_for(replace(ENTRY, firmware=str(path)), tmp_path)
    assert (image.address, image.path.read_bytes()) == (FLASH_BASE, b"code")


@pytest.mark.parametrize(
    ("name", "content"),
    [("own.elf", b"\x7fELF\x01\x01\x01" + bytes(9)), ("own.hex", b":04000000636F646500\n")],
)
def test_a_damaged_firmware_file_is_a_usage_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is damaged"):
        image_for(replace(ENTRY, firmware=str(path)), tmp_path)


def test_a_manifest_beside_an_own_firmware_gives_its_build_id(tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(b"firmware")
    (tmp_path / "own.bin.json").write_text('{"build_id": "0123456789abcdef"}', encoding="utf-8")
    assert image_for(replace(ENTRY, firmware=str(path)), tmp_path).build_id == "0123456789abcdef"


def test_a_firmware_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither 'quantcheck', 'external' nor an existing file"):
        image_for(replace(ENTRY, firmware="missing.elf"), tmp_path)


@pytest.mark.parametrize(
    ("address", "size"), [(RAM_BASE, 4), (STORE_BASE - 4, 8)], ids=["RAM", "into the store"]
)
def test_a_firmware_outside_its_place_is_a_usage_error(tmp_path: Path, address: int, size: int) -> None:
    path = tmp_path / "own.elf"
    path.write_bytes(elf([(address, bytes(size))]))
    with pytest.raises(UsageError, match="behind it lies the image store"):
        image_for(replace(ENTRY, firmware=str(path)), tmp_path)


def test_segments_that_are_far_apart_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "own.elf"
    path.write_bytes(elf([(0, b"low"), (0xFFFF_FFF0, b"high")]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="behind it lies the image store"):
        image_for(replace(ENTRY, firmware=str(path)), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 17  # KiB
