"""A virtual ESP32-C3 as the rig opens one, with the shipped firmware in its flash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.link.link import Link
from rigs.esp32 import family
from rigs.esp32.virtual_board import VirtualEsp32Board


def open_board(folder: Path, console: str = "uart") -> VirtualEsp32Board:
    """A new virtual board with blank flash."""
    board = family.open(replace(family.virtual_boards()[0], console=console), folder)
    assert isinstance(board, VirtualEsp32Board)
    return board


def flash_firmware(board: VirtualEsp32Board) -> int:
    """The shipped firmware into a board; returns the number of erased sectors."""
    firmware = board.firmware
    return board.flash([(firmware.address, firmware.path.read_bytes())])


@contextmanager
def connected(board: VirtualEsp32Board) -> Iterator[RemoteDevice]:
    """The device behind the board's console, awake."""
    with closing(board.open_port()) as port:
        device = RemoteDevice(Link(port))
        device.hello()
        yield device


@pytest.fixture(scope="module")
def shared_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualEsp32Board]:
    """One board for the tests of a module, flashed."""
    board = open_board(tmp_path_factory.mktemp("logs"))
    flash_firmware(board)
    yield board
    board.close()


@pytest.fixture
def board(shared_board: VirtualEsp32Board) -> Iterator[VirtualEsp32Board]:
    """The module's board, running; afterwards it is healed and restarted."""
    yield shared_board
    if shared_board.process.alive:
        shared_board.misbehave("heal")
        shared_board.reset()
    else:
        shared_board.power_cycle()


@pytest.fixture
def blank_board(tmp_path: Path) -> Iterator[VirtualEsp32Board]:
    """A board of one's own with nothing in its flash."""
    board = open_board(tmp_path)
    yield board
    board.close()
