"""What the inventory says of a device that speaks MLPerf Tiny's protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.rig.entry import BoardEntry

RAW, PICTURE, FLOAT = "raw", "uint8", "float32"
SAMPLES = (RAW, PICTURE, FLOAT)
_OF_BENCHMARKS: Mapping[str, str] = {"kws01": RAW, "vww01": PICTURE, "ic01": PICTURE, "ad01": FLOAT}
_MOST = 1_000_000


@dataclass(frozen=True)
class MlperfSettings:
    """``[board.protocol_settings]``. ``model``: what the device must say it holds (empty: anything).
    ``samples``: how a sample travels (empty: as the benchmark's model wants it, ``raw`` for others).
    """

    model: str = ""
    samples: str = ""
    iterations: int = 1
    warmups: int = 0

    @classmethod
    def of(cls, entry: BoardEntry) -> MlperfSettings:
        """Those of ``entry``. ``UsageError`` names key, value and what is allowed."""
        given, where = entry.protocol_settings, f"{entry.where}: board {entry.name!r}"
        known = [each.name for each in fields(cls)]
        for key, value in given.items():
            if key not in known:
                raise UsageError(
                    f"{where}: [board.protocol_settings] {key} = {value!r} is not known to the protocol "
                    f"mlperf_tiny; allowed: {', '.join(known)}"
                )
        samples = given.get("samples", "")
        if samples not in ("", *SAMPLES):
            raise UsageError(f"{where}: samples = {samples!r}; allowed: {', '.join(SAMPLES)}")
        return cls(
            given.get("model", ""),
            samples,
            _count(where, given, "iterations", 1),
            _count(where, given, "warmups", 0),
        )

    def samples_of(self, model: str) -> str:
        """How samples travel to a device that holds ``model``."""
        return self.samples or _OF_BENCHMARKS.get(model, RAW)


def _count(where: str, given: Mapping[str, str], key: str, least: int) -> int:
    value = given.get(key, str(least))
    if not re.fullmatch(r"\d{1,7}", value) or not least <= int(value) <= _MOST:
        raise UsageError(f'{where}: {key} = {value!r}; allowed: "{least}" to "{_MOST}"')
    return int(value)
