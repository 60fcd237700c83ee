"""Finds chip families: plug-ins named by the entry-point group ``quantcheck.rigs``, imported on first use."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.rig.board import Family

GROUP = "quantcheck.rigs"


def family_names() -> tuple[str, ...]:
    """Names of all installed families, sorted; imports none of them."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


@cache
def family(name: str) -> Family:
    """The family called ``name``; its plug-in is imported now.

    Raises ``UsageError`` for an unknown name and for a plug-in that cannot be imported, with a
    special word for a folder of the user's own that hides the plug-in's package.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _load(point)
    raise UsageError(f"family={name!r} is not known; installed: {', '.join(family_names()) or 'none'}")


def _load(point: EntryPoint) -> Family:
    try:
        loaded = point.load()
    except QuantcheckError:
        raise
    except (ImportError, AttributeError) as error:
        raise UsageError(_explain(point, error)) from error
    if getattr(loaded, "name", None) != point.name or not callable(getattr(loaded, "open", None)):
        raise UsageError(
            _explain(point, TypeError(f"{point.value} is not a board family called {point.name!r}"))
        )
    return cast(Family, loaded)


def _explain(point: EntryPoint, error: Exception) -> str:
    """Why a plug-in could not be imported; recognises a package of the same name in front of it."""
    owner = point.dist.name if point.dist is not None else "its distribution"
    hidden = _hidden_by(point.module)
    if hidden:
        package = point.module.partition(".")[0]
        return (
            f"the board family {point.name!r} of {owner} lives in the package '{package}', but Python finds "
            f"another '{package}' first: {hidden}. Rename that folder, or keep its parent off sys.path "
            f"(in pytest: --import-mode=importlib and no conftest.py beside it)."
        )
    return f"the board family {point.name!r} of {owner} ({point.value}) cannot be imported: {error}"


def _hidden_by(module: str) -> str:
    """The folder of a top-level package that does not contain ``module``, else an empty string."""
    package, _, rest = module.partition(".")
    top = importlib.util.find_spec(package)
    if top is None or not rest:
        return ""
    try:
        found = importlib.util.find_spec(module)
    except ImportError:
        found = None
    if found is not None:
        return ""
    folders = list(top.submodule_search_locations or ())
    return folders[0] if folders else str(top.origin)
