"""How texts for people name what they count."""

from __future__ import annotations

import re
from collections.abc import Sequence

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def counted(number: int, noun: str) -> str:
    """``1 sample``, ``2 samples``, ``2 retries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"


def first_line(said: str | BaseException) -> str:
    """The first line that is not blank, of a text or of what an error says; the type of an error that says
    nothing.
    """
    line = next((line.strip() for line in str(said).splitlines() if line.strip()), "")
    return line or (type(said).__name__ if isinstance(said, BaseException) else "")


def shortened(names: Sequence[str], most: int) -> str:
    """``a, b, c``; of more than ``most`` names the first, and three dots."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each, one below the other, two spaces apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def clipped(text: str, most: int) -> str:
    """``text``; of more than ``most`` characters the first, and three dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def visible(text: str) -> str:
    """Control characters, marks that turn the direction of text, and lone surrogates as ``\\x1b``; newlines
    and tabs stay.
    """
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
