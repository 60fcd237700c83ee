"""``Book``: the baselines of one test under one case, as its checks use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.baselines.compare import compare
from pytest_quantcheck.baselines.content import Content, Key
from pytest_quantcheck.baselines.measured import Measured
from pytest_quantcheck.baselines.policy import Policy
from pytest_quantcheck.baselines.tolerance import Tolerance
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.errors import UsageError


@dataclass
class Book:
    """What is ``stored`` for a test, and what its checks have ``measured``.

    ``stored`` is asked when a check first needs it. An empty ``case`` is replaced by the model's id. Where
    ``release`` names one (``git:v1.2``), ``stored`` is what it has, and ``committed`` is asked about values
    that are newer than it. ``cases`` are all cases of the function in this run, None where some
    were left out.
    """

    function: str
    case: str
    stored: Callable[[], Content]
    policy: Policy = field(default_factory=Policy)
    release: str = ""
    committed: Callable[[], Content] = Content
    cases: Callable[[], frozenset[str] | None] = lambda: None
    measured: Content = field(default_factory=Content)

    def judge(
        self,
        place: str,
        name: str,
        values: Mapping[str, Measured],
        tolerances: Mapping[str, Tolerance | None],
        before: Mapping[str, Value] | None = None,
    ) -> list[Change]:
        """What became of each metric at ``place``; ``name`` is what the check calls itself.

        ``tolerances`` go before the policy's; None leaves a metric out (it is stored all the same). A stored
        metric that this run does not have is ``unknown``. ``before`` takes the place of stored values. Raises
        ``UsageError`` where two checks of a test are the same to the file.
        """
        key = Key(self.function, f"{self.case} ({name})" if name else self.case, place)
        if key in self.measured.values:
            raise UsageError(
                f"two checks of this test have one baseline, {key}; tell them apart by gate.check(name=...)"
            )
        self.measured.values[key] = {metric: each.value for metric, each in values.items()}
        stored = self.stored().find(key) if before is None else before
        newer = self.committed().find(key) if before is None and self.release else {}
        changes = []
        for metric, each in values.items():
            tolerance = tolerances.get(metric, self.policy.tolerance(metric))
            if tolerance is not None:
                tolerance.check(metric, fraction=each.fraction)
                change = compare(metric, each, stored.get(metric), tolerance)
                if change.state == "new" and before is None and self.release:
                    change = self._beside_replaced(change, key, each, tolerance)
                if change.state in ("new", "stale") and metric in newer:
                    change = self._since(change, compare(metric, each, newer[metric], tolerance))
                fixed = not change.newer and (before is not None or bool(self.release))
                changes.append(self.policy.settle(change, release=fixed))
        for metric in sorted(set(stored) - set(values)):
            if tolerances.get(metric, Tolerance()) is not None:
                text = f"{metric} was {stored[metric].value:g}, but this run does not have it"
                changes.append(Change(metric, "unknown", text, stored=stored[metric].value))
        return changes

    def _beside_replaced(self, new: Change, key: Key, now: Measured, tolerance: Tolerance) -> Change:
        """A new case beside the one of the release whose place it takes: another value in the marker makes
        another case, and what was promised still holds. Unchanged where it takes no place, or is no worse.
        """
        collected = self.cases()
        if collected is None:
            return new
        name = _check_of(key.case)
        left = {f"{each} ({name})" if name else each for each in (*collected, self.case)}
        gone = {
            other.case: values[new.metric]
            for other, values in self.stored().values.items()
            if (other.function, other.place, _check_of(other.case)) == (key.function, key.place, name)
            and other.case not in left
            and new.metric in values
        }
        if not gone:
            return new
        (nearest,) = get_close_matches(key.case, sorted(gone), n=1, cutoff=0.0)
        change = compare(new.metric, now, gone[nearest], tolerance)
        if change.state != "regression":
            return new
        return replace(
            change, text=f"{change.text}; {self.release} has this test as {nearest}, which is gone"
        )

    def _since(self, release: Change, committed: Change) -> Change:
        """The change since the value was committed, which is later than the release."""
        why = "has no such value" if release.state == "new" else f"does not compare ({release.text})"
        text = f"{committed.text}; {self.release} {why}: this is beside the committed value"
        return replace(committed, text=text, newer=True)


def _check_of(case: str) -> str:
    """What ``gate.check(name=)`` said, from a key's case; empty where it said nothing."""
    return case[:-1].rpartition(" (")[2] if case.endswith(")") and " (" in case else ""
