"""The virtual ESP32-C3 through the functions that serve a real one: flashing, console, counter, restarts."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import serial

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.link.device_error import DeviceError
from pytest_quantcheck.rig.messages.numbers import Kind
from rigs.esp32.chips import VIRTUAL, chip_of
from rigs.esp32.virtual.port import open_virtual_port
from rigs.esp32.virtual_board import VirtualEsp32Board
from tests.hw.esp32.conftest import connected, flash_firmware, open_board
from tests.hw.processes import comes_to_rest

pytestmark = pytest.mark.hw

MAGIC = struct.pack("<II", 0xAEDB041D, 0xAEDB041D)
ENDLESS_LOOP = struct.pack("<I", 0x0000006F)  # jal zero, 0


def says_after_reset(board: VirtualEsp32Board, wanted: bytes, seconds: float = 10.0) -> bytes:
    """What the console says after a reset by RTS, until ``wanted`` comes."""
    with open_virtual_port(board.url) as port:
        port.rts = True
        port.rts = False
        said, deadline = b"", time.monotonic() + seconds
        while wanted not in said and time.monotonic() < deadline:
            said += port.read(4096)
        return said


def test_the_shipped_firmware_is_flashed_boots_and_answers(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        hello = device.hello()
        assert device.echo(b"quantcheck") == b"quantcheck"
    firmware = board.firmware
    assert (hello.board, hello.chip) == ("esp32c3", "ESP32-C3")
    assert hello.unique_id == bytes.fromhex("6055f9000001")
    assert (hello.build_id, hello.firmware_bytes, hello.firmware_crc32) == (
        firmware.build_id,
        firmware.size,
        firmware.crc32,
    )
    assert (hello.counts_instructions, hello.clock_hz) == (True, 0)
    assert 0 <= hello.pool_bytes - (chip_of(VIRTUAL).memory.pool_kib << 10) < 8 << 10
    assert (hello.store_address, hello.store_bytes, hello.store_alignment) == (0x100000, 0x300000, 4096)


def test_boards_flashed_by_threads_of_one_process_keep_their_logs_apart(tmp_path: Path) -> None:
    boards = [open_board(tmp_path / name) for name in ("first", "second")]
    try:
        with ThreadPoolExecutor() as pool:
            assert len(set(pool.map(flash_firmware, boards))) == 1
    finally:
        for board in boards:
            board.close()
    logs = [path.read_text() for path in sorted(tmp_path.glob("*/*-esptool.log"))]
    assert [log.count("Connecting") for log in logs] == [1, 1]
    assert [log.count("Verification successful") for log in logs] == [1, 1]


def test_the_firmware_touches_no_register_that_the_model_does_not_know(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        device.echo(bytes(1000))
        device.loop(10)
    assert board.process.state()["unmodelled"] == []


def test_flashing_counts_erased_sectors_and_leaves_the_others_alone(blank_board: VirtualEsp32Board) -> None:
    store = 0x100000
    assert blank_board.flash([(store, b"A" * 5000), (store + 0x3000, b"C" * 10)]) == 3
    assert blank_board.flash([(store + 0x2000, b"B" * 4096)]) == 1
    assert flash_firmware(blank_board) == -(-blank_board.firmware.size // 4096)
    content = blank_board.flash_file.read_bytes()
    assert content[store : store + 5000] == b"A" * 5000
    assert content[store + 0x2000 : store + 0x300A] == b"B" * 4096 + b"C" * 10


def test_an_address_inside_a_sector_is_refused(board: VirtualEsp32Board) -> None:
    with pytest.raises(UsageError, match="0x100100 is not at the start"):
        board.flash([(0x100100, b"x")])


@pytest.mark.parametrize("rounds", [0, 1, 2, 10, 1000, 1_000_000, 50_000_000])
def test_a_loop_of_known_length_raises_the_counter_by_exactly_that(
    board: VirtualEsp32Board, rounds: int
) -> None:
    with connected(board) as device:
        result = device.loop(rounds)
    assert (result.per_round, result.fixed) == (2, 2)
    assert result.counted == 2 * rounds + 2


def test_counts_repeat_while_all_cores_are_busy(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        quiet = [device.loop(2_000_000).counted for _ in range(3)]
        burners = [
            subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(os.cpu_count() or 1)
        ]
        try:
            busy = [device.loop(2_000_000).counted for _ in range(3)]
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
    assert {*quiet, *busy} == {4_000_002}


def test_a_power_cycle_is_a_new_process_with_the_same_flash(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        before = device.hello()
    process = board.process.pid
    board.power_cycle()
    with connected(board) as device:
        after = device.hello()
    assert board.process.pid != process
    assert (after.firmware_crc32, after.boot_count) == (before.firmware_crc32, 1)


def test_a_reset_restarts_the_application_and_keeps_the_process(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        first = device.hello().boot_count
    process = board.process.pid
    board.reset()
    with connected(board) as device:
        assert device.hello().boot_count == first + 1
    assert board.process.pid == process


def test_opening_and_closing_the_console_does_not_reset_the_chip(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        first = device.hello().boot_count
    for _ in range(3):
        board.open_port().close()
    with connected(board) as device:
        assert device.hello().boot_count == first


@pytest.mark.parametrize("rate", [230400, 921600, 2_000_000])
def test_the_baud_rate_is_raised_by_agreement(board: VirtualEsp32Board, rate: int) -> None:
    with connected(board) as device:
        damaged = device.link.statistics.crc_errors  # a boot banner may have been one
        assert device.set_baud(rate) == rate
        assert device.echo(bytes(range(256))) == bytes(range(256))
        assert device.link.statistics.crc_errors == damaged


def test_a_rate_below_the_dividers_reach_is_refused_at_once(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        for rate in (9600, 9765):
            with pytest.raises(DeviceError, match=r"refused BAUD: .*cannot do it"):
                device.link.request(Kind.BAUD, struct.pack("<IHBB", rate, 1500, 0, 0))
        assert device.set_baud(9766) == 9766


def test_a_host_at_another_rate_is_not_understood(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        device.link.baudrate = 460800
        with pytest.raises(RigFault, match="link fault"):
            device.link.request(Kind.ECHO, b"x", deadline=0.5)


def test_the_firmware_answers_on_usb_serial_jtag_too(tmp_path: Path) -> None:
    board = open_board(tmp_path, console="usb")
    try:
        flash_firmware(board)
        with connected(board) as device:
            pattern = bytes(range(256)) * 4
            assert device.echo(pattern[:1000]) == pattern[:1000]
            assert device.loop(100).counted == 202
    finally:
        board.close()


def test_reboot_into_the_loader_and_back(board: VirtualEsp32Board) -> None:
    with connected(board) as device:
        device.reboot("loader")
        time.sleep(0.2)
        assert board.process.state()["mode"] == "loader"
    board.reset()
    with connected(board) as device:
        assert device.echo(b"back") == b"back"


def test_a_blank_chip_says_that_there_is_no_image(blank_board: VirtualEsp32Board) -> None:
    assert b"invalid header: 0xffffffff" in says_after_reset(blank_board, b"invalid header: 0xffffffff")


def test_a_blank_chip_says_so_again_and_again(blank_board: VirtualEsp32Board) -> None:
    said = says_after_reset(blank_board, b"rst:0x7 (TG0WDT_SYS_RST)")
    report = said.partition(b"rst:0x7 (TG0WDT_SYS_RST)")[0]
    assert report.count(b"invalid header: 0xffffffff\r\n") > 10
    flash_firmware(blank_board)  # the loader is reached all the same
    with connected(blank_board) as device:
        assert device.echo(b"not blank") == b"not blank"


def test_the_firmware_switches_the_system_timer_on_itself(board: VirtualEsp32Board) -> None:
    board.misbehave("timer_off")
    board.reset()
    with connected(board) as device:
        assert device.echo(b"x") == b"x"
    assert board.process.state()["timer"] is True


def test_a_program_that_leaves_the_watchdogs_running_is_reset(blank_board: VirtualEsp32Board) -> None:
    blank_board.flash([(0, MAGIC + ENDLESS_LOOP)])
    assert b"rst:0x12 (SUPER_WDT_RST)" in says_after_reset(blank_board, b"(SUPER_WDT_RST)")


def test_a_port_in_use_is_a_fault_that_says_so(board: VirtualEsp32Board) -> None:
    with open_virtual_port(board.url):
        with pytest.raises(RigFault, match=r"link fault on virtual-esp32c3: port .* is in use"):
            board.open_port()
        with pytest.raises(RigFault, match=r"flash fault on virtual-esp32c3: port .* is in use"):
            board.flash([(0, b"x")])


def test_a_wrong_token_gets_no_port(board: VirtualEsp32Board) -> None:
    with pytest.raises(serial.SerialException):
        open_virtual_port(board.url[:-4] + "0000")


def test_a_board_starts_quickly_and_rests_when_idle(board: VirtualEsp32Board) -> None:
    start = time.monotonic()
    board.power_cycle()
    assert time.monotonic() - start < 20  # about 0.8 s on a quiet machine
    with connected(board):
        pass
    assert comes_to_rest({board.process.pid})


def test_no_process_is_left_when_its_owner_is_killed(tmp_path: Path) -> None:
    program = (
        "import time; from pathlib import Path; from rigs.esp32 import family; "
        f"board = family.open(family.virtual_boards()[0], Path({str(tmp_path)!r})); "
        "print(board.process.pid, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
