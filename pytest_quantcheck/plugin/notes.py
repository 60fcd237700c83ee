"""What a run and its items have to report, kept until somebody asks.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from pytest_quantcheck.baselines.book import Book
    from pytest_quantcheck.verdict.row import Row

REPORT_KEY = "quantcheck_rows"  # where rows travel on a report, through xdist too
BOARD_KEY = "quantcheck_board"  # says on a report that its item runs on a board
BASELINES_KEY = "quantcheck_baselines"  # and what a test did with its baselines
Function = tuple[str, str]  # the file of its baselines, and the test function in it
CRASHED = "???"  # xdist's phase of a test whose worker process died


class ZooJob(NamedTuple):
    """One job of a Model-Zoo configuration: the ``node`` of its file, ``path``, what tells it apart in a
    sweep, and the folder it writes to."""

    node: str
    path: str
    label: str
    run_dir: str


class RunNotes:
    """Of the whole run, in the controlling process; a pytest plug-in of its own.

    ``started`` is when the controlling process began, in seconds since 1970; workers are told.
    ``usage_errors`` end the run, ``left_out`` counts hw items that have no board, by reason, ``omitted``
    combinations of a ``quant`` marker that are not run, ``hw_ran`` and ``hw_skipped`` the items on boards,
    ``places`` says by test id in which file and line (from 1; 0: not known) its function stands. ``written``
    and ``unwritten`` say which reports were written, and which could not be and why. ``baselines`` is what
    each item did with its baselines, by node id; ``expected`` are the node ids of the items that this run
    or another job of its kind should run, ``collected`` counts the items of each function,
    ``partial`` are the functions of which some items were deselected, ``of_baselines`` are lines about all
    of it. ``zoo_files`` counts the Model-Zoo configurations, ``zoo_jobs`` are their jobs, ``ungated`` are
    files and what is not limited in them.
    """

    def __init__(self) -> None:
        self.started = 0.0
        self.zoo_files = 0
        self.zoo_jobs: list[ZooJob] = []
        self.ungated: list[tuple[str, str]] = []
        self._rows: dict[str, list[Row]] = {}
        self._reruns: Counter[str] = Counter()
        self.usage_errors: list[str] = []
        self.left_out: dict[str, int] = {}
        self.omitted: Counter[str] = Counter()
        self.places: dict[str, tuple[str, int]] = {}
        self.written: list[str] = []
        self.unwritten: list[str] = []
        self.hw_ran = self.hw_skipped = 0
        self.baselines: dict[str, dict[str, Any]] = {}
        self.expected: list[str] = []
        self.collected: Counter[Function] = Counter()
        self.partial: set[Function] = set()
        self.of_baselines: list[str] = []

    @property
    def rows(self) -> list[Row]:
        """The rows of all items, in the order in which the items ended; of the last attempt at each."""
        return [row for rows in self._rows.values() for row in rows]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the rows of a finished item, whichever process made them. A rerun replaces those of the
        failure before it; whatever else runs an item twice (``--dist each``) has the rows of both.
        """
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            self._reruns[report.nodeid] += 1
        given = getattr(report, REPORT_KEY, None)
        if given is None and report.when != CRASHED:
            return
        file, line, _ = report.location
        self.places[report.nodeid] = file, 0 if line is None else line + 1
        if getattr(report, BOARD_KEY, False):
            expected = hasattr(report, "wasxfail")
            self.hw_skipped += int(report.skipped and not expected)
            self.hw_ran += int(report.when == "call" and (not report.skipped or expected))
        if of_baselines := getattr(report, BASELINES_KEY, None):
            self.baselines[report.nodeid] = of_baselines
        from pytest_quantcheck.plugin.rows import crashed, repeated

        if report.when == CRASHED:
            self._rows.setdefault(report.nodeid, []).append(crashed(report.nodeid))
        elif report.when == "teardown" and given:
            if self._reruns[report.nodeid]:
                self._rows.pop(report.nodeid, None)
            self._rows.setdefault(report.nodeid, []).extend(repeated(given, self._reruns[report.nodeid]))


class ItemNotes:
    """Of one item: its rows so far, how each phase went, its serial log, its baselines, whether its budget
    was judged, whether its gate was asked, and the errors in which checks ended.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.phases: dict[str, tuple[str, str]] = {}  # when -> outcome, reason
        self.log: Path | None = None
        self.book: Book | None = None
        self.budget_used = False
        self.asked: bool | None = None  # None: there was no gate
        self.refused: list[str] = []
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


def start_item_notes(item: pytest.Item) -> None:
    """New notes for an attempt at an item: nothing of an earlier one is left."""
    item.stash[_ITEM] = ItemNotes()
