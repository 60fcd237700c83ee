"""Baselines of a whole run: what each item did with its own, which file is written, what is unused.

Only the controlling process writes, and it writes whole files.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pytest_quantcheck.baselines.content import Content, Key
from pytest_quantcheck.baselines.source import Folder, source_of
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.files import remove_leftovers, write_whole
from pytest_quantcheck.plugin.items import function_key
from pytest_quantcheck.plugin.notes import Function, RunNotes, item_notes, run_notes
from pytest_quantcheck.plugin.settings import settings
from pytest_quantcheck.report.history import Number
from pytest_quantcheck.wording import counted

_NAMED = 10  # unused baselines that the summary names


def of_item(item: pytest.Item, *, passed: bool) -> dict[str, Any]:
    """What an item did with its baselines, as plain values that travel with its report; empty where nothing.

    Values of a test that did not pass are left out: a wrong value must not become the baseline.
    """
    book = item_notes(item).book
    if book is None:
        return {}
    file, function = function_key(item)
    keys = [(key.case, key.place) for key in book.measured.values]
    now = [
        (key.case, key.place, metric, value.value)
        for key, values in book.measured.values.items()
        for metric, value in values.items()
    ]
    told: dict[str, Any] = {"file": file, "function": function, "keys": keys, "now": now, "passed": passed}
    if keys and passed and settings(item.config).update:
        told["measured"] = book.measured.to_plain()
    return told


def measured(config: pytest.Config) -> dict[str, dict[Number, float]]:
    """What was measured, by the file of its baselines; under ``--qc-vectors`` only which files there are:
    values over other samples do not continue a history.
    """
    found: dict[str, dict[Number, float]] = {}
    for told in run_notes(config).baselines.values():
        numbers = found.setdefault(told["file"], {}) if told["keys"] else {}
        for case, place, metric, value in told["now"] if settings(config).vectors is None else ():
            numbers[Key(told["function"], case, place), metric] = value
    return found


def finish(config: pytest.Config) -> bool:
    """Write what was asked for and note what is unused. False when a file could not be written."""
    notes = run_notes(config)
    old = settings(config).compare
    beside = f"beside {old.name}: " if old is not None else ""
    notes.of_baselines += [
        f"{beside}{row.case or row.test}: {change.text}"
        for row in notes.rows
        for change in row.changes
        if old is not None or (change.state == "improvement" and not change.written)
    ]
    if newer := sum(change.newer for row in notes.rows for change in row.changes):
        notes.of_baselines.append(
            f"baselines: {counted(newer, 'value')} new or stale beside {settings(config).baseline}: compared "
            "with the files of this commit"
        )
    used = [told for told in notes.baselines.values() if told["keys"]]
    good = True
    for file in sorted({told["file"] for told in used}):
        try:
            _finish_file(config, notes, file)
        except (UsageError, OSError) as error:
            good = False
            notes.unwritten.append(f"baselines {file} NOT WRITTEN: {error}")
    held = sum(1 for told in used if not told["passed"])
    if settings(config).update and held:
        notes.of_baselines.append(f"baselines: nothing stored of {counted(held, 'test')} that did not pass")
    return good or not settings(config).update


def _finish_file(config: pytest.Config, notes: RunNotes, file: str) -> None:
    wanted = settings(config)
    stored = source_of(wanted.baseline, config.rootpath).read(file)
    unused = _unused(config, notes, file, stored)
    if wanted.compare is None and not wanted.update:
        _say_unused(notes, file, unused, wanted.baseline)
    if not wanted.update:
        return
    before = stored.render()
    measured = Content()
    for _, told in sorted(notes.baselines.items()):
        if told["file"] == file and "measured" in told:
            measured.take(Content.from_plain(told["measured"], file))
    stored.take(measured, only_new=wanted.update == "new")
    if wanted.update == "all":
        for key in unused:
            del stored.values[key]
    else:
        _say_unused(notes, file, unused)
    content = stored.render()
    path = Folder(config.rootpath).root / file
    if content != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        remove_leftovers(path.parent)
        removed = f", {len(unused)} unused removed" if unused and wanted.update == "all" else ""
        notes.of_baselines.append(f"baselines: {file} written{removed}: look at the change, and commit it")


def _say_unused(notes: RunNotes, file: str, unused: list[Key], release: str = "") -> None:
    if not unused:
        return
    named = "; ".join(map(str, unused[:_NAMED])) + ("; ..." if len(unused) > _NAMED else "")
    where, remedy = (f"{file} of {release}", "") if release else (file, "; --qc-update removes them")
    notes.of_baselines.append(f"baselines: {where}: {len(unused)} unused ({named}){remedy}")


def _unused(config: pytest.Config, notes: RunNotes, file: str, stored: Content) -> list[Key]:
    """Stored keys that no test used, of functions that ran whole, on targets on which they ran.

    Of a function that is gone everything is unused, if its module was collected whole.
    """
    if settings(config).overrides or getattr(config.option, "lf", False):
        return []
    told = [each for each in notes.baselines.values() if each["file"] == file]
    ran = Counter((each["file"], each["function"]) for each in told if each["passed"])
    used = {Key(each["function"], case, place) for each in told for case, place in each["keys"]}
    targets = {(key.function, key.target) for key in used}
    whole = {function for function, count in ran.items() if notes.collected[function] == count}
    whole -= notes.partial | _picked(config, notes)
    known = set(notes.collected) | notes.partial
    selected = any("::" in argument for argument in config.args)

    def judged(key: Key) -> bool:
        if (file, key.function) not in known:
            return not selected
        return (file, key.function) in whole and (key.function, key.target) in targets

    return sorted(key for key in stored.values if key not in used and judged(key))


def _picked(config: pytest.Config, notes: RunNotes) -> set[Function]:
    """Functions of which the command line names single cases: ``test_it.py::test_x[case]``."""
    ids = [argument.partition("::")[2] for argument in config.args]
    names = {each.partition("[")[0] for each in ids if "[" in each}
    return {(file, name) for file, name in notes.collected if name in names}
