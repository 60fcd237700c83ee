"""``Change``: one measured value beside the stored one, and what that means."""

from __future__ import annotations

from dataclasses import dataclass

STATES = ("regression", "stale", "new", "unknown", "improvement", "same")
"""From bad to good. ``stale``: what the stored value is bound to has changed, so that it says nothing now.
``unknown``: the two cannot be compared in this run, for no fault of the stored value."""


@dataclass(frozen=True)
class Change:
    """``value`` now and ``stored`` before, both over the ``samples`` that the two have in common.

    ``text`` says it in words. ``lost`` and ``gained`` are the names of samples that were right before, or are
    right now, only. ``written``: the value goes into the file, since it was declared to be right. ``newer``:
    the stored value is the committed one, since the release that was asked for has none that compares.
    """

    metric: str
    state: str
    text: str
    value: float | None = None
    stored: float | None = None
    tolerance: str = ""
    samples: int | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    written: bool = False
    newer: bool = False


def worst(changes: tuple[Change, ...]) -> Change | None:
    """The change that matters most; None where there is none."""
    return min(changes, key=lambda each: STATES.index(each.state), default=None)
