"""``Report``: what every form of report is made from: the rows of a run, and what to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.verdict.row import Row


@dataclass(frozen=True)
class Place:
    """Where a test stands: ``file`` relative to the run's root folder, ``line`` from 1 (0: not known)."""

    file: str
    line: int = 0


@dataclass(frozen=True)
class Trend:
    """One number of one case over time, oldest first: ``points`` are pairs of a commit, or ``this run``, and
    the value from then on. ``test`` is the node id without the board.
    """

    test: str
    target: str
    metric: str
    points: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Report:
    """``left_out`` counts the hw tests that did not run, ``omitted`` the combinations of configurations, both
    by reason. ``collected`` says by node id of each test that this run, or another job of a matrix, should
    run, whether this run ran it. ``root`` is the run's root folder, ``places`` says by test id where its
    function stands, ``history`` what numbers were before.
    """

    rows: tuple[Row, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    left_out: Mapping[str, int] = field(default_factory=dict)
    omitted: Mapping[str, int] = field(default_factory=dict)
    collected: Mapping[str, bool] = field(default_factory=dict)
    root: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    history: tuple[Trend, ...] = ()
