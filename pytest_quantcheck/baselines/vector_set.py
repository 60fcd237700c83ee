"""``VectorSet``: which samples a value is over, by name and by content, without the samples themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.runners.run import Vectors

NAME, INPUTS, WHOLE = 12, 8, 8
"""Hexadecimal digits of a fingerprint that stand for a sample's name, its inputs, its inputs and truth."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class VectorSet:
    """Fingerprints of samples, sorted: another order of the same samples makes the same ``VectorSet``.

    ``names`` are the samples' names in that order; empty where the fingerprints were read from a file.
    """

    fingerprints: tuple[str, ...]
    names: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def id(self) -> str:
        """What stands for these vectors in a file."""
        return hashlib.sha256("\n".join(self.fingerprints).encode()).hexdigest()[:12]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where each name's fingerprint stands."""
        return {each[:NAME]: at for at, each in enumerate(self.fingerprints)}

    def __len__(self) -> int:
        return len(self.fingerprints)


@lru_cache(maxsize=16)
def fingerprints(vectors: Vectors) -> tuple[VectorSet, tuple[int, ...]]:
    """The ``VectorSet`` of samples, and where each of them stood. Raw inputs are named by position."""
    samples = Samples(vectors.x) if isinstance(vectors, Raw) else vectors
    made = [
        _hash(name.encode("utf-8", "surrogatepass"), NAME) + inputs.hex()[:INPUTS] + whole.hex()[:WHOLE]
        for name, inputs, whole in zip(samples.names, samples.input_digests, samples.digests, strict=True)
    ]
    order = tuple(sorted(range(len(made)), key=made.__getitem__))
    names = tuple(samples.names[at] for at in order)
    return VectorSet(tuple(made[at] for at in order), names), order


def in_order(values: Sequence[Item], order: Sequence[int]) -> tuple[Item, ...]:
    """One value per sample, sorted as ``fingerprints`` sorts the samples."""
    return tuple(values[at] for at in order)


@dataclass(frozen=True)
class Shared:
    """The samples that two ``VectorSet`` both name: where they stand ``now`` and ``before``, pairwise.

    ``inputs`` and ``truth`` are the positions ``now`` of those whose inputs, or whose truth alone, changed.
    """

    now: tuple[int, ...]
    before: tuple[int, ...]
    inputs: tuple[int, ...]
    truth: tuple[int, ...]


def pair(now: VectorSet, before: VectorSet) -> Shared:
    """Pair samples by name."""
    both = [(at, before.positions[name]) for name, at in now.positions.items() if name in before.positions]

    def changed(part: Callable[[str], str]) -> set[int]:
        return {n for n, b in both if part(now.fingerprints[n]) != part(before.fingerprints[b])}

    inputs = changed(lambda text: text[NAME : NAME + INPUTS])
    truth = changed(lambda text: text[NAME + INPUTS :]) - inputs
    return Shared(
        tuple(n for n, _ in both), tuple(b for _, b in both), tuple(sorted(inputs)), tuple(sorted(truth))
    )


def _hash(text: bytes, digits: int) -> str:
    return hashlib.sha256(text).hexdigest()[:digits]
