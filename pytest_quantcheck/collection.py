"""Collection: turns markers into items, gives ``hw`` and ``host``, deselects and orders.

Standard library and pytest at the top; the rest is imported when a test uses the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_quantcheck import options
from pytest_quantcheck.errors import QuantcheckError

if TYPE_CHECKING:
    from pytest_quantcheck.cases import Expansion

# The two fixtures that carry parameters; everything of ours needs the third.
CASE, BOARD, SESSION = "quant_case", "quant_board", "quantcheck_session"
_NOTES = pytest.StashKey["Notes"]()
_WORKER_KEY = "quantcheck_notes"
Result = TypeVar("Result")


class Notes:
    """What collection has to say to the controlling process: usage errors, and items left out by reason."""

    def __init__(self) -> None:
        self.usage_errors: list[str] = []
        self.left_out: dict[str, int] = {}


def notes(config: pytest.Config) -> Notes:
    return config.stash.setdefault(_NOTES, Notes())


def is_ours(fixturenames: Collection[str]) -> bool:
    """Whether a test uses any fixture of this plug-in (a fixture of the same name is not ours)."""
    return SESSION in fixturenames


def mark(item: pytest.Item) -> None:
    """Give ``hw`` to items that use ``board``, ``host`` to other items that use our fixtures."""
    names = getattr(item, "fixturenames", ())
    if BOARD in names:
        if item.get_closest_marker("hw") is None:
            item.add_marker("hw")
    elif is_ours(names) and item.get_closest_marker("hw") is None:
        item.add_marker("host")


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test function its cases and its boards."""
    from pytest_quantcheck import cases

    config = metafunc.config
    settings = config.stash[options.SETTINGS]
    where = f"{metafunc.definition.nodeid}: "
    on_board = BOARD in metafunc.fixturenames
    hardware = _checked(where, lambda: cases.hardware(list(metafunc.definition.iter_markers("hw"))))
    expansion = None
    if CASE in metafunc.fixturenames:
        marks = list(metafunc.definition.iter_markers("quant"))
        if not marks:
            raise pytest.Collector.CollectError(
                f"{where}uses quantcheck's fixtures without a quant marker; add "
                f'@pytest.mark.quant(model="model.h5", data="module:function")'
            )
        merged = _checked(
            where, lambda: cases.override(cases.merge("quant", marks, cases.QUANT_KEYS), settings.overrides)
        )
        collapse = on_board and hardware["io"] == "core"
        folder = str(metafunc.definition.path.parent)
        expansion = _checked(where, lambda: cases.expand(merged, folder, collapse_edges=collapse))
    boards = _boards(config, hardware) if on_board else []
    if expansion is not None:
        if _too_many(config, where, expansion, boards):
            return
        parameters = [pytest.param(p.case, marks=p.marks, id=p.case.id) for p in expansion.parameters]
        metafunc.parametrize(CASE, parameters, indirect=True)
    if boards:
        metafunc.parametrize(BOARD, boards, ids=boards, indirect=True)


def _checked(where: str, work: Callable[[], Result]) -> Result:
    """Do ``work``; what it finds wrong becomes a collection error that names the test."""
    try:
        return work()
    except QuantcheckError as error:
        raise pytest.Collector.CollectError(f"{where}{error}") from error


def _boards(config: pytest.Config, hardware: Mapping[str, Any]) -> list[str]:
    """Targets of the rig that match the ``hw`` marker, or board names with ``--qc-each-board``."""
    try:
        rig = options.inventory(config)
    except QuantcheckError as error:
        if str(error) not in notes(config).usage_errors:
            notes(config).usage_errors.append(str(error))
        return []
    if rig is None:
        return []
    fit = rig.select(family=hardware["family"], target=hardware["target"], tags=hardware["tags"])
    each = config.stash[options.SETTINGS].each_board
    return [board.name for board in fit] if each else list(fit.targets)


