"""pyOCD debugs the virtual chip as it debugs a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target

from rigs.stm32 import debugger
from rigs.stm32.chips import FLASH_BASE
from rigs.stm32.virtual_board import VirtualSTM32Board
from tests.hw.stm32.conftest import connected


@pytest.fixture
def target(board: VirtualSTM32Board) -> Iterator[Any]:
    with debugger._session(board._access()) as session:
        yield session.target


def test_the_core_is_a_cortex_m4_with_fpu(target: Any) -> None:
    assert target.selected_core.name == "Cortex-M4"
    assert target.selected_core.has_fpu
    assert len(target.selected_core.bp_manager._fpb.hw_breakpoints) == 6


def test_reset_and_halt_stops_before_the_first_instruction(board: VirtualSTM32Board, target: Any) -> None:
    target.reset_and_halt()
    assert target.get_state() == Target.State.HALTED
    image = board.firmware.path.read_bytes()
    assert target.read_core_register("sp") == int.from_bytes(image[:4], "little")
    assert target.read_core_register("pc") == int.from_bytes(image[4:8], "little") & ~1


def test_a_step_executes_one_instruction(target: Any) -> None:
    target.reset_and_halt()
    before = target.read_core_register("pc")
    target.step()
    assert 2 <= target.read_core_register("pc") - before <= 4


def test_a_breakpoint_stops_the_core_where_it_is_set(target: Any) -> None:
    target.reset_and_halt()
    target.step()
    place = target.read_core_register("pc")
    target.reset_and_halt()
    target.set_breakpoint(place)
    target.resume()
    for _ in range(200):
        if target.get_state() == Target.State.HALTED:
            break
        time.sleep(0.01)
    assert target.read_core_register("pc") == place
    assert target.get_halt_reason() == Target.HaltReason.BREAKPOINT


def test_memory_is_read_while_the_core_runs(board: VirtualSTM32Board, target: Any) -> None:
    target.resume()
    assert bytes(target.read_memory_block8(FLASH_BASE, 64)) == board.firmware.path.read_bytes()[:64]
    target.read32(0x20000000)
    assert target.get_state() == Target.State.RUNNING


def test_ram_and_registers_keep_what_is_written(target: Any) -> None:
    target.halt()
    data = list(range(256)) * 20  # more than one auto-increment page
    target.write_memory_block8(0x20010001, data)
    assert target.read_memory_block8(0x20010001, len(data)) == data
    target.write_core_register("r7", 0x12345678)
    target.write_core_register("s5", 1.5)
    assert target.read_core_register("r7") == 0x12345678
    assert target.read_core_register("s5") == 1.5


def test_flash_does_not_change_by_a_plain_write(target: Any) -> None:
    target.halt()
    before = target.read32(FLASH_BASE + 0x100)
    target.write32(FLASH_BASE + 0x100, ~before & 0xFFFFFFFF)
    assert target.read32(FLASH_BASE + 0x100) == before


def test_an_address_with_nothing_behind_it_is_a_bus_fault_and_the_next_access_works(target: Any) -> None:
    with pytest.raises(exceptions.TransferFaultError):
        target.read32(0x30000000)
    assert target.read32(0xE000ED00) == 0x410FC241


@pytest.mark.parametrize("kind", ["SYSRESETREQ", "VECTRESET", "NSRST", "EMULATED"])
def test_each_kind_of_reset_starts_the_application(board: VirtualSTM32Board, target: Any, kind: str) -> None:
    target.reset(Target.ResetType[kind])
    assert target.get_state() == Target.State.RUNNING
    with connected(board) as device:
        assert device.hello().build_id == board.firmware.build_id


def test_a_session_that_ends_leaves_the_core_running(board: VirtualSTM32Board) -> None:
    with debugger._session(board._access()) as session:
        session.target.halt()
    with connected(board) as device:
        assert device.hello().build_id == board.firmware.build_id
        assert device.loop(1000).counted == 3004  # the counter runs although pyOCD has cleared DEMCR
