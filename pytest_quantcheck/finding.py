"""``Finding``: something a reader should know about a model or its data, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """``code`` is stable and machine-readable, ``sentence`` says what is, ``remedy`` what to do.

    An ``error`` means that the artefact is not what was asked for, or cannot work.
    """

    severity: str
    code: str
    sentence: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity!r} is not known; allowed: {', '.join(SEVERITIES)}")

    def __str__(self) -> str:
        return f"{self.severity}: {self.sentence}" + (f" {self.remedy}" if self.remedy else "")

    def to_dict(self) -> dict[str, str]:
        """Plain strings, for manifests."""
        return asdict(self)
