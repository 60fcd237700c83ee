"""Which samples calibrate a model: parsed from a short text, chosen by sorted ids and a seed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_quantcheck.errors import UsageError

ALLOWED = "10%, count:100, all, random, random:20"
MOST_RANDOM = 100_000


@dataclass(frozen=True)
class Calibration:
    """``kind``: ``fraction`` (``value`` in (0, 1]), ``count`` (``value`` >= 1) or ``random``."""

    kind: str = "fraction"
    value: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("fraction", "count", "random"):
            raise UsageError(f"calibration kind {self.kind!r} is not known; allowed: fraction, count, random")
        if self.kind == "fraction" and not 0 < self.value <= 1:
            raise UsageError(f"calibration fraction {self.value!r}: it lies above 0 and up to 1")
        if self.kind != "fraction" and (self.value < 1 or self.value != int(self.value)):
            raise UsageError(
                f"calibration by {self.kind}, {self.value!r}: a whole number of at least one sample"
            )
        if self.kind == "random" and self.value > MOST_RANDOM:
            raise UsageError(f"calibration=random:{self.value}: at most {MOST_RANDOM} samples are drawn")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise UsageError(f"calibration seed {self.seed!r}: a whole number from 0 upwards")

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Calibration:
        """``"10%"``, ``"count:100"``, ``"all"``, ``"random"`` or ``"random:20"``."""
        if text == "all":
            return cls("fraction", 1.0, seed)
        if match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text):
            percent = float(match[1])
            if not 0 < percent <= 100:
                raise UsageError(f"calibration={text!r}: a fraction lies above 0% and up to 100%")
            return cls("fraction", percent / 100, seed)
        if match := re.fullmatch(r"count:([0-9]+)", text):
            if int(match[1]) < 1:
                raise UsageError(f"calibration={text!r}: at least one sample is needed")
            return cls("count", int(match[1]), seed)
        if match := re.fullmatch(r"random(?::([0-9]+))?", text):
            if int(match[1] or 100) < 1:
                raise UsageError(f"calibration={text!r}: at least one sample is needed")
            return cls("random", int(match[1] or 100), seed)
        raise UsageError(f"calibration={text!r} is not known; allowed: {ALLOWED}")

    @property
    def id(self) -> str:
        """As it stands in a test id: ``cal10pct``, ``cal100``, ``calrandom``, ``cal10pct-seed7``."""
        body = {
            "fraction": f"cal{self.value * 100:g}pct",
            "count": f"cal{self.value:g}",
            "random": "calrandom" + ("" if self.value == 100 else f"{self.value:g}"),
        }[self.kind]
        return body + (f"-seed{self.seed}" if self.seed else "")

    def size(self, available: int) -> int:
        """How many samples it takes of ``available``: a fraction is rounded up, so never to none.

        Raises ``UsageError`` when there are none, or fewer than were asked for.
        """
        if available < 1 and self.kind != "random":
            raise UsageError("the calibration set is empty; give at least one calibration sample")
        if self.kind == "fraction":
            # 0.07 * 100 is 7.000000000000001 in binary; the decimal that was written is meant
            return math.ceil(Fraction(str(round(self.value, 12))) * available)
        if self.kind == "count" and self.value > available:
            raise UsageError(
                f"calibration=count:{self.value:g}, but there are {available} calibration samples; "
                f"ask for at most {available}, or for all"
            )
        return int(self.value)


def choose(calibration: Calibration, ids: Sequence[str]) -> tuple[int, ...]:
    """Positions in ``ids`` of the chosen samples, in the order of the sorted ids.

    Samples are ranked by the SHA-256 of ``seed:id`` (UTF-8) and the first ones are taken. So the choice
    depends on the seed and on the set of ids, never on the order in which a file system or a loader
    listed them, and a smaller choice is contained in a larger one of the same seed.
    """
    if calibration.kind == "random":
        raise UsageError("a random calibration draws its own samples; it chooses none")

    def rank(position: int) -> bytes:
        text = f"{calibration.seed}:{ids[position]}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()  # file names may hold any bytes

    ranked = sorted(range(len(ids)), key=rank)
    return tuple(sorted(ranked[: calibration.size(len(ids))], key=ids.__getitem__))
