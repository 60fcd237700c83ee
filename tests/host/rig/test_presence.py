"""What is said of boards that nobody opens: absent ones, and two that are one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.presence import absence, sharing

pytestmark = pytest.mark.host


def board(name="a", **how):
    return BoardEntry(name, "stm32", "stm32f405xg", **how)


def test_a_port_that_is_no_file_is_absent(tmp_path):
    port = tmp_path / "ttyACM0"
    assert absence(board(port=str(port))) == f"there is no {port}"
    port.touch()
    assert absence(board(port=str(port))) == ""


def test_a_link_that_leads_nowhere_is_absent(tmp_path):
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyACM0")
    assert "by-id" in absence(board(port=str(tmp_path / "by-id")))


@pytest.mark.parametrize("port", ["socket://lab:4000", "rfc2217://lab:4000", "", "a name of its own"])
def test_what_only_opening_would_tell_is_not_absent(port):
    assert absence(board(port=port)) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [([], "matches no port"), (["/dev/ttyACM0"], ""), (["/dev/b", "/dev/a"], "matches /dev/a, /dev/b")],
)
def test_a_pattern_must_match_one_port(monkeypatch, found, said):
    from serial.tools import list_ports

    monkeypatch.setattr(list_ports, "grep", lambda pattern: [SimpleNamespace(device=each) for each in found])
    seen = absence(board(port="hwgrep://0483:374B&skip_busy"))
    assert seen == (said and f"'0483:374B' {said}")


@pytest.mark.parametrize("pattern", ["[", "a{99999999999}"])
def test_a_pattern_that_is_none_is_absent_and_told(pattern):
    assert absence(board(port=f"hwgrep://{pattern}")).startswith(f"{pattern!r} is no regular expression: ")


def test_boards_with_one_port_or_probe_are_one(tmp_path):
    (tmp_path / "tty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "tty")
    boards = [
        board("a", port=str(tmp_path / "tty")),
        board("b", port=str(tmp_path / "link")),
        board("c", port="socket://x:1", probe="066B"),
        board("d", port="socket://x:2", probe="066B"),
        board("e", port="socket://x:3"),
        board("f", virtual=True),
        board("g", virtual=True),
    ]
    assert [sharing(each, boards) for each in boards] == [("b",), ("a",), ("d",), ("c",), (), (), ()]
