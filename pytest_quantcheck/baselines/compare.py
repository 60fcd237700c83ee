"""A measured value beside the stored one: what they have in common, whether they compare, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.baselines.measured import Measured
from pytest_quantcheck.baselines.tolerance import Tolerance
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.baselines.vector_set import Shared, VectorSet, pair
from pytest_quantcheck.wording import counted

_NAMED = 5  # samples that a message names


@dataclass(frozen=True)
class Both:
    """A value now and before, over the samples that both have; the names of those that flipped."""

    now: float
    before: float
    samples: int | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()


def compare(metric: str, now: Measured, stored: Value | None, tolerance: Tolerance) -> Change:
    """What became of ``metric``.

    A score is stale where inputs or truth of samples changed, instructions where inputs did; whatever the
    device counted, where firmware, runtime or clock did. Samples that only one of the two has are left out
    of both where values are known per sample.
    """
    if stored is None:
        text = f"{metric} is new: nothing is stored for it"
        return Change(metric, "new", text, now.value.value)
    if now.counts and (other := _other_device(now.value, stored)):
        return _stale(metric, now, stored, other)
    if now.value.vectors is None or now.kind in ("cycles", "microseconds"):
        return _judge(metric, now, stored, tolerance, Both(now.value.value, stored.value))
    if stored.vectors is None:
        return _stale(metric, now, stored, "the file does not say over which samples it is")
    shared = pair(now.value.vectors, stored.vectors)
    if reason := _other_samples(now, now.value.vectors, shared):
        return _stale(metric, now, stored, reason)
    both = _both(now.value, stored, shared)
    if both is None:
        return _not_the_same_set(metric, now, stored, shared, stored.vectors)
    return _judge(metric, now, stored, tolerance, both)


def _other_device(now: Value, stored: Value) -> str:
    """What changed on the device since the value was stored; empty when nothing did."""
    facts = (
        ("firmware", stored.firmware, now.firmware),
        ("runtime", stored.runtime, now.runtime),
        ("clock", f"{stored.clock_hz:,} Hz", f"{now.clock_hz:,} Hz"),
    )
    return "; ".join(f"the {what} was {old}, is {new}" for what, old, new in facts if old != new)


def _other_samples(now: Measured, vectors: VectorSet, shared: Shared) -> str:
    """What changed about the samples since the value was stored; empty when nothing did."""
    if not shared.now:
        return "no sample of this run is among those of the stored value"
    parts = []
    for what, changed in (("inputs", shared.inputs), ("labels", shared.truth)):
        if changed and (what == "inputs" or now.kind == "score"):
            names = some([vectors.names[at] for at in changed])
            parts.append(f"the {what} of {counted(len(changed), 'sample')} changed ({names})")
    return "; ".join(parts)


def _stale(metric: str, now: Measured, stored: Value, reason: str) -> Change:
    text = (
        f"{metric}: the stored {now.show(stored.value)} is stale: {reason}; now {now.show(now.value.value)}"
    )
    return Change(metric, "stale", text, now.value.value, stored.value)


def _not_the_same_set(metric: str, now: Measured, stored: Value, shared: Shared, before: VectorSet) -> Change:
    """A value over all samples at once says nothing about a part of them."""
    assert now.value.vectors is not None
    more, fewer = len(now.value.vectors) - len(shared.now), len(before) - len(shared.now)
    if now.part and not more:
        text = (
            f"{metric} is stored over {len(before)} samples and is no sum over samples: this part of "
            f"{len(shared.now)} cannot be compared"
        )
        return Change(metric, "unknown", text, now.value.value, stored.value)
    changes = [f"{count} {word}" for count, word in ((more, "new"), (fewer, "gone")) if count]
    return _stale(metric, now, stored, f"of the {len(before)} samples then, {' and '.join(changes)} now")


def _both(now: Value, stored: Value, shared: Shared) -> Both | None:
    """The two values over the shared samples; None where they are over others and cannot be cut down."""
    count = len(shared.now)
    if now.right is not None and stored.right is not None and now.vectors is not None:
        ours = [now.right[at] for at in shared.now]
        theirs = [stored.right[at] for at in shared.before]
        names = [now.vectors.names[at] for at in shared.now]
        lost = sorted(name for name, right, was in zip(names, ours, theirs, strict=True) if was and not right)
        gained = sorted(
            name for name, right, was in zip(names, ours, theirs, strict=True) if right and not was
        )
        return Both(sum(ours) / count, sum(theirs) / count, count, tuple(lost), tuple(gained))
    if now.counts is not None and stored.counts is not None:
        middle = median(now.counts[at] for at in shared.now)
        return Both(middle, median(stored.counts[at] for at in shared.before), count)
    sizes = [len(each.vectors) for each in (now, stored) if each.vectors is not None]
    return None if count < max(sizes) else Both(now.value, stored.value, count)


def _judge(metric: str, now: Measured, stored: Value, tolerance: Tolerance, both: Both) -> Change:
    worse = both.before - both.now if now.higher_is_better else both.now - both.before
    if not tolerance.allows(worse, both.before):
        state, word = "regression", "is worse"
    elif worse < 0 and not tolerance.allows(-worse, both.before):
        state, word = "improvement", "is better"
    else:
        state, word = "same", "holds"
    over = f" on {counted(both.samples, 'sample')}" if both.samples is not None else ""
    text = f"{metric} {word}: {now.show(both.before)} before, {now.show(both.now)} now{over}"
    if worse:
        text += f", {now.show_difference(worse)} {'worse' if worse > 0 else 'better'}"
        if both.before and not now.fraction:
            text += f" ({abs(worse / both.before):.2%})"
    text += f", tolerance {tolerance}"
    if both.lost or both.gained:
        text += f"; {len(both.lost)} lost: {some(both.lost)}; {len(both.gained)} gained: {some(both.gained)}"
    text += "".join(f"; {note}" for note in _notes(now, stored, both.samples))
    return Change(
        metric, state, text, both.now, both.before, str(tolerance), both.samples, both.lost, both.gained
    )


def _notes(now: Measured, stored: Value, samples: int | None) -> list[str]:
    """What the reader should know of a comparison that stands."""
    notes = []
    if stored.model != now.value.model:
        notes.append("the model's bytes changed")
    if samples is not None and now.value.vectors is not None and stored.vectors is not None:
        more, fewer = len(now.value.vectors) - samples, len(stored.vectors) - samples
        if more:
            notes.append(f"{counted(more, 'new sample')} left out")
        if fewer:
            notes.append(f"{counted(fewer, 'stored sample')} not in this run")
    return notes


def some(names: Sequence[str]) -> str:
    """The first few names and how many more; ``none`` for none."""
    if not names:
        return "none"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
