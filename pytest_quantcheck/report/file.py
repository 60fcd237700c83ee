"""A report's file: its folder is made, and it is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from pytest_quantcheck.files import write_whole


def write_file(target: str, content: str | bytes) -> None:
    """Raises ``OSError`` that names the file. What UTF-8 cannot hold (a lone surrogate) becomes ``?``."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
