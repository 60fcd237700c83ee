"""A virtual board is a process of its own: it rests when idle, ends with its parent, is seen nowhere else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rigs.stm32.virtual_board import VirtualSTM32Board
from tests.hw.processes import comes_to_rest

OPEN_AND_WAIT = """
import json, sys, time
from pathlib import Path
from rigs.stm32 import family
board = family.open(family.virtual_boards()[0], Path(sys.argv[1]))
machine = board.machine
print(json.dumps([machine.pid, machine.call("status")["pid"], str(machine.control)]), flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("victim", ["parent", "supervisor"])
def test_nothing_is_left_after_kill_9(tmp_path: Path, victim: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    supervisor, qemu, control = json.loads(parent.stdout.readline())
    try:
        assert alive(supervisor)
        assert alive(qemu)
        os.kill(parent.pid if victim == "parent" else supervisor, signal.SIGKILL)
        end = time.monotonic() + 10
        while alive(supervisor) or alive(qemu):
            assert time.monotonic() < end, "a process has outlived its parent"
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    home = Path(control).parents[1]
    if victim == "parent":
        assert not home.exists()
    else:
        shutil.rmtree(home)  # nobody was left to do it


def test_an_idle_board_takes_hardly_any_cpu(board: VirtualSTM32Board) -> None:
    assert comes_to_rest({board.machine.call("status")["pid"], board.machine.pid})


def test_where_no_board_runs_pyocd_finds_no_virtual_probe() -> None:
    code = (
        "from pyocd.core.helpers import ConnectHelper\nprint(ConnectHelper.get_all_connected_probes(False))"
    )
    clean = {name: value for name, value in os.environ.items() if name != "QUANTCHECK_VIRTUAL_STM32"}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True, timeout=60
    )
    assert "virtual" not in printed.stdout


def test_a_closed_board_is_no_longer_announced(tmp_path: Path) -> None:
    from rigs.stm32 import family
    from rigs.stm32.virtual.client import announced_probes

    board = family.open(family.virtual_boards()[0], tmp_path)
    assert isinstance(board, VirtualSTM32Board)
    assert board.machine.probe_id in announced_probes()
    board.close()
    assert board.machine.probe_id not in announced_probes()


def test_a_board_for_the_hand_says_how_to_reach_it_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rigs.stm32.virtual", str(tmp_path / "flash.bin")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        printed = "".join(process.stdout.readline() for _ in range(3))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "socket://127.0.0.1:" in printed
    assert "QUANTCHECK_VIRTUAL_STM32=virtual-stm32f405-" in printed
    assert (tmp_path / "flash.bin").read_bytes() == b"\xff" * (1 << 20)
