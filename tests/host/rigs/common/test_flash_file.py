"""The file that keeps a virtual board's flash is one board's, and no other file is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from rigs.common.flash_file import map_flash
from rigs.esp32.virtual.flash import NorFlash
from rigs.posix.board import PosixBoard
from rigs.posix.firmware import TAG
from rigs.posix.flash import FlashFile
from rigs.stm32.virtual.client import VirtualBoard

pytestmark = pytest.mark.host

SIZE = 1 << 20


def test_a_new_file_is_blank_and_its_content_stays(tmp_path: Path) -> None:
    with map_flash(tmp_path / "flash", SIZE) as memory:
        assert memory[:] == b"\xff" * SIZE
        memory[5:8] = b"abc"
    with map_flash(tmp_path / "flash", SIZE) as memory:
        assert memory[4:9] == b"\xffabc\xff"


def test_the_flash_of_a_posix_board_is_its_own_until_it_is_closed(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"mine")
    with pytest.raises(UsageError, match="notes has 4 bytes"):
        FlashFile(tmp_path / "notes")
    assert (tmp_path / "notes").read_bytes() == b"mine"
    flash = FlashFile(tmp_path / "flash")
    with pytest.raises(UsageError, match="in use by another"):
        FlashFile(tmp_path / "flash")
    flash.close()
    FlashFile(tmp_path / "flash").close()


def test_a_posix_board_that_does_not_boot_leaves_its_flash_file(tmp_path: Path) -> None:
    FlashFile(tmp_path / "flash").close()
    with (tmp_path / "flash").open("r+b") as file:
        file.write(TAG + b"no program")
    entry = BoardEntry("bench", "posix", "posix", virtual=True, settings={"flash": str(tmp_path / "flash")})
    seen = []
    for _ in range(2):  # the second attempt meets no lock of the first
        with pytest.raises(RigFault) as fault:
            PosixBoard(entry, tmp_path)
        seen.append(fault)
    assert [fault.value.kind for fault in seen] == ["boot", "boot"]


@pytest.mark.parametrize("size", [5, SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_refused_and_left_as_it_is(tmp_path: Path, size: int) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"x" * size)
    for board in (
        lambda: map_flash(file, SIZE),
        lambda: NorFlash(SIZE, file),
        lambda: VirtualBoard("v", tmp_path / "log", file),
    ):
        with pytest.raises(UsageError, match=rf"model\.tflite has {size} bytes, not 1048576: .* a new file"):
            board()
    assert file.read_bytes() == b"x" * size


def test_two_boards_do_not_share_a_file(tmp_path: Path) -> None:
    with (
        map_flash(tmp_path / "flash", SIZE),
        pytest.raises(UsageError, match="in use by another"),
    ):
        map_flash(tmp_path / "flash", SIZE)
    map_flash(tmp_path / "flash", SIZE).close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/flash cannot be used: No such file"):
        map_flash(tmp_path / "absent" / "flash", SIZE)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"pipe cannot be used: File or stream is not seekable"):
        map_flash(tmp_path / "pipe", SIZE)


def test_what_real_boards_import_does_without_the_locks_of_unix() -> None:
    modules = "rigs.stm32.board, rigs.esp32.board, rigs.stm32.virtual.client, rigs.esp32.virtual.client"
    code = f"import sys, serial; sys.modules['fcntl'] = None; import {modules}"  # pyserial has its own way
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_command_line_says_so_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    command = [sys.executable, "-m", "rigs.esp32.virtual", "--flash", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "notes.txt has 4 bytes" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert file.read_text() == "mine"
