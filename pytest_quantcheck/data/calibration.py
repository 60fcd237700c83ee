"""Which samples calibrate a model: parsed from a short text, chosen by sorted ids and a seed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_quantcheck.errors import UsageError


@dataclass(frozen=True)
class Calibration:
    """``kind``: ``fraction`` (``value`` in (0, 1]), ``count`` (``value`` >= 1) or ``random``."""

    kind: str = "fraction"
    value: float = 1.0
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Calibration:
        """``"10%"``, ``"count:100"``, ``"all"``, ``"random"`` or ``"random:20"``."""
        if text == "all":
            return cls("fraction", 1.0, seed)
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
            percent = float(match[1])
            if not 0 < percent <= 100:
                raise UsageError(f"calibration={text!r}: a fraction lies above 0% and up to 100%")
            return cls("fraction", percent / 100, seed)
        if match := re.fullmatch(r"count:(\d+)", text):
            if int(match[1]) < 1:
                raise UsageError(f"calibration={text!r}: at least one sample is needed")
            return cls("count", int(match[1]), seed)
        if match := re.fullmatch(r"random(?::(\d+))?", text):
            return cls("random", int(match[1] or 100), seed)
        raise UsageError(
            f"calibration={text!r} is not known; allowed: 10%, count:100, all, random, random:20"
        )

    @property
    def id(self) -> str:
        """As it stands in a test id: ``cal10pct``, ``cal100``, ``calrandom``, ``cal10pct-seed7``."""
        body = {
            "fraction": f"cal{self.value * 100:g}pct",
            "count": f"cal{self.value:g}",
            "random": "calrandom" + ("" if self.value == 100 else f"{self.value:g}"),
        }[self.kind]
        return body + (f"-seed{self.seed}" if self.seed else "")
