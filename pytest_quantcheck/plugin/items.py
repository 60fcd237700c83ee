"""How to tell an item that uses our fixtures, and what it was parametrized with.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# The two fixtures that carry parameters; every fixture of ours needs the third.
CASE, BOARD, SESSION = "quant_case", "quant_board", "quantcheck_session"


def is_ours(test: pytest.Item | pytest.Metafunc) -> bool:
    """Whether a test uses any fixture of this plug-in (a user's fixture of the same name is not ours)."""
    return SESSION in getattr(test, "fixturenames", ())


def runs_tflite(item: pytest.Item) -> bool:
    """Whether an item will have TFLite models run on the host: it has a gate, and names no ONNX model."""
    case = parameter(item, CASE) if "gate" in getattr(item, "fixturenames", ()) else None
    return case is not None and not (case.artefact or case.model).endswith(".onnx")


def parameter(item: pytest.Item, name: str) -> Any:
    """The value with which an item was parametrized; None when it was not."""
    callspec = _callspec(item)
    return callspec.params.get(name) if callspec is not None else None


def _callspec(item: pytest.Item) -> Any:
    """``params`` and ``id`` of a parametrized function, or of an item that is none (``StepItem.spec``)."""
    return getattr(item, "callspec", None) or getattr(item, "spec", None)


def function_key(item: pytest.Item) -> tuple[str, str]:
    """Where an item's baselines are: the file relative to rootdir (``tests/baselines/test_kws.json``), and
    the test function in it (``test_it``, ``TestClass::test_it``).
    """
    file = _baselines_of(item.path, item.config.rootpath)
    module = item.getparent(pytest.File)  # type: ignore[type-abstract]
    name = getattr(item, "originalname", None) or item.name
    function = f"{item.nodeid.removesuffix(item.name)}{name}"
    within = function.removeprefix(f"{module.nodeid}::") if module is not None else function
    return file, within


@cache
def _baselines_of(module: Path, root: Path) -> str:
    path = module.parent / "baselines" / f"{module.stem}.json"
    return Path(os.path.relpath(path, root)).as_posix()


def case_without_board(item: pytest.Item) -> str:
    """An item's id in brackets without its board or target; empty when nothing else is there."""
    callspec = _callspec(item)
    if callspec is None:
        return ""
    whole, board, case = str(callspec.id), wanted_board(item), parameter(item, CASE)
    together = f"{getattr(case, 'id', '')}-{board}"  # the two are parametrized one after the other
    if board and case is not None and together in whole:
        return whole.replace(together, case.id, 1).strip("-")
    return re.sub(rf"(^|-){re.escape(board)}(-|$)", r"\1", whole, count=1).strip("-") if board else whole


def case_of(item: pytest.Item) -> str:
    """What tables call an item: its name, or ``case``, which tells steps of several files apart."""
    return str(getattr(item, "case", item.name))


def wanted_board(item: pytest.Item | None) -> str:
    """Target (or board name) an item wants; empty when it wants none."""
    return str(parameter(item, BOARD) or "") if item is not None else ""
