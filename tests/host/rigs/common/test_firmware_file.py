"""A manifest that cannot be used is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from rigs.common.firmware_file import MOST_BYTES, build_id, manifest, read_firmware
from rigs.esp32.firmware import image_for as esp32_image
from rigs.posix.board import PosixBoard
from rigs.stm32.firmware import image_for as stm32_image

pytestmark = pytest.mark.host


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "Expecting value"),
        ("[1]", "cannot be used"),
        ("7", "cannot be used"),
        ('{"size": 1}', "it lacks build_id"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_a_usage_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "own.bin.json").write_text(text)
    with pytest.raises(UsageError, match=rf"own\.bin\.json cannot be used: .*|{says}") as caught:
        build_id(tmp_path / "own.bin")
    assert says in str(caught.value)


def test_a_firmware_without_a_manifest_has_no_build_id(tmp_path: Path) -> None:
    assert build_id(tmp_path / "own.bin") == ""
    with pytest.raises(UsageError, match=r"own\.bin\.json cannot be used"):
        manifest(tmp_path / "own.bin", "build_id")


def test_a_file_without_an_end_is_no_firmware_and_no_manifest(tmp_path: Path) -> None:
    for name in ("own.bin", "own.bin.json"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(MOST_BYTES + 1)
    with pytest.raises(UsageError, match=r"cannot be a firmware: .*own\.bin has 67108865 bytes"):
        read_firmware(tmp_path / "own.bin")
    with pytest.raises(UsageError, match=r"own\.bin\.json cannot be used: .* at most 1048576 are read"):
        build_id(tmp_path / "own.bin")


@pytest.mark.parametrize("family", ["esp32", "stm32", "posix"])
def test_every_family_reads_an_own_firmware_with_a_bound(tmp_path: Path, family: str) -> None:
    path = tmp_path / "own.bin"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    facts = {"build_id": "x", "crc32": 0, "size": 1, "address": 0}
    (tmp_path / "own.bin.json").write_text(json.dumps(facts))
    entry = BoardEntry("bench", family, family, firmware=str(path))
    families = {
        "esp32": lambda: esp32_image(entry),
        "stm32": lambda: stm32_image(entry, tmp_path),
        "posix": lambda: PosixBoard(entry, tmp_path).close(),
    }
    with pytest.raises(UsageError, match=r"own\.bin has 67108865 bytes; at most 67108864 are read"):
        families[family]()
