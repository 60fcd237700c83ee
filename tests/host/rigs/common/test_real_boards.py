"""What real boards share, and what they have nothing to do with."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.host


def test_a_real_board_loads_nothing_of_the_virtual_ones() -> None:
    code = (
        "import sys, rigs.stm32.board, rigs.esp32.board\n"
        "print(sorted(name for name in sys.modules if '.virtual' in name and name.startswith('rigs')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
