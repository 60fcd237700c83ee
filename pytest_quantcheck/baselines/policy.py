"""``Policy``: how a run of tests treats baselines: what is tolerated, written, or fails for being new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.baselines.tolerance import USUAL, Tolerance


@dataclass(frozen=True)
class Policy:
    """``update``: nothing is written (empty), what is ``new``, or ``all``. ``ci``: new values fail."""

    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    update: str = ""
    ci: bool = False

    def tolerance(self, metric: str) -> Tolerance:
        """What is tolerated where the check does not say; ``accuracy of boxes`` goes by ``accuracy``, too."""
        for name in (metric, metric.partition(" of ")[0]):
            for table in (self.tolerances, USUAL):
                if name in table:
                    return table[name]
        return Tolerance()

    def settle(self, change: Change, *, release: bool = False) -> Change:
        """The change as this run treats it: whether the value is written, and what to do where it is not.

        ``release``: it is beside a value that no run can write, such as that of a tag.
        """
        if change.state == "unknown":
            return change
        if self.update == "all" or (self.update == "new" and change.state == "new"):
            return replace(change, text=f"to be stored: {change.text}", written=True)
        return replace(change, text=f"{change.text}{_remedy(change, release=release)}")

    def passed(self, change: Change) -> bool | None:
        """Whether a check may pass with this change; None where nothing is judged by it."""
        if change.written or change.state in ("same", "improvement"):
            return True
        if change.state == "unknown":
            return None
        if change.state == "new":
            return False if self.ci else None
        return False


def _remedy(change: Change, *, release: bool) -> str:
    if change.state == "new":
        return "; run with --qc-update-new, and commit the file"
    if change.state == "regression" and release:
        return (
            ". If that is not intended, --qc-compare OLD.tflite runs the old model beside the new one. If it "
            f"is, allow it until the next release: baseline={{{change.metric!r}: {_that_allows(change)}}}"
        )
    if change.state in ("regression", "stale"):
        return ". If that is intended, store the new value with --qc-update"
    return ""


def _that_allows(change: Change) -> str:
    """A tolerance, rounded up, that a change does not exceed."""
    lost = abs((change.value or 0) - (change.stored or 0))
    return str(ceil(lost)) if lost >= 1 else f"{ceil(round(lost * 1000, 6)) / 1000:g}"
