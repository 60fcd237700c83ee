"""``kill -9`` at any moment leaves nothing behind; ``make faults`` tries 50 moments and all boards."""

from __future__ import annotations

import pytest

from tests.faults.kill import kill_often

pytestmark = pytest.mark.hw


def test_after_kill_9_nothing_is_left_and_the_next_run_works(tmp_path):
    moments = kill_often(tmp_path, 3, seed=11, each_next_run=False)
    assert [str(moment) for moment in moments if moment.left] == []
