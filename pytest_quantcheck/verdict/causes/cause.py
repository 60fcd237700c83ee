"""``Cause``: why integers differ or accuracy is low, with the evidence, or as a suspicion without any."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"
SHOWN = 2  # causes in a message: the first ones


@dataclass(frozen=True)
class Cause:
    """``code`` is an entry of the catalogue or ``UNKNOWN``; ``text`` says what exactly it is here.

    ``evidence`` is what was computed again or counted, and gives what was seen; without it the cause is a
    suspicion only. ``remedy`` is what to do next (``catalogue.remedied`` adds it).
    """

    code: str
    text: str
    evidence: str = ""
    remedy: str = ""

    @property
    def proven(self) -> bool:
        """Whether it may be named without *perhaps*."""
        return bool(self.evidence) and self.code != UNKNOWN

    @property
    def reason(self) -> str:
        """The cause in words, said as what it is."""
        return f"likely cause: {self.text}" if self.proven else f"cause: unknown; {self.text}"

    def __str__(self) -> str:
        lines = [self.reason]
        lines += [f"evidence: {self.evidence}"] if self.evidence else []
        return "\n".join([*lines, f"what to do: {self.remedy}"] if self.remedy else lines)