def _too_many(config: pytest.Config, where: str, expansion: Expansion, boards: list[str]) -> bool:
    count = len(expansion.parameters) * max(1, len(boards))
    limit = config.stash[options.SETTINGS].max_cases
    if count <= limit:
        return False
    on_boards = f" on {len(boards)} boards, {count} cases" if len(boards) > 1 else " cases"
    notes(config).usage_errors.append(
        f"{where}{expansion}{on_boards}; ini qc_max_cases allows {limit}. Shorten a list, or raise the limit"
    )
    return True


def select_and_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect ``hw`` items that have no board, then put items of one board and image side by side."""
    without = [item for item in items if _needs_board(item) and not _board_of(item)]
    if without:
        _leave_out(config, items, without)
    if notes(config).usage_errors:
        items.clear()
        if not hasattr(config, "workeroutput"):
            raise pytest.UsageError("\n".join(notes(config).usage_errors))
        return
    on_board = [item for item in items if _needs_board(item)]
    items[:] = [*(item for item in items if not _needs_board(item)), *_side_by_side(on_board)]


def _needs_board(item: pytest.Item) -> bool:
    return BOARD in getattr(item, "fixturenames", ())


def _parameter(item: pytest.Item, name: str) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec is not None else None


def _board_of(item: pytest.Item) -> str:
    return str(_parameter(item, BOARD) or "")


def wanted_board(item: pytest.Item | None) -> str:
    """Target (or board name) an item wants; empty when it wants none."""
    return _board_of(item) if item is not None else ""


def _side_by_side(items: list[pytest.Item]) -> list[pytest.Item]:
    """Grouped by board, then by image; boards, images and items in order of first appearance."""
    boards: dict[str, dict[object, list[pytest.Item]]] = {}
    for item in items:
        case = _parameter(item, CASE)
        image = (case.artefact, case.model, case.data, case.id, case.folder) if case is not None else None
        boards.setdefault(_board_of(item), {}).setdefault(image, []).append(item)
    return [item for images in boards.values() for group in images.values() for item in group]


def _leave_out(config: pytest.Config, items: list[pytest.Item], without: list[pytest.Item]) -> None:
    """Deselect items that cannot have a board; a usage error when nothing else was asked for."""
    has_rig = not notes(config).usage_errors and options.inventory(config) is not None
    reason = (
        "no board of the rig matches their hw marker"
        if has_rig
        else "there is no rig; give --qc-rig virtual or --qc-rig FILE, or put a boards.toml into rootdir"
    )
    count = f"{len(without)} hw test{'s' if len(without) > 1 else ''}"
    if config.stash[options.SETTINGS].require_hw:
        notes(config).usage_errors.append(f"--qc-require-hw: {count} cannot run: {reason}")
    elif not has_rig and len(without) == len(items) and _asks_for_hw(config):
        notes(config).usage_errors.append(f"-m {config.option.markexpr!r} selects {count}, but {reason}")
    notes(config).left_out[reason] = len(without)
    config.hook.pytest_deselected(items=without)
    gone = set(without)
    items[:] = [item for item in items if item not in gone]


def _asks_for_hw(config: pytest.Config) -> bool:
    words = str(getattr(config.option, "markexpr", "")).replace("(", " ").replace(")", " ").split()
    return "hw" in words


def send(config: pytest.Config) -> None:
    """In an xdist worker: hand the notes to the controlling process."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        found = notes(config)
        output[_WORKER_KEY] = {"usage_errors": found.usage_errors, "left_out": found.left_out}


def receive(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """In the controlling process: what a worker said. All workers collect the same items."""
    said = output.get(_WORKER_KEY)
    if said:
        found = notes(config)
        found.usage_errors, found.left_out = list(said["usage_errors"]), dict(said["left_out"])


def raise_workers_usage_errors(config: pytest.Config) -> None:
    """A worker cannot end the run as a usage error; the controlling process does it for them."""
    if not hasattr(config, "workeroutput") and notes(config).usage_errors:
        raise pytest.UsageError("\n".join(notes(config).usage_errors))
