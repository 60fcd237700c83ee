"""The board in hand: kept for the next test that wants the same, handed on where others may wait."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_quantcheck.plugin.board_pool import BoardPool
from pytest_quantcheck.plugin.settings import Settings
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.inventory import Inventory
from pytest_quantcheck.rig.lease import holder

pytestmark = pytest.mark.host

DESK = BoardEntry("desk", "posix", "posix", port="desk")


@pytest.fixture
def make_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``make_pool(shared=...)``: a pool with one board, whose users would wait eight seconds for it."""
    monkeypatch.setenv("QC_LEASE_DIR", str(tmp_path / "leases"))
    made = []

    def make(*, shared: bool, entry: BoardEntry = DESK, run_timeout: float = 600.0) -> BoardPool:
        settings = Settings(
            rig=(),
            ini_rig=(),
            boards=(),
            each_board=False,
            require_hw=False,
            strict=False,
            lease_timeout=8.0,
            run_timeout=run_timeout,
            infra_retries=1,
            vectors=None,
            cache=None,
            log_dir=tmp_path / "logs",
            overrides={},
            yaml_overrides=(),
            reports=(),
            max_cases=64,
            update="",
            baseline="",
            tolerances={},
            compare="",
        )
        made.append(BoardPool(lambda: Inventory((entry,)), settings, shared=shared))
        return made[-1]

    yield make
    for pool in made:
        pool.release()


@pytest.mark.parametrize(("shared", "kept"), [(False, True), (True, False)])
def test_a_board_is_kept_for_the_same_target_unless_it_is_the_others_turn(make_pool, shared, kept) -> None:
    pool = make_pool(shared=shared)
    pool.take("posix", test="test_it.py::test_one")
    pool.release(unless="posix")
    assert holder(DESK).who == "test_it.py::test_one"
    time.sleep(2.1)
    pool.release(unless="posix")
    assert (holder(DESK) is not None) is kept
    pool.release(unless="other")
    assert holder(DESK) is None


def test_a_run_may_take_as_long_as_the_settings_say(make_pool) -> None:
    runner = make_pool(shared=False, run_timeout=7.0).take("posix", test="test_it.py::test_one")
    assert runner.session.device.deadlines == Deadlines.of_runs(7.0)
    assert runner.session.device.deadlines.request == 7.0


def test_each_test_has_a_serial_log_of_its_own(make_pool, tmp_path: Path) -> None:
    pool = make_pool(shared=False)
    for test in ("a/test_it.py::TestIt::test_one[x/y-posix]", "a/test_it.py::test_two"):
        runner = pool.take("posix", test=test)
        assert runner.session.log == pool.log_path(test)
        runner.session.device.echo(b"written down")
        assert pool.log_path(test).stat().st_size > 0
        pool.release(unless="posix")
    folder = tmp_path / "logs" / "a-test_it"
    names = {path.name for path in folder.iterdir()}
    assert names == {"TestIt-test_one-x-y-posix-441535e5.log", "test_two.log"}


def test_tests_whose_ids_look_alike_once_cleaned_have_logs_of_their_own(make_pool) -> None:
    pool = make_pool(shared=False)
    alike = [
        *(
            "a/test_it.py::test_x[a/b]",
            "a/test_it.py::test_x[a-b]",
            "a/test_it.py::test_x[a b]",
            "a/test_it.py::test_x[a]b]",
        ),
        *(
            "a-test_it.py::test_x[a-b]",
            f"a/test_it.py::test_{'y' * 300}1",
            f"a/test_it.py::test_{'y' * 300}2",
        ),
    ]
    assert len({pool.log_path(test) for test in alike}) == len(alike)
    assert pool.log_path(alike[1]).name == "test_x-a-b.log"
