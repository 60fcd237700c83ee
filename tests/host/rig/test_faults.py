"""Retries and quarantine after rig faults."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import ImageError, RigFault, UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger

pytestmark = pytest.mark.host

A, B = (BoardEntry(name, "stm32", "stm32f405xg", port=name) for name in "ab")


def failing(*faults):
    """Work that raises ``faults`` one after the other and then succeeds."""
    left = list(faults)

    def work():
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_a_fault_that_goes_away_is_counted_and_forgiven():
    ledger, retries = FaultLedger(retries=2), []
    work = failing(RigFault("link", "1", board="a"), RigFault("boot", "2", board="a"))
    assert ledger.attempt("a", work, retries.append) == "done"
    assert (retries, ledger.count(), ledger.count(["b"]), ledger.quarantined) == ([1, 2], 2, 0, {})


def test_a_fault_that_stays_quarantines_the_board_with_its_first_cause():
    ledger = FaultLedger(retries=1)
    with pytest.raises(RigFault, match="second"):
        ledger.attempt(
            "a", failing(RigFault("flash", "first"), RigFault("boot", "second")), lambda retry: None
        )
    assert ledger.quarantined["a"].reason == "first"
    assert ledger.usable([A, B]) == (B,)
    with pytest.raises(RigFault, match="quarantine after earlier faults:\n  a: flash fault: first"):
        ledger.usable([A])


def test_a_fault_while_recovering_uses_up_a_retry_and_does_not_hide_the_cause():
    ledger = FaultLedger(retries=1)

    def recover(retry):
        raise RigFault("boot", "cannot be reset")

    with pytest.raises(RigFault, match="silence"):
        ledger.attempt("a", failing(RigFault("link", "silence")), recover)
    assert ledger.quarantined["a"].reason == "silence"
    assert [fault.kind for fault in ledger.faults] == ["link", "boot"]


def test_a_lease_that_is_lost_before_recovering_is_raised_at_once():
    ledger = FaultLedger(retries=3)

    def recover(retry):
        raise RigFault("lease", "taken away")

    with pytest.raises(RigFault, match="taken away"):
        ledger.attempt("a", failing(RigFault("link", "silence")), recover)
    assert ledger.quarantined == {}


@pytest.mark.parametrize("error", [RigFault("lease", "busy"), ImageError("model too big")])
def test_what_is_not_the_boards_fault_is_raised_at_once(error):
    ledger, retries = FaultLedger(retries=3), []
    with pytest.raises(type(error)):
        ledger.attempt("a", failing(error), retries.append)
    assert (retries, ledger.quarantined) == ([], {})


def test_a_negative_number_of_retries_is_refused():
    with pytest.raises(UsageError, match="retries=-1; allowed: 0 or more"):
        FaultLedger(retries=-1)
