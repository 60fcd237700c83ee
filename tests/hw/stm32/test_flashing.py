"""Unmodified pyOCD writes the virtual chip's flash through the functions that write a real one's."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.errors import RigFault
from rigs.stm32 import debugger
from rigs.stm32.board import STM32Board
from rigs.stm32.chips import FLASH_BASE, STORE_BASE
from rigs.stm32.virtual_board import VirtualSTM32Board
from tests.hw.stm32.conftest import connected, flash_firmware

SECTOR = 0x20000  # the store's sectors


def content(board: VirtualSTM32Board, address: int, size: int) -> bytes:
    return debugger.read_flash(board._access(), address, size)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_blank_chip_is_flashed_without_an_erase_and_boots(blank_board: VirtualSTM32Board) -> None:
    assert flash_firmware(blank_board) == 0
    with connected(blank_board) as device:
        hello = device.hello()
    firmware = blank_board.firmware
    assert (hello.firmware_bytes, hello.firmware_crc32) == (firmware.size, firmware.crc32)
    assert hello.build_id == firmware.build_id
    assert (hello.board, hello.chip) == ("stm32f4", "STM32F405")
    assert (hello.store_address, hello.store_bytes) == (STORE_BASE, 768 * 1024)


def test_the_same_bytes_are_not_written_twice(board: VirtualSTM32Board) -> None:
    assert flash_firmware(board) == 0


def test_only_the_sectors_that_differ_are_erased(board: VirtualSTM32Board) -> None:
    firmware = bytearray(board.firmware.path.read_bytes())
    first, beyond = bytes(firmware[:0x4000]), bytes(firmware[0x4000:])
    assert len(beyond) > 0x100
    firmware[0x4010] ^= 0xFF
    assert board.flash([(FLASH_BASE, bytes(firmware))]) == 1
    assert content(board, FLASH_BASE, 0x4000) == first
    assert flash_firmware(board) == 1
    assert content(board, FLASH_BASE + 0x4000, len(beyond)) == beyond


def test_images_are_appended_to_the_store_without_an_erase(board: VirtualSTM32Board) -> None:
    first, second = noise(3001, 1), noise(70_000, 2)
    start = STORE_BASE + SECTOR
    assert board.flash([(start, first)]) == 0
    assert board.flash([(start + 0x1000, second)]) == 0
    assert content(board, start, len(first)) == first
    assert content(board, start + 0x1000, len(second)) == second
    with connected(board) as device:
        assert device.hello().firmware_crc32 == board.firmware.crc32


def test_an_image_may_cross_sectors(board: VirtualSTM32Board) -> None:
    start = STORE_BASE + 4 * SECTOR - 1024
    data = noise(5000)
    assert board.flash([(start, data)]) == 0
    assert content(board, start, len(data)) == data


def test_writing_over_an_image_erases_its_sector(board: VirtualSTM32Board) -> None:
    start = STORE_BASE + 5 * SECTOR
    board.flash([(start, noise(2048, 3))])
    assert board.flash([(start, noise(2048, 4))]) == 1
    assert content(board, start, 2048) == noise(2048, 4)


def test_the_store_is_erased_when_asked(board: VirtualSTM32Board) -> None:
    start = STORE_BASE + 3 * SECTOR
    board.flash([(start, noise(100))])
    assert board.erase(start, SECTOR + 1) == 2
    assert content(board, start, 2 * SECTOR) == b"\xff" * (2 * SECTOR)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("place", [FLASH_BASE + 0x1003, STORE_BASE + 0x203], ids=["firmware", "store"])
def test_a_stuck_flash_bit_is_a_flash_fault(blank_board: VirtualSTM32Board, place: int, value: int) -> None:
    blank_board.misbehave("stick", address=place, bit=6, value=value)
    data = bytes([0 if value else 0xFF]) * 0x400
    with pytest.raises(
        RigFault, match=f"verify failed: 1 of 1024 bytes differ, the first at {place:#010x}"
    ) as fault:
        blank_board.flash([(place & ~0x3FF, data)])
    assert fault.value.kind == "flash"


def test_a_bit_that_sticks_later_shows_in_the_crc_the_board_computes(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        assert device.hello().firmware_crc32 == board.firmware.crc32
        board.misbehave("stick", address=FLASH_BASE + board.firmware.size - 3, bit=0)
        assert device.hello().firmware_crc32 != board.firmware.crc32
    board.misbehave("heal")
    assert flash_firmware(board) == 1


def test_power_lost_while_writing_is_a_flash_fault_and_half_the_data_is_there(
    blank_board: VirtualSTM32Board,
) -> None:
    data = noise(9000)
    blank_board.misbehave("power_loss", after_bytes=5000)
    with pytest.raises(RigFault, match="does not answer on SWD") as fault:
        blank_board.flash([(STORE_BASE, data)])
    assert fault.value.kind == "flash"
    with pytest.raises(RigFault):
        blank_board.flash([(STORE_BASE, data)])
    blank_board.power_cycle()
    assert content(blank_board, STORE_BASE, 9000) == data[:5000] + b"\xff" * 4000
    assert blank_board.flash([(STORE_BASE, data)]) == 1
    assert content(blank_board, STORE_BASE, 9000) == data


def test_an_address_outside_the_flash_is_a_flash_fault(board: VirtualSTM32Board) -> None:
    with pytest.raises(RigFault, match="0x08100000 is not in the flash"):
        board.flash([(FLASH_BASE + 0x100000, b"x")])


def test_a_probe_that_is_not_there_is_explained(board: VirtualSTM32Board, tmp_path: Path) -> None:
    entry = replace(board.entry, target="stm32f405xg", probe="066BFF485550755187", virtual=False)
    with pytest.raises(
        RigFault, match=r"no debug probe '066BFF485550755187'; connected: .*virtual-stm32f405"
    ):
        STM32Board(entry, tmp_path).flash([(FLASH_BASE, b"x")])


def test_pyocds_command_line_flashes_the_board(blank_board: VirtualSTM32Board) -> None:
    machine = blank_board.machine
    environment = {**os.environ, "QUANTCHECK_VIRTUAL_STM32": f"{machine.probe_id}={machine.control}"}
    pyocd = [sys.executable, "-m", "pyocd"]
    image = str(blank_board.firmware.path)
    subprocess.run(
        [*pyocd, "flash", "--target", "stm32f405xg", "--uid", machine.probe_id, "--no-config", image],
        env=environment,
        check=True,
        capture_output=True,
        timeout=60,
    )
    with connected(blank_board) as device:
        assert device.hello().build_id == blank_board.firmware.build_id
    listed = subprocess.run(
        [*pyocd, "json", "--probes"], env=environment, check=True, capture_output=True, timeout=60
    )
    assert machine.probe_id in [each["unique_id"] for each in json.loads(listed.stdout)["boards"]]
