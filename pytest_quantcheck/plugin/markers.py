"""The markers ``quant``, ``hw`` and ``budget``: found on a test, merged key by key, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.cases import CONFIG_KEYS, QUANT_KEYS
from pytest_quantcheck.rig.families import family_names
from pytest_quantcheck.verdict.budget import QUANTITIES, Budget

HW_KEYS = ("family", "target", "tags", "io")
_NOT_TEXT = ("configs", "options", "strict")  # keys that --qc-set cannot say


def marks(node: pytest.Item, name: str) -> list[pytest.Mark]:
    """The markers of that name, nearest first; those of a class before those of its base classes, which
    ``iter_markers`` gives the other way round.
    """
    found: list[pytest.Mark] = []
    for each in reversed(node.listchain()):
        own = [mark for mark in each.own_markers if mark.name == name]
        if isinstance(each, pytest.Class):
            bases = reversed([*enumerate(each.obj.__mro__)])  # the nearest class counts for a shared marker
            rank = {id(mark): at for at, base in bases for mark in _written(base)}
            own.sort(key=lambda mark: rank.get(id(mark), -1))
        found += own
    return found


def _written(base: type) -> list[pytest.Mark]:
    """The markers on a class itself."""
    given: Any = base.__dict__.get("pytestmark", [])
    written: list[Any] = given if isinstance(given, list) else [given]
    return [getattr(mark, "mark", mark) for mark in written]


def merge(name: str, marks: Sequence[pytest.Mark], allowed: Sequence[str]) -> dict[str, Any]:
    """One dict from the markers called ``name``, given nearest first: the nearest wins, key by key."""
    merged: dict[str, Any] = {}
    for mark in reversed(marks):
        if mark.args:
            raise UsageError(f"{name}({mark.args[0]!r}): keys only, such as {name}({allowed[0]}=...)")
        for key, value in mark.kwargs.items():
            if key not in allowed:
                raise UsageError(
                    f"{name}({key}={value!r}): unknown key {key!r}; allowed: {', '.join(allowed)}"
                )
        if name == "quant":
            _replace_configs(merged, mark.kwargs)
        merged.update(mark.kwargs)
    return merged


def _replace_configs(merged: dict[str, Any], nearer: Mapping[str, Any]) -> None:
    """``configs=`` and single keys are two ways to say the same: the nearer marker's way holds."""
    single = [key for key in nearer if key in (*CONFIG_KEYS, "seed")]
    if "configs" in nearer and single:
        raise UsageError(f"quant(configs=..., {single[0]}=...): give either configs or single keys, not both")
    if "configs" in nearer:
        for key in (*CONFIG_KEYS, "seed"):
            merged.pop(key, None)
    elif single:
        merged.pop("configs", None)


def override(merged: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """``--qc-set KEY=VALUE[,VALUE]``: as if the nearest marker of all said so."""
    nearest: dict[str, Any] = {}
    for key, text in overrides.items():
        if key not in QUANT_KEYS or key in _NOT_TEXT:
            allowed = ", ".join(k for k in QUANT_KEYS if k not in _NOT_TEXT)
            raise UsageError(f"--qc-set {key}={text}: unknown key {key!r}; allowed: {allowed}")
        values = text.split(",")
        nearest[key] = [_plain(key, value) for value in values]
    result = dict(merged)
    _replace_configs(result, nearest)
    result.update(nearest)
    return result


def _plain(key: str, text: str) -> object:
    """A number or truth value where the key takes one; other text stays text and is refused later."""
    if key == "optimize":
        return {"true": True, "false": False}.get(text.lower(), text)
    return int(text) if key == "seed" and text.isdigit() else text


def hardware(marks: Sequence[pytest.Mark]) -> dict[str, Any]:
    """The merged ``hw`` marker, checked: ``family``, ``target``, ``tags`` (a tuple), ``io``."""
    merged = merge("hw", marks, HW_KEYS)
    for key in ("family", "target"):
        if not isinstance(merged.setdefault(key, ""), str):
            raise UsageError(f"hw({key}={merged[key]!r}): allowed: a name")
    if merged["family"] and merged["family"] not in family_names():
        installed = ", ".join(family_names()) or "none"
        raise UsageError(f"hw(family={merged['family']!r}) is not known; installed: {installed}")
    tags = merged.get("tags", ())
    tags = (tags,) if isinstance(tags, str) else tuple(tags)
    if not all(isinstance(tag, str) for tag in tags):
        raise UsageError(f"hw(tags={merged['tags']!r}): allowed: a tag or a list of tags")
    if merged.setdefault("io", "core") not in ("core", "all"):
        raise UsageError(f"hw(io={merged['io']!r}): allowed: 'core' (one case per integer core), 'all'")
    return {**merged, "tags": tags}


def budget(marks: Sequence[pytest.Mark]) -> Budget | None:
    """The merged ``budget`` marker, checked; None when there is none."""
    merged = merge("budget", marks, tuple(QUANTITIES))
    return Budget(merged) if marks else None
