"""How to tell an item that uses our fixtures, and what it was parametrized with.

Part of what every pytest run imports: standard library and pytest only.
"""

from __future__ import annotations

from typing import Any

import pytest

# The two fixtures that carry parameters; every fixture of ours needs the third.
CASE, BOARD, SESSION = "quant_case", "quant_board", "quantcheck_session"


def is_ours(test: pytest.Item | pytest.Metafunc) -> bool:
    """Whether a test uses any fixture of this plug-in (a user's fixture of the same name is not ours)."""
    return SESSION in getattr(test, "fixturenames", ())


def parameter(item: pytest.Item, name: str) -> Any:
    """The value with which an item was parametrized; None when it was not."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec is not None else None


def wanted_board(item: pytest.Item | None) -> str:
    """Target (or board name) an item wants; empty when it wants none."""
    return str(parameter(item, BOARD) or "") if item is not None else ""
