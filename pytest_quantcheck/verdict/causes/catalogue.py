"""The catalogue of real faults: every cause that can be named, by its code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_quantcheck.verdict.causes.cause import UNKNOWN, Cause
from pytest_quantcheck.verdict.causes.entries.data import DATA
from pytest_quantcheck.verdict.causes.entries.entry import Entry
from pytest_quantcheck.verdict.causes.entries.integers import INTEGERS
from pytest_quantcheck.verdict.causes.entries.rig import RIG

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in (*INTEGERS, *DATA, *RIG)}

_UNKNOWN_REMEDY = (
    "Compare the named operator's kernel, constants and parameters on the device with the model file; "
    "quantcheck compare shows other samples."
)


def remedy_of(code: str) -> str:
    """What to do next about a cause; where it is unknown, where to look."""
    return CATALOGUE[code].remedy if code != UNKNOWN else _UNKNOWN_REMEDY


def remedied(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Each cause with what to do about it."""
    return tuple(each if each.remedy else replace(each, remedy=remedy_of(each.code)) for each in causes)
