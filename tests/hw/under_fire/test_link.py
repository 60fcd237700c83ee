"""The link on lines that lose, flip, double, delay and reorder: right answers, or none, in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.rig.device import RemoteDevice
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.link.line import BASE_BAUD
from pytest_quantcheck.rig.link.link import Link
from rigs.posix.board import PosixBoard
from rigs.posix.firmware import build
from rigs.posix.line import FaultyLine
from tests.faults.link import BOARDS, ONE_PERCENT, exercise
from tests.firmware.harness.conftest import Lookup

pytestmark = pytest.mark.hw


@pytest.fixture
def board(tmp_path: Path):
    """A posix board with the look-up runtime."""
    entry = BoardEntry("posix-1", "posix", "posix", firmware=str(build("lookup").path))
    opened = PosixBoard(entry, tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "frames"), [("posix", 800), ("virtual-stm32f405", 300), ("virtual-esp32c3", 300)]
)
def test_one_byte_in_a_hundred_is_damaged_and_no_answer_is_wrong(tmp_path, name, frames):
    score = exercise(BOARDS[name], frames, seed=7, folder=tmp_path)
    assert score.as_promised, str(score)
    assert score.faults["flip"] + score.faults["drop"] + score.faults["duplicate"] > frames / 5
    assert 0.1 < score.resent / score.sent < 0.8


def test_a_clean_line_sees_no_resend_and_full_frames(tmp_path):
    score = exercise(BOARDS["posix"], 200, seed=7, folder=tmp_path, rates={})
    assert score.as_promised, str(score)
    assert (score.damaged, score.given_up) == (0, [])
    assert score.resent <= 1  # a loaded machine may be slow


@pytest.mark.parametrize("size", [4096, 5000, 30_000])
def test_inputs_of_4_kb_and_more_use_95_percent_of_the_line(board, size):
    model = Lookup.random(elements=size, operators=1)
    device = RemoteDevice(Link(board.open_port()))
    device.hello()
    device.load_ram(model.artefact)
    device.describe()
    counts = device.link.statistics
    line, payload = counts.bytes_on_line, counts.payload_bytes
    given = bytes(value % 251 for value in range(size))
    device.set_input(0, given)
    assert size / (counts.bytes_on_line - line) >= 0.95 or (
        (counts.payload_bytes - payload) / (counts.bytes_on_line - line) >= 0.95
    )
    assert device.run().outputs == (model.run(given),)
    assert counts.efficiency >= 0.95
    assert counts.summary()["efficiency"] == round(counts.payload_bytes / counts.bytes_on_line, 4)
    device.link.close()


def test_inputs_and_outputs_of_900_bytes_pass_a_line_that_damages_one_byte_in_a_hundred(board):
    model = Lookup.random(elements=900, operators=3)
    device = RemoteDevice(Link(FaultyLine(board.open_port(), seed=5, **ONE_PERCENT)))
    device.hello(deadline=20.0)  # the longest answer of all
    device.load_ram(model.artefact)
    for number in range(2):
        given = bytes(value * (number + 3) % 256 for value in range(900))
        assert device.infer([given]).outputs == (model.run(given),)
    assert device.link.statistics.resent > 0
    device.link.close()


class BadAbove(FaultyLine):
    """A cable that is too long for any rate above the first one."""

    def __init__(self, transport, **rates):
        super().__init__(transport, seed=3)
        object.__setattr__(self, "_rates", rates)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "baudrate":
            self.break_bytes(**self._rates if value > BASE_BAUD else {})


@pytest.mark.parametrize("rates", [{"flip": 0.01}, {"drop": 0.01}, {"flip": 1.0}, {"drop": 1.0}], ids=str)
def test_a_rate_at_which_the_line_garbles_is_given_up_by_both_ends(board, rates):
    line = BadAbove(board.open_port(), **rates)
    device = RemoteDevice(Link(line))
    device.hello()
    assert device.set_baud(921600) == BASE_BAUD
    assert sum(line.faults.values()) > 0
    assert device.echo(bytes(range(256))) == bytes(range(256))
    device.link.close()


def test_a_rate_at_which_the_line_is_good_is_kept(board):
    device = RemoteDevice(Link(BadAbove(board.open_port())))
    device.hello()
    assert device.set_baud(921600) == device.link.baudrate == 921600
    device.link.close()
