"""``Cause``: why integers differ or accuracy is low, with the evidence, or as a suspicion without any."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Cause:
    """``code`` is an entry of the catalogue or ``UNKNOWN``; ``text`` says what exactly it is here.

    ``evidence`` is what was computed again or counted, and gives what was seen; without it the cause is a
    suspicion only.
    """

    code: str
    text: str
    evidence: str = ""

    @property
    def proven(self) -> bool:
        """Whether it may be named without *perhaps*."""
        return bool(self.evidence) and self.code != UNKNOWN
