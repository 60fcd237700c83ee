"""Cells of the table of faults and stages that take seconds; ``make faults`` runs them all."""

from __future__ import annotations

import pytest

from tests.faults import table

pytestmark = pytest.mark.hw

QUICK = [
    ("posix", "flash", "die"),
    ("posix", "flash", "stick"),
    ("posix", "boot", "die"),
    ("posix", "hello", "crash"),
    ("posix", "load", "die"),
    ("posix", "load", "crash"),
    ("posix", "run", "crash"),
    ("posix", "mid-vector", "die"),
    ("posix", "mid-vector", "mute"),
    ("virtual-stm32f405", "flash", "stick"),
    ("virtual-stm32f405", "mid-vector", "crash"),
    ("virtual-esp32c3", "load", "die"),
    ("virtual-esp32c3", "mid-vector", "crash"),
]


@pytest.mark.parametrize("cell", QUICK, ids="-".join)
def test_a_fault_ends_as_promised_and_the_other_board_goes_on(tmp_path, cell):
    result = table.run_cell(*cell, tmp_path)
    assert result.right, str(result)


@pytest.mark.parametrize("special", [table.run_protocol, table.run_lease])
def test_version_and_lease_faults_end_as_promised(tmp_path, special):
    result = special(tmp_path)
    assert result.right, str(result)


def test_every_fault_stands_in_the_table_for_every_board():
    cells = set(table.cells(list(table.BOARDS)))
    assert {(board, fault) for board, _, fault in cells} >= {
        (board, fault)
        for board in table.BOARDS
        for fault in table.FAULTS
        if (board, fault) != ("posix", "power_loss")
    }
    assert cells.issuperset(QUICK)
