"""A file that esp-ppq exported, on every virtual board: the test vector in it is reproduced."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.cli import main

pytestmark = pytest.mark.hw

FILES = Path(__file__).parents[1] / "host" / "graph" / "espdl_files"


@pytest.mark.parametrize("board", ["virtual-esp32c3", "virtual-stm32f405"])
@pytest.mark.parametrize("name", ["esp32p4_int8", "esp32s3_int8", "c_int16"])
def test_the_board_reproduces_the_vector(
    name: str, board: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", str(FILES / f"{name}.espdl"), "--a", "file", "--b", board, "--log-dir", str(tmp_path)]
    assert main(words) == 0
    assert "the file's outputs are reproduced, bit for bit" in capsys.readouterr().out
