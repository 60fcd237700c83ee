"""A virtual ESP32-C3 that breaks on purpose ends in a fault of the right kind, in time, with a way out."""

from __future__ import annotations

import time

import pytest
import serial

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.messages.numbers import Kind
from rigs.esp32.virtual_board import VirtualEsp32Board
from tests.hw.esp32.conftest import connected, flash_firmware

pytestmark = pytest.mark.hw


def crc_of(board: VirtualEsp32Board) -> int:
    with connected(board) as device:
        return device.hello().firmware_crc32


@pytest.mark.parametrize("value", [0, 1])
def test_a_stuck_bit_is_found_while_flashing(blank_board: VirtualEsp32Board, value: int) -> None:
    content = blank_board.firmware.path.read_bytes()
    place = next(at for at in range(5000, 6000) if content[at] >> 3 & 1 != value)
    blank_board.misbehave("stick", address=place, bit=3, value=value)
    with pytest.raises(RigFault, match=r"flash fault on virtual-esp32c3: .*Remedy: .*damaged"):
        flash_firmware(blank_board)


def test_a_bit_that_flips_after_flashing_is_found_by_the_boards_own_crc(board: VirtualEsp32Board) -> None:
    board.misbehave("stick", address=board.firmware.size - 100, bit=2)
    assert crc_of(board) != board.firmware.crc32
    with pytest.raises(RigFault, match="flash fault"):
        flash_firmware(board)
    board.misbehave("heal")
    flash_firmware(board)
    assert crc_of(board) == board.firmware.crc32


def test_a_mute_board_is_a_flash_fault_within_its_deadline(board: VirtualEsp32Board) -> None:
    board.misbehave("mute")
    start = time.monotonic()
    with pytest.raises(RigFault, match=r"flash fault .*loader does not answer"):
        flash_firmware(board)
    assert time.monotonic() - start < 30


def test_a_mute_board_is_a_link_fault_within_its_deadline(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        board.misbehave("mute", direction="from_board")
        start = time.monotonic()
        with pytest.raises(RigFault, match="link fault"):
            device.hello(deadline=1.0)
        assert time.monotonic() - start < 8


def test_a_link_that_dies_while_flashing_is_a_flash_fault(blank_board: VirtualEsp32Board) -> None:
    blank_board.misbehave("mute", direction="to_board", after=20_000)
    start = time.monotonic()
    with pytest.raises(RigFault, match="flash fault"):
        flash_firmware(blank_board)
    assert time.monotonic() - start < 60


def test_another_chip_is_not_flashed(blank_board: VirtualEsp32Board) -> None:
    blank_board.misbehave("chip_id", value=9)
    with pytest.raises(RigFault, match="the chip on this port is an ESP32-S3, the inventory says ESP32-C3"):
        flash_firmware(blank_board)


def test_losing_power_while_flashing_leaves_half_of_it_and_a_power_cycle_brings_the_board_back(
    blank_board: VirtualEsp32Board,
) -> None:
    content = blank_board.firmware.path.read_bytes()
    blank_board.misbehave("power_loss", after_bytes=10_000)
    with pytest.raises(RigFault, match="flash fault"):
        flash_firmware(blank_board)
    assert not blank_board.process.alive
    stored = blank_board.flash_file.read_bytes()
    assert stored[:10_000] == content[:10_000]
    assert set(stored[10_000 : len(content)]) == {0xFF}
    blank_board.power_cycle()
    flash_firmware(blank_board)
    assert crc_of(blank_board) == blank_board.firmware.crc32


def test_a_dead_process_is_a_fault_and_a_power_cycle_brings_a_new_one(board: VirtualEsp32Board) -> None:
    port = board.open_port()
    board.misbehave("die")
    with pytest.raises(serial.SerialException, match="gone"):
        port.read_until(b"never")
    port.close()
    with pytest.raises(RigFault, match="link fault"):
        board.open_port()
    board.power_cycle()
    assert crc_of(board) == board.firmware.crc32


def test_a_hanging_core_is_silent_until_it_is_reset(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        board.misbehave("hang")
        with pytest.raises(RigFault, match="link fault"):
            device.hello(deadline=1.0)
    board.reset()
    assert crc_of(board) == board.firmware.crc32


def test_a_crash_leaves_a_record_that_survives_the_reset(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        board.misbehave("crash")
        deadline = time.monotonic() + 5
        while not device.hello().crashed and time.monotonic() < deadline:
            time.sleep(0.05)
        record = device.crash()
    assert record.cause == 2  # illegal instruction
    assert 0x42000000 <= record.pc < 0x42100000


@pytest.mark.parametrize("fault", ["flip", "drop", "duplicate"])
@pytest.mark.parametrize("direction", ["to_board", "from_board"])
def test_damaged_bytes_cost_a_resend_and_nothing_else(
    board: VirtualEsp32Board, fault: str, direction: str
) -> None:
    with connected(board) as device:
        board.misbehave(fault, direction=direction, after=300, count=1)
        assert_echoes(device)
        assert device.link.statistics.resent + device.link.statistics.crc_errors > 0


def test_a_delay_is_waited_for(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        board.misbehave("delay", after=300, count=1, seconds=0.2)
        assert_echoes(device)


def test_an_overrun_is_counted_by_the_board_and_repaired_by_the_link(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        board.misbehave("overrun", limit=60)
        with pytest.raises(RigFault, match="link fault"):
            device.link.request(Kind.ECHO, bytes(500), deadline=0.6)
        board.misbehave("heal")
        assert_echoes(device)
        assert device.counter().overruns > 0


def test_unknown_faults_and_arguments_are_usage_errors(board: VirtualEsp32Board) -> None:
    with pytest.raises(UsageError, match="allowed: flip, drop"):
        board.misbehave("melt")
    with pytest.raises(UsageError, match="outside"):
        board.misbehave("stick", address=1 << 30)
    with pytest.raises(UsageError, match="between 0 and 1"):
        board.misbehave("flip", rate=2)


def assert_echoes(device: RemoteDevice) -> None:
    for number in range(10):
        pattern = bytes((number + value) % 256 for value in range(200))
        assert device.echo(pattern) == pattern
