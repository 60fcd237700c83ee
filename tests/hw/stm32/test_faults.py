"""The virtual board breaks as it is told to, and what breaks is noticed in time."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.link import Link
from rigs.stm32.chips import FLASH_BASE
from rigs.stm32.virtual_board import VirtualSTM32Board
from tests.hw.stm32.conftest import connected, flash_firmware

PAYLOAD = bytes(range(256)) * 3


@pytest.mark.parametrize("fault", ["mute", "hang", "die"])
def test_a_board_that_falls_silent_is_a_link_fault_in_time(board: VirtualSTM32Board, fault: str) -> None:
    with connected(board) as device:
        board.misbehave(fault)
        begin = time.monotonic()
        with pytest.raises(RigFault) as caught:
            device.hello(deadline=0.5)
        assert time.monotonic() - begin < 5
    assert caught.value.kind == "link"


@pytest.mark.parametrize("fault", ["hang", "die"])
def test_a_power_cycle_brings_a_silent_board_back(board: VirtualSTM32Board, fault: str) -> None:
    board.misbehave(fault)
    board.power_cycle()
    with connected(board) as device:
        assert device.hello().firmware_crc32 == board.firmware.crc32


def test_a_reset_ends_a_hang_and_keeps_ram(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        boots = device.hello().boot_count
        board.misbehave("hang")
        board.reset()
        assert device.hello().boot_count == boots + 1


def test_a_power_cycle_loses_ram(board: VirtualSTM32Board) -> None:
    board.reset()
    board.power_cycle()
    with connected(board) as device:
        assert device.hello().boot_count == 1


def test_a_crash_leaves_a_record_of_where_it_was(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        board.misbehave("crash")
        hello = device.hello()
        assert hello.crashed
        record = device.crash()
    assert record is not None
    assert record.pc == 0xF0000000
    assert record.cause & 0xFF in (3, 4, 5)  # HardFault, MemManage, BusFault


@pytest.mark.parametrize("direction", ["to_board", "from_board"])
@pytest.mark.parametrize("fault", ["flip", "drop", "duplicate"])
def test_damaged_bytes_cost_a_resend_and_never_a_wrong_byte(
    board: VirtualSTM32Board, fault: str, direction: str
) -> None:
    with connected(board) as device:
        for after in (20, 300):
            board.misbehave(fault, direction=direction, after=after, count=1)
        for _ in range(3):
            assert device.echo(PAYLOAD) == PAYLOAD
        assert device.link.statistics.resent >= 1
    assert board.machine.call("status")["byte_faults"] == 2


def test_late_bytes_arrive(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        board.misbehave("delay", after=100, count=1, seconds=0.1)
        begin = time.monotonic()
        assert device.echo(PAYLOAD) == PAYLOAD
        assert time.monotonic() - begin > 0.1


def test_a_board_that_loses_bytes_in_a_burst_still_gets_them_all(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        board.misbehave("overrun", limit=900, window=0.02)
        for _ in range(3):
            assert device.echo(PAYLOAD) == PAYLOAD


def test_a_lockup_waits_for_a_reset_and_is_on_record(blank_board: VirtualSTM32Board) -> None:
    handler = FLASH_BASE + 0x101
    vectors = (0x20002000).to_bytes(4, "little") + handler.to_bytes(4, "little") * 15
    undefined = bytes.fromhex("ffde")  # UDF #255, also in the HardFault handler
    blank_board.flash([(FLASH_BASE, vectors.ljust(0x100, b"\0") + undefined * 2)])
    status = _wait_for(blank_board, "lockup")
    assert status["lockups"] == 1
    assert "lockup" in blank_board.machine.log.read_text(encoding="utf-8")
    assert flash_firmware(blank_board) > 0
    with connected(blank_board) as device:
        assert device.hello().firmware_crc32 == blank_board.firmware.crc32


def test_a_blank_chip_does_nothing_and_harms_nothing(blank_board: VirtualSTM32Board) -> None:
    status = blank_board.machine.call("status")
    assert (status["state"], status["lockups"]) == ("lockup", 0)


def test_one_host_at_a_time_has_the_line(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        with closing(board.open_port()) as second, pytest.raises((RigFault, OSError)):
            RemoteDevice(Link(second)).hello(deadline=0.5)
        assert device.echo(PAYLOAD) == PAYLOAD


@pytest.mark.parametrize(
    ("fault", "how", "says"),
    [
        ("explode", {}, "unknown fault 'explode'; allowed: flip, drop"),
        ("flip", {"direction": "sideways"}, "direction='sideways'; allowed: to_board, from_board, both"),
        ("stick", {"address": 0x20000000}, "no flash bit 0 at 0x20000000"),
        ("flip", {"ratio": 1}, "ratio"),
    ],
)
def test_a_fault_that_does_not_exist_is_explained(
    board: VirtualSTM32Board, fault: str, how: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        board.misbehave(fault, **how)


def _wait_for(board: VirtualSTM32Board, state: str) -> dict[str, int]:
    end = time.monotonic() + 10
    while (status := board.machine.call("status"))["state"] != state or not status["lockups"]:
        assert time.monotonic() < end, status
        time.sleep(0.02)
    return dict(status)
