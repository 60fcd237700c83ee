"""What a run and its items have to report, kept until somebody asks.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_quantcheck.report.row import Row

REPORT_KEY = "quantcheck_rows"  # where rows travel on a report, through xdist too


class RunNotes:
    """Of the whole run, in the controlling process; a pytest plug-in of its own.

    ``usage_errors`` end the run, ``left_out`` counts hw items that have no board, by reason, ``omitted``
    combinations of a ``quant`` marker that are not run.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.usage_errors: list[str] = []
        self.left_out: dict[str, int] = {}
        self.omitted: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the rows of a report, whichever process made it."""
        self.rows += getattr(report, REPORT_KEY, ())


class ItemNotes:
    """Of one item: finished rows, its serial log, whether its budget was judged."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.log: Path | None = None
        self.budget_used = False
        self.call_passed = False


_RUN = pytest.StashKey[RunNotes]()
_ITEM = pytest.StashKey[ItemNotes]()


def run_notes(config: pytest.Config) -> RunNotes:
    """The notes of this run, made and registered on first use."""
    if _RUN not in config.stash:
        config.stash[_RUN] = RunNotes()
        config.pluginmanager.register(config.stash[_RUN], "quantcheck-notes")
    return config.stash[_RUN]


def item_notes(item: pytest.Item) -> ItemNotes:
    """The notes of an item, made on first use."""
    return item.stash.setdefault(_ITEM, ItemNotes())
