"""Tables of cycles by class of instruction: data beside the code that knows the classes, with sources."""

from __future__ import annotations

import csv
from pathlib import Path

LOW, HIGH = "low", "high"
BOUNDS = (LOW, HIGH)


def read_table(path: Path) -> dict[str, dict[str, int]]:
    """``{bound: {class: cycles}}``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {bound: {row["class"]: int(row[bound]) for row in rows} for bound in BOUNDS}
