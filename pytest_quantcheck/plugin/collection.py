"""Collection: turns markers into items, gives ``hw`` and ``host``, deselects and orders.

Imported when a test uses our fixtures; from there on it costs no NumPy either.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest
from _pytest.mark.expression import Expression  # pytest's own grammar of -m; it has no public name

from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.plugin import cases, markers
from pytest_quantcheck.plugin.items import BOARD, CASE, parameter, wanted_board
from pytest_quantcheck.plugin.notes import run_notes
from pytest_quantcheck.plugin.settings import inventory, settings
from pytest_quantcheck.rig.families import sound_families
from pytest_quantcheck.rig.inventory import Inventory
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.wording import counted

Result = TypeVar("Result")
_SAME_CORE = (
    "on a board they share their integer core with one that is run and differ in input or output type only; "
    "@pytest.mark.hw(io='all') runs them as well"
)


def mark(item: pytest.Item) -> None:
    """Give ``hw`` to an item that uses ``board``, ``host`` to another that uses our fixtures."""
    if item.get_closest_marker("hw") is None:
        item.add_marker("hw" if _needs_board(item) else "host")


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test function its cases and its boards."""
    config = metafunc.config
    where = f"{metafunc.definition.nodeid}: "
    on_board = BOARD in metafunc.fixturenames
    hardware = _checked(where, lambda: markers.hardware(markers.marks(metafunc.definition, "hw")))
    expansion = None
    if CASE in metafunc.fixturenames:
        marks = markers.marks(metafunc.definition, "quant")
        if not marks:
            raise pytest.Collector.CollectError(
                f"{where}uses quantcheck's fixtures without a quant marker; add "
                f'@pytest.mark.quant(model="model.h5", data="module:function")'
            )
        merged = _checked(
            where,
            lambda: markers.override(
                markers.merge("quant", marks, cases.QUANT_KEYS), settings(config).overrides
            ),
        )
        collapse = on_board and hardware["io"] == "core"
        folder = str(metafunc.definition.path.parent)
        expansion = _checked(where, lambda: cases.expand(merged, folder, collapse_edges=collapse))
    _checked(
        where, lambda: _check_budget(config, markers.budget(markers.marks(metafunc.definition, "budget")))
    )
    boards = _boards(config, hardware) if on_board else []
    if expansion is not None:
        run_notes(config).omitted += Counter(expansion.impossible)
        if boards:
            run_notes(config).omitted += Counter({_SAME_CORE: expansion.collapsed})
        if _too_many(config, where, expansion, boards):
            return
        parameters = [pytest.param(p.case, marks=p.marks, id=p.case.id) for p in expansion.parameters]
        metafunc.parametrize(CASE, parameters, indirect=True)
    if boards:
        metafunc.parametrize(BOARD, boards, ids=boards, indirect=True)


def _checked(where: str, work: Callable[[], Result]) -> Result:
    """Do ``work``; an error of ours becomes a collection error that names the test."""
    try:
        return work()
    except QuantcheckError as error:
        raise pytest.Collector.CollectError(f"{where}{error}") from error


def _check_budget(config: pytest.Config, budget: Budget | None) -> None:
    """``UsageError`` for a limit that is given by target for none that exists: it would never be judged."""
    for key, limit in budget.limits.items() if budget is not None else ():
        if isinstance(limit, Mapping):
            known = _known_targets(config)
            if not known & limit.keys():
                raise UsageError(
                    f"budget({key}={dict(limit)!r}): no such target; known: {', '.join(sorted(known))}"
                )


def _known_targets(config: pytest.Config) -> set[str]:
    """Targets of the rig, and those that the installed chip families name."""
    known = {target for family in sound_families() for target in family.targets()}
    with contextlib.suppress(QuantcheckError):  # an unreadable rig is reported when a test needs boards
        known |= set((inventory(config) or Inventory(())).targets)
    return known


def _boards(config: pytest.Config, hardware: Mapping[str, Any]) -> list[str]:
    """Targets of the rig that match the ``hw`` marker, or board names with ``--qc-each-board``."""
    try:
        rig = inventory(config)
    except QuantcheckError as error:
        if str(error) not in run_notes(config).usage_errors:
            run_notes(config).usage_errors.append(str(error))
        return []
    if rig is None:
        return []
    fit = rig.select(family=hardware["family"], target=hardware["target"], tags=hardware["tags"])
    each = settings(config).each_board
    return [board.name for board in fit] if each else list(fit.targets)


