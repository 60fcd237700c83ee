"""``Entry``: one real fault of the catalogue: what it is, what to do, who reported it, how it is proven."""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("integers", "data", "rig")


@dataclass(frozen=True)
class Entry:
    """``reports`` are public threads, as GitHub writes them (``owner/repository#number``); ``evidence`` says
    what has to be true before the cause is named."""

    code: str
    family: str
    sentence: str
    remedy: str
    reports: tuple[str, ...]
    evidence: str

    def __post_init__(self) -> None:
        assert self.family in FAMILIES, self.family
        assert self.reports, f"{self.code} traces to no report"
