"""The virtual board counts executed instructions: exactly, and every time the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rigs.stm32.virtual_board import VirtualSTM32Board
from tests.hw.stm32.conftest import connected


@pytest.mark.parametrize("rounds", [0, 1, 2, 10, 1000, 1_000_000, 100_000_000])
def test_a_loop_of_known_length_raises_the_counter_by_exactly_that(
    board: VirtualSTM32Board, rounds: int
) -> None:
    with connected(board) as device:
        assert device.hello().counts_instructions
        result = device.loop(rounds)
    assert (result.per_round, result.fixed) == (3, 4)
    assert result.counted == 3 * rounds + 4


def test_counts_repeat_while_all_cores_are_busy(board: VirtualSTM32Board) -> None:
    with connected(board) as device:
        quiet = [device.loop(200_000).counted for _ in range(3)]
        burners = [
            subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(os.cpu_count() or 1)
        ]
        try:
            busy = [device.loop(200_000).counted for _ in range(3)]
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
    assert {*quiet, *busy} == {600_004}
