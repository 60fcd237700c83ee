"""What stored values were before: the files of baselines, over the commits of git that changed them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pytest_quantcheck.baselines.content import Content, Key
from pytest_quantcheck.baselines.repository import Repository
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.report import Trend

NOW = "this run"
_COMMITS = 40  # of each file
_BYTES = 1 << 25  # of all versions of a file
_SECONDS = 10.0  # for each answer of git, and after which no other file is begun
_DIGITS = 8  # of a commit's name

Number = tuple[Key, str]
"""Whose value, and of which metric."""


def history(root: Path, measured: Mapping[str, Mapping[Number, float]]) -> tuple[Trend, ...]:
    """A trend for each number that was not always the same: stored in the files of baselines under ``root``
    that ``measured`` names, and ``measured`` now. Never fails: what git cannot tell stays empty.
    """
    repository, began = Repository(root, _SECONDS), time.monotonic()
    found: list[Trend] = []
    for file, now in sorted(measured.items()):
        if time.monotonic() - began > _SECONDS:
            break
        try:
            found += _of_file(repository, file, now)
        except UsageError:  # no git, no repository, or none of its commits has the file
            continue
    return tuple(found)


def _of_file(repository: Repository, file: str, now: Mapping[Number, float]) -> list[Trend]:
    points: dict[Number, list[tuple[str, float]]] = {}
    commits = repository.commits(file, _COMMITS)
    for commit, data in repository.versions(file, commits, _BYTES):
        stored = _numbers(data, file)
        for number in set(points) - set(stored):
            del points[number]  # renamed or removed: what comes back later is another number
        for number, value in stored.items():
            _add(points.setdefault(number, []), commit[:_DIGITS], value)
    for number, value in now.items():
        if number in points:
            _add(points[number], NOW, value)
    module = PurePosixPath(file).parent.parent / f"{PurePosixPath(file).stem}.py"
    return [
        Trend(f"{module}::{key.function}[{key.case}]", key.target, metric, tuple(its))
        for (key, metric), its in sorted(points.items())
        if len(its) > 1
    ]


def _add(points: list[tuple[str, float]], revision: str, value: float) -> None:
    """A value that is no other than the last one says nothing new."""
    if not points or points[-1][1] != value:
        points.append((revision, value))


def _numbers(data: bytes, file: str) -> dict[Number, float]:
    """All values of one version; none where it cannot be read, such as one with marks of a conflict."""
    try:
        content = Content.parse(data, file)
    except UsageError:
        return {}
    return {
        (key, metric): value.value
        for key, values in content.values.items()
        for metric, value in values.items()
    }


def joined(histories: Iterable[tuple[Trend, ...]]) -> tuple[Trend, ...]:
    """The trends of several jobs, each number once."""
    found: dict[tuple[str, str, str], Trend] = {}
    for each in histories:
        for trend in each:
            found.setdefault((trend.test, trend.target, trend.metric), trend)
    return tuple(found.values())
