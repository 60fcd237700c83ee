"""Files are written whole, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_quantcheck.files import LEFT_OVER_S, MAKING, remove_leftovers, write_whole
from tests.full_disk import room_for

pytestmark = pytest.mark.host


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "r.json"
    for content in (b"first", b"second, which is longer", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_whole(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(b"old")
    with room_for(1000), pytest.raises(OSError, match=r"r\.json"):
        write_whole(path, b"n" * 5000)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["r.json"]


def test_a_link_and_permissions_stay(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    write_whole(tmp_path / "ours", b"")
    (tmp_path / "any").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_what_is_no_file_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def test_what_killed_writers_left_is_removed_when_it_is_old(tmp_path):
    for name, age in (
        (f"{MAKING}old", LEFT_OVER_S + 60),
        (f"{MAKING}young", 0.0),
        ("other", LEFT_OVER_S + 60),
    ):
        (tmp_path / name).write_bytes(b"half")
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    assert remove_leftovers(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{MAKING}young", "other"]
    assert remove_leftovers(tmp_path / "none") == 0


def test_a_full_disk_is_an_error_that_names_the_file():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_whole(Path("/dev/full"), b"data")
