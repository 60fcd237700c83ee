"""How texts for people name what they count."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 sample``, ``2 samples``, ``2 retries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"
