"""Which samples of one set test: by id and seed, so that every machine makes the same choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.data.clips import clips
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.data.subset import chosen
from pytest_quantcheck.errors import UsageError


@dataclass(frozen=True)
class Split:
    """``fraction`` of the samples, of every class alike, test; the others calibrate.

    Samples of one clip or recording stay together. With 0 all samples do both, and a verdict says so.
    """

    fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.fraction, bool) or not 0 <= self.fraction < 1:
            raise UsageError(f"split={self.fraction}: allowed: a fraction from 0 up to, not including, 1")

    def __call__(self, samples: Samples) -> tuple[Samples, Samples]:
        """Those that calibrate and those that test."""
        if not self.fraction:
            return samples, samples
        groups = clips(samples.names)
        members = groups.members()
        if len(members) < 2:
            raise UsageError(
                f"there is {samples.names[0]} only, of which no part can be held out to test; give more, "
                "a test set of its own, or split=0"
            )
        labels = samples.labels
        of_groups = None if labels is None else [labels[each[0]] for each in members]
        count = min(max(1, round(self.fraction * len(members))), len(members) - 1)
        test = set(chosen(groups.names, of_groups, count, self.seed))
        return self._of(samples, members, [i for i in range(len(members)) if i not in test]), self._of(
            samples, members, sorted(test)
        )

    def _of(self, samples: Samples, members: Sequence[np.ndarray], groups: Sequence[int]) -> Samples:
        return samples.take(np.sort(np.concatenate([members[i] for i in groups])))
