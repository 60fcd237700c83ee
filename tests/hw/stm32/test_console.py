"""Two consoles listen; the board answers where it was spoken to, also after a crash."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from pytest_quantcheck.errors import UsageError
from tests.hw.stm32.conftest import connected, flash_firmware, open_board


@pytest.mark.parametrize("usart", ["1", "2"])
def test_a_console_is_answered_where_it_speaks(tmp_path: Path, usart: str) -> None:
    with closing(open_board(tmp_path, usart=usart)) as board:
        flash_firmware(board)
        with connected(board) as device:
            assert device.echo(b"x" * 1000) == b"x" * 1000
            assert device.hello().overruns == 0


@pytest.mark.parametrize("usart", ["1", "2"])
def test_the_banner_after_a_crash_comes_where_the_last_request_came_from(tmp_path: Path, usart: str) -> None:
    with closing(open_board(tmp_path, usart=usart)) as board:
        flash_firmware(board)
        with connected(board):
            pass
        with closing(board.open_port()) as port:
            board.misbehave("crash")
            heard = b""
            end = time.monotonic() + 5
            while len(heard) < 9 and time.monotonic() < end:
                heard += port.read(64)
        assert len(heard) >= 9


def test_flash_kept_in_a_file_is_there_the_next_time(tmp_path: Path) -> None:
    flash = str(tmp_path / "flash.bin")
    with closing(open_board(tmp_path, flash=flash)) as board:
        flash_firmware(board)
    with closing(open_board(tmp_path, flash=flash)) as board, connected(board) as device:
        assert device.hello().build_id == board.firmware.build_id


def test_a_long_temporary_path_does_not_keep_a_board_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("deep" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with closing(open_board(tmp_path)) as board:
        assert board.machine.call("status")["state"] == "lockup"


def test_a_console_that_the_chip_lacks_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"settings\.usart='3'; allowed: '1'"):
        open_board(tmp_path, usart="3")
