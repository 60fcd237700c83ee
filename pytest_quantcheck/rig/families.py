"""Finds chip families: plug-ins named by the entry-point group ``quantcheck.rigs``, imported on first use."""

from __future__ import annotations

import warnings
from functools import cache
from typing import cast

from pytest_quantcheck import entry_points
from pytest_quantcheck.errors import PluginError
from pytest_quantcheck.rig.memory import Memory
from pytest_quantcheck.rig.protocols.family import Family
from pytest_quantcheck.rig.protocols.sized import Sized

GROUP = "quantcheck.rigs"


@cache
def family_names() -> tuple[str, ...]:
    """Names of all installed families, sorted; imports none of them."""
    return entry_points.names(GROUP)


@cache
def family(name: str) -> Family:
    """The family called ``name``; its plug-in is imported now.

    Raises ``UsageError`` for an unknown name, ``PluginError`` for a plug-in that cannot be imported.
    """
    loaded = entry_points.load(GROUP, "family", name, lambda f: callable(getattr(f, "open", None)))
    return cast(Family, loaded)


def sound_families() -> tuple[Family, ...]:
    """All families whose plug-ins can be imported; a ``RuntimeWarning`` names each that cannot.

    Raises the first one's ``PluginError`` when none can.
    """
    found: list[Family] = []
    broken: list[PluginError] = []
    for name in family_names():
        try:
            found.append(family(name))
        except PluginError as error:
            broken.append(error)
    if broken and not found:
        raise broken[0]
    for reason in broken:
        warnings.warn(f"left out: {reason}", RuntimeWarning, stacklevel=2)
    return tuple(found)


def memories() -> dict[str, Memory]:
    """What each target of the installed families leaves for models, by target; of families that know it.

    Warns and raises as ``sound_families`` does.
    """
    return {
        target: memory
        for found in sound_families()
        if isinstance(found, Sized)
        for target, memory in found.memory().items()
    }
