"""Plug-ins of any distribution: named by an entry-point group, imported one by one and only when needed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from pytest_quantcheck.errors import PluginError, QuantcheckError, UsageError


def names(group: str) -> tuple[str, ...]:
    """Names of all installed plug-ins of a group, sorted; imports none of them."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def load(group: str, key: str, name: str, fits: Callable[[object], bool]) -> object:
    """The plug-in called ``name``, imported now; ``key`` is what users write before the name.

    Raises ``UsageError`` for an unknown name, ``PluginError`` for one that cannot be imported or does not
    ``fit``, with a special word for a folder of the user's own that hides the plug-in's package.
    """
    for point in entry_points(group=group):
        if point.name == name:
            break
    else:
        installed = ", ".join(names(group)) or "none"
        raise UsageError(f"{key}={name!r} is not known; installed: {installed}")
    try:
        loaded: object = point.load()
    except QuantcheckError:
        raise
    except (Exception, SystemExit) as error:  # the module is a stranger's: it may raise anything
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(_explain(point, key, what)) from error
    if getattr(loaded, "name", None) != point.name or not fits(loaded):
        raise PluginError(_explain(point, key, f"is not a {key} called {point.name!r}"))
    return loaded


def _explain(point: EntryPoint, key: str, what: str) -> str:
    """What is wrong with a plug-in; recognises a package of the same name in front of it."""
    owner = point.dist.name if point.dist is not None else "its distribution"
    hidden = _hidden_by(point.module)
    if hidden:
        package = point.module.partition(".")[0]
        return (
            f"the {key} {point.name!r} of {owner} lives in the package '{package}', but Python finds "
            f"another '{package}' first: {hidden}. Rename that folder, or keep its parent off sys.path "
            f"(in pytest: --import-mode=importlib and no conftest.py beside it)."
        )
    return f"the {key} {point.name!r} of {owner} ({point.value}) {what}. Repair or uninstall {owner}"


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
