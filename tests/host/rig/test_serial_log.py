"""A serial log that cannot be written costs that log and a warning, never what it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.rig.serial_log import SerialLog, log_folder

pytestmark = pytest.mark.host


def test_a_log_is_made_at_the_first_word(tmp_path: Path) -> None:
    log = SerialLog(tmp_path / "deep" / "a.log")
    assert not log.path.exists()
    log.write("one\n")
    log.close()
    log.write("two\n")
    log.close()
    assert log.path.read_text() == "one\ntwo\n"


def test_a_full_disk_is_told_once_and_the_next_log_is_written(tmp_path: Path) -> None:
    full = tmp_path / "full.log"
    full.symlink_to("/dev/full")
    log = SerialLog(full)
    with pytest.warns(RuntimeWarning, match=r"full.log NOT WRITTEN: .*No space left"):
        log.write("a line\n")
    log.write("nothing happens\n")
    log.switch(tmp_path / "good.log")
    log.write("here\n")
    log.close()
    assert (tmp_path / "good.log").read_text() == "here\n"


@pytest.mark.filterwarnings("error")
def test_where_warnings_are_errors_a_log_that_is_lost_is_told_and_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full.log"
    full.symlink_to("/dev/full")
    log = SerialLog(full)
    log.write("a line\n")
    log.close()
    (tmp_path / "file").write_text("no folder")
    log_folder(tmp_path / "file" / "logs").rmdir()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith(f"warning: serial log {full} NOT WRITTEN: ")
    assert told[1].startswith(f"warning: log folder {tmp_path / 'file' / 'logs'} cannot be written ")


def test_frames_without_end_fill_no_disk_and_notes_are_written_all_the_same(tmp_path: Path) -> None:
    log = SerialLog(tmp_path / "a.log")
    for _ in range(40):
        log.write("x" * (1 << 20))
    log.note("link fault")
    log.close()
    assert log.path.stat().st_size < 33 << 20
    *_, full, fault = log.path.read_text().splitlines()
    assert "32 MiB are full" in full
    assert fault.endswith("link fault")


def test_a_log_folder_that_cannot_be_made_gives_way_to_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(RuntimeWarning, match="log folder .*file.* cannot be written"):
        other = log_folder(tmp_path / "file" / "logs")
    assert other.is_dir()
    other.rmdir()
    assert log_folder(tmp_path / "logs") == tmp_path / "logs"
