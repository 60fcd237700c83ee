"""The tools of ``make hostile`` themselves: the watch sees what is touched, the table counts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.result import Result, table

pytestmark = pytest.mark.host
pytest.importorskip("watchfiles", reason="watchfiles is not installed: extra dev")


def test_the_watch_sees_what_other_processes_touch_outside_their_folder(tmp_path: Path) -> None:
    from tests.hostile.watch import Watch

    outside, own = tmp_path / "outside", tmp_path / "outside" / "own"
    own.mkdir(parents=True)
    (outside / "kept.txt").write_text("as it was")
    script = (
        "import pathlib, time\n"
        f"pathlib.Path({str(own / 'mine')!r}).write_text('fine')\n"
        f"pathlib.Path({str(outside / 'made')!r}).write_text('not fine')\n"
        f"pathlib.Path({str(outside / 'kept.txt')!r}).write_text('changed')\n"
    )
    with Watch([outside], allowed=[own]) as watch:
        subprocess.run([sys.executable, "-c", script], check=True)
    assert {Path(path).name for path in watch.changes} == {"made", "kept.txt"}


def test_the_watch_is_quiet_where_nothing_happens(tmp_path: Path) -> None:
    from tests.hostile.watch import Watch

    with Watch([tmp_path], allowed=[]) as watch:
        (tmp_path.parent / f"{tmp_path.name}.beside").write_text("elsewhere")
    assert not watch.changes


def test_the_table_counts_by_kind_and_shows_an_example() -> None:
    bad = Result("models", tried=10, refused=7, ran=2)
    bad.fault("traceback", "IndexError in mutant 4")
    lines = table([bad, Result("files", tried=3, refused=3)])
    assert lines[1].split()[:4] == ["models", "10", "7", "2"]
    assert lines[3].split()[:5] == ["total", "13", "10", "2", "1"]
    assert lines[-1] == "traceback: IndexError in mutant 4"
