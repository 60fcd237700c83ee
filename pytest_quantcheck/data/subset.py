"""A few samples that stand for all: chosen by id and seed, every class in proportion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.errors import UsageError


def subset(samples: Samples, count: int, seed: int = 0) -> tuple[int, ...]:
    """Positions of ``count`` samples, ascending. Of each class (``Samples.labels``; one class without labels)
    its share is taken, by largest remainders, the samples ranked by the SHA-256 of ``seed:id``.

    The choice depends on the seed and on the set of ids and labels, never on their order.
    """
    return chosen(samples.names, samples.labels, count, seed)


MOST_AT_HAND = 64


def at_hand(samples: Samples) -> Samples:
    """``samples`` for questions that look at all values at once; of those that are read when needed a few."""
    if len(samples) <= MOST_AT_HAND or not any(isinstance(array, Lazy) for array in samples.inputs):
        return samples
    return samples.take(subset(samples, MOST_AT_HAND))


def chosen(names: Sequence[str], labels: Sequence[int] | None, count: int, seed: int = 0) -> tuple[int, ...]:
    """``subset`` of whatever has names, and labels or None."""
    if not 0 < count <= len(names):
        raise UsageError(f"{count} of {len(names)} samples were asked for; allowed: 1 to {len(names)}")
    ranks = [_rank(seed, name) for name in names]
    members: dict[int, list[int]] = {}
    for position, label in enumerate(labels or [0] * len(names)):
        members.setdefault(label, []).append(position)
    exact = {label: count * len(group) / len(names) for label, group in members.items()}
    taken = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(
        exact, key=lambda label: (taken[label] - exact[label], min(ranks[i] for i in members[label]))
    )
    for label in by_remainder[: count - sum(taken.values())]:
        taken[label] += 1
    return tuple(
        sorted(
            position
            for label, group in members.items()
            for position in sorted(group, key=ranks.__getitem__)[: taken[label]]
        )
    )


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
