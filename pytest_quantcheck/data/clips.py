"""Clips: recordings that were cut into several samples, whose ids are ``clip#patch``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.numerics.arrays import Array, IntArray


@dataclass(frozen=True, eq=False)
class Clips:
    """``names``: the K clips in the order in which they appear; ``of``: the clip of each sample, (N,)."""

    names: tuple[str, ...]
    of: IntArray

    def members(self) -> list[IntArray]:
        """The positions of each clip's samples."""
        order = np.argsort(self.of, kind="stable")
        ends = np.cumsum(np.bincount(self.of, minlength=len(self.names)))
        return np.split(order, ends)[: len(self.names)]


def clips(ids: Sequence[str]) -> Clips:
    """The clips of N samples: an id up to its last ``#`` names the clip; without one the sample is a clip."""
    positions: dict[str, int] = {}
    of = [positions.setdefault(each.rpartition("#")[0] or each, len(positions)) for each in ids]
    return Clips(tuple(positions), np.asarray(of, dtype=np.int64))


def samples_of_clips(samples: Samples, truth: Array) -> Samples:
    """Each clip as one sample that stands for it where content is compared: its inputs are a digest of
    those of its patches, in any order, (K, 32) uint8; ``truth`` is (K, ...).
    """
    found = clips(samples.names)
    digests = [
        hashlib.sha256(b"".join(sorted(samples.input_digests[at] for at in each))).digest()
        for each in found.members()
    ]
    x = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)
    return Samples(x, truth, found.names)
