"""A virtual STM32F405 as the rig opens one, with the shipped firmware in its flash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.link import Link
from rigs.stm32 import family
from rigs.stm32.virtual_board import VirtualSTM32Board


def open_board(folder: Path, **settings: str) -> VirtualSTM32Board:
    """A new, blank virtual board."""
    board = family.open(replace(family.virtual_boards()[0], settings=settings), folder)
    assert isinstance(board, VirtualSTM32Board)
    return board


def flash_firmware(board: VirtualSTM32Board) -> int:
    """The shipped firmware into a board; returns the number of erased sectors."""
    firmware = board.firmware
    return board.flash([(firmware.address, firmware.path.read_bytes())])


@contextmanager
def connected(board: VirtualSTM32Board) -> Iterator[RemoteDevice]:
    """The device behind the board's console, awake."""
    with closing(board.open_port()) as port:
        device = RemoteDevice(Link(port))
        device.hello()
        yield device


@pytest.fixture(scope="module")
def shared_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualSTM32Board]:
    """One board for the tests of a module, flashed."""
    board = open_board(tmp_path_factory.mktemp("logs"))
    flash_firmware(board)
    yield board
    board.close()


@pytest.fixture
def board(shared_board: VirtualSTM32Board) -> Iterator[VirtualSTM32Board]:
    """The module's board, running; afterwards it is healed and power-cycled."""
    yield shared_board
    shared_board.misbehave("heal")
    shared_board.power_cycle()


@pytest.fixture
def blank_board(tmp_path: Path) -> Iterator[VirtualSTM32Board]:
    """A board of one's own with nothing in its flash."""
    board = open_board(tmp_path)
    yield board
    board.close()