def _too_many(config: pytest.Config, where: str, expansion: cases.Expansion, boards: list[str]) -> bool:
    count = len(expansion.parameters) * max(1, len(boards))
    limit = settings(config).max_cases
    if count <= limit:
        return False
    on_boards = f" on {len(boards)} boards, {count} cases" if len(boards) > 1 else " cases"
    run_notes(config).usage_errors.append(
        f"{where}{expansion}{on_boards}; ini qc_max_cases allows {limit}. Shorten a list, or raise the limit"
    )
    return True


def check_overrides(config: pytest.Config) -> None:
    """What ``--qc-set`` says to configurations when there are none, or to markers when there are none."""
    notes, wanted, files = run_notes(config), settings(config), run_notes(config).zoo_files
    if wanted.yaml_overrides and not files:
        notes.usage_errors.append(
            f"--qc-set {wanted.yaml_overrides[0]}: no Model-Zoo configuration was collected; name its file"
        )
    yaml_only = all(argument.partition("::")[0].endswith((".yaml", ".yml")) for argument in config.args)
    if wanted.overrides and files and yaml_only:
        key = next(iter(wanted.overrides))
        notes.usage_errors.append(
            f"--qc-set {key}={wanted.overrides[key]}: in a configuration a key stands in a section, such as "
            f"quantization.granularity"
        )


def select_and_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect ``hw`` items that have no board, then put items of one board and image side by side."""
    without = [item for item in items if _needs_board(item) and not wanted_board(item)]
    if without and not run_notes(config).usage_errors:
        _leave_out(config, items, without)
    if run_notes(config).usage_errors:
        items.clear()
        if not hasattr(config, "workeroutput"):
            raise pytest.UsageError("\n".join(run_notes(config).usage_errors))
        return
    on_board = [item for item in items if _needs_board(item)]
    items[:] = [*(item for item in items if not _needs_board(item)), *_side_by_side(on_board)]


def expected(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """The node ids of those items that this run, or another job of a matrix, should run: all but those that
    ``-m`` leaves out, and those for which there is no board. What else deselects may be how jobs share them.
    """
    wanted = Expression.compile(config.option.markexpr) if config.option.markexpr else None
    return [
        item.nodeid
        for item in items
        if (wanted is None or wanted.evaluate(_matcher(item)))
        and not (_needs_board(item) and not wanted_board(item))
    ]


def _matcher(item: pytest.Item) -> Callable[..., bool]:
    """What ``-m`` says of an item: whether it has a marker of that name, with these keyword arguments."""

    def has(name: str, /, **given: object) -> bool:
        marks = item.iter_markers(name)
        return any(all(mark.kwargs.get(key) == value for key, value in given.items()) for mark in marks)

    return has


def _needs_board(item: pytest.Item) -> bool:
    return BOARD in getattr(item, "fixturenames", ())


def _side_by_side(items: list[pytest.Item]) -> list[pytest.Item]:
    """Grouped by board, then by image; boards, images and items in order of first appearance."""
    boards: dict[str, dict[object, list[pytest.Item]]] = {}
    for item in items:
        case = parameter(item, CASE)
        image = (case.artefact, case.model, case.data, case.id, case.folder) if case is not None else None
        boards.setdefault(wanted_board(item), {}).setdefault(image, []).append(item)
    return [item for images in boards.values() for group in images.values() for item in group]


def _leave_out(config: pytest.Config, items: list[pytest.Item], without: list[pytest.Item]) -> None:
    """Deselect items that cannot have a board; a usage error when nothing else was asked for."""
    rig = inventory(config)
    has_rig = rig is not None
    reason = (
        f"no board of the rig matches the hw marker of {without[0].nodeid}{_asked(without[0])}; the rig has "
        f"{', '.join(f'{board.name} ({board.family}, {board.target})' for board in rig)}"
        if rig is not None
        else "there is no rig; give --qc-rig virtual or --qc-rig FILE, or put a boards.toml into rootdir"
    )
    count = counted(len(without), "hw test")
    if settings(config).require_hw:
        run_notes(config).usage_errors.append(f"--qc-require-hw: {count} cannot run: {reason}")
    elif not has_rig and len(without) == len(items) and _asks_for_hw(config):
        run_notes(config).usage_errors.append(f"-m {config.option.markexpr!r} selects {count}, but {reason}")
    run_notes(config).left_out[reason] = len(without)
    config.hook.pytest_deselected(items=without)
    gone = set(without)
    items[:] = [item for item in items if item not in gone]


def _asked(item: pytest.Item) -> str:
    wanted = markers.hardware(markers.marks(item, "hw"))
    named = [f"{key}={wanted[key]!r}" for key in ("family", "target", "tags") if wanted[key]]
    return f" ({', '.join(named)})" if named else ""


def _asks_for_hw(config: pytest.Config) -> bool:
    words = str(getattr(config.option, "markexpr", "")).replace("(", " ").replace(")", " ").split()
    return "hw" in words
