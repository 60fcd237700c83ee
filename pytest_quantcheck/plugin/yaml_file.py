"""A Model-Zoo configuration as a test file: each step of its ``operation_mode`` is an item.

Imported when such a file is collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.plugin import outcome
from pytest_quantcheck.plugin.fixtures import state_of
from pytest_quantcheck.plugin.items import BOARD, SESSION
from pytest_quantcheck.plugin.notes import ZooJob, item_notes, run_notes
from pytest_quantcheck.plugin.session_state import SessionState
from pytest_quantcheck.plugin.settings import inventory, settings
from pytest_quantcheck.runners.boards import AnyBoard
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo import load, modes
from pytest_quantcheck.workflows.model_zoo.composition import is_sweep
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration
from pytest_quantcheck.workflows.model_zoo.job import Job
from pytest_quantcheck.workflows.model_zoo.names import OPERATION_MODE, SECTIONS
from pytest_quantcheck.workflows.model_zoo.steps import run as steps

_OURS = re.compile(rf"^[\"']?({'|'.join((*SECTIONS, OPERATION_MODE))})[\"']?\s*:", re.MULTILINE)
_LOOKED_AT = 1 << 20
_FOLDERS = pytest.StashKey[dict[str, str]]()
"""Which job has which folder: two files of one run must not write to the same."""


def collect(path: Path, parent: pytest.Collector) -> YamlFile | None:
    """The file, if it has any of our sections; others may know what else it is."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return None
    if not _OURS.search(start):
        return None
    run_notes(parent.config).zoo_files += 1
    made: YamlFile = YamlFile.from_parent(parent, path=path)
    return made


def started(config: pytest.Config) -> datetime:
    """When this run began, on the controlling process: every worker resolves ``${now:...}`` alike."""
    return datetime.fromtimestamp(run_notes(config).started)


class YamlFile(pytest.File):
    """One configuration."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item per step, of each job of a sweep. What is wrong in the file is a collection error."""
        try:
            for config in self._configurations():
                yield from self._items(config)
        except QuantcheckError as error:
            raise self.CollectError(str(error)) from error

    def _configurations(self) -> list[Configuration]:
        overrides = settings(self.config).yaml_overrides
        found = load.load_configurations(
            self.path,
            overrides,
            multirun=is_sweep(overrides),
            now=started(self.config),
            working=self.config.invocation_params.dir,
            name=self.nodeid,
        )
        return [self._in_own_folder(config) for config in found]

    def _in_own_folder(self, config: Configuration) -> Configuration:
        taken = self.config.stash.setdefault(_FOLDERS, {})
        me, wanted = f"{self.nodeid}[{load.label(config)}]", config.composed.run_dir
        own = f"{wanted}_{self.path.stem}"
        names = (wanted, own, *(f"{own}_{number}" for number in range(2, len(taken) + 2)))
        folder = next(each for each in names if taken.get(each, me) == me)
        taken[folder] = me
        return load.with_folder(config, folder)

    def _items(self, config: Configuration) -> Iterable[pytest.Item]:
        label, notes = load.label(config), run_notes(self.config)
        job = Job(config, _ItemTools(self.config))
        notes.zoo_jobs.append(ZooJob(self.nodeid, str(self.path), label, config.composed.run_dir))
        if text := load.gates(config):
            notes.ungated.append((self.nodeid, text))
        for step in config.steps:
            name = f"{step}[{label}]" if label else step
            yield StepItem.from_parent(self, name=name, job=job, step=step, label=label)


class StepItem(pytest.Item):
    """One step. What it needs of others is made in its setup: if that fails, it is an ERROR that names it."""

    def __init__(self, *, job: Job, step: str, label: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job, self.step, self.originalname = job, step, step
        self.case = f"{self.path.name}::{self.name}"
        self.fixturenames = [SESSION]
        board = self._board()
        self.spec = SimpleNamespace(
            params={BOARD: board} if board else {}, id="-".join(filter(None, (label, board)))
        )

    def _board(self) -> str:
        """Target or name of the board that the step runs on; empty where it needs none, or none is there."""
        wanted = self.job.config.quantcheck.board or ""
        if not (self.step == modes.DEPLOY or (wanted and self.step == modes.BENCHMARK)):
            return ""
        self.fixturenames.append(BOARD)
        try:
            rig = inventory(self.config)
        except QuantcheckError as error:
            run_notes(self.config).usage_errors.append(str(error))
            return ""
        if rig is None or not len(rig):
            return ""
        try:
            boards = rig.choice(wanted)
        except UsageError as error:
            raise self.job.config.error(str(error), "quantcheck", "board") from error
        return wanted or (boards[0].name if settings(self.config).each_board else boards[0].target)

    def setup(self) -> None:
        """What the step needs of others."""
        self._tools.item = self
        steps.prepare(self.job, self.step)

    def runtest(self) -> None:
        """The step."""
        self._tools.item = self
        try:
            steps.run(self.job, self.step)
        finally:
            if rows := item_notes(self).rows:
                self.job.folder.results(self.name, rows)

    @property
    def _tools(self) -> _ItemTools:
        tools = self.job.tools
        assert isinstance(tools, _ItemTools), "made in YamlFile"
        return tools

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict's own words."""
        if isinstance(excinfo.value, AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the mode stands."""
        line = self.job.config.composed.place(OPERATION_MODE).line
        return self.path, max(line - 1, 0), self.name


class _ItemTools:
    """What steps need, from pytest's session; ``item`` is the one that runs now."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.item: StepItem | None = None

    @property
    def _state(self) -> SessionState:
        return state_of(self._config)

    @property
    def cache(self) -> Cache:
        return self._state.cache

    @property
    def reference(self) -> Runner:
        return self._state.reference

    @property
    def vectors(self) -> int | None:
        return settings(self._config).vectors

    def gate(self, data: Dataset | None, budget: Budget | None, device: Runner | None) -> Gate:
        assert self.item is not None, "set before a step runs"
        item = self.item
        book = item_notes(item).book = self._state.book(item)
        made = self._state.gate(budget, book, lambda verdict: outcome.record(item, verdict.row()))
        made.data, made.device = data, device
        return made

    def board(self, _wanted: str) -> AnyBoard:
        assert self.item is not None, "set before a step runs"
        pool = self._state.boards
        item_notes(self.item).log = pool.log_path(self.item.nodeid)
        target = str(self.item.spec.params[BOARD])
        return pool.take(target, test=self.item.nodeid, storage="flash")

    def record(self, row: Row) -> None:
        assert self.item is not None, "set before a step runs"
        outcome.record(self.item, row)
