"""``Checked``: what became of one class of a student's in one task."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.lab_study.quality import Quality


@dataclass(frozen=True, eq=False)
class Checked:
    """One class in one task: its ``row``, and, where it ran, ``quality`` and milliseconds per inference, the
    first one left out.
    """

    task: str
    name: str
    row: Row
    quality: Quality | None = None
    mean_ms: float = float("nan")
