"""Which firmware file a board should run, and what the manifest beside it (``NAME.json``) says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import MOST_BYTES

_MOST_MANIFEST_BYTES = 1 << 20


def read_firmware(path: Path) -> bytes:
    """The content of a firmware file. Raises ``UsageError`` for what is no regular file or too large."""
    try:
        return read_whole(path, MOST_BYTES)
    except ModelError as error:
        raise UsageError(f"this cannot be a firmware: {error}") from error


def firmware_path(entry: BoardEntry, ours: Path) -> Path:
    """The user's own file, or ``ours``. Raises ``UsageError`` when there is no such file."""
    path = Path(entry.own_firmware) if entry.own_firmware else ours
    if not path.is_file():
        raise UsageError(
            f"{entry.where}: firmware={entry.firmware!r} is neither 'quantcheck', 'external' "
            "nor an existing file"
        )
    return path


def build_id(path: Path) -> str:
    """The build id in a firmware's manifest; empty when it has no manifest. Raises ``UsageError``."""
    return str(manifest(path, "build_id")["build_id"]) if _manifest_of(path).is_file() else ""


def manifest(path: Path, *wanted: str) -> dict[str, Any]:
    """A firmware's manifest with the facts ``wanted``. Raises ``UsageError`` when it lacks one."""
    file = _manifest_of(path)
    try:
        facts = dict(json.loads(read_whole(file, _MOST_MANIFEST_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError, ModelError) as error:
        raise UsageError(f"the manifest {file} cannot be used: {error}") from error
    if missing := [key for key in wanted if key not in facts]:
        raise UsageError(f"the manifest {file} cannot be used: it lacks {', '.join(missing)}")
    return facts


def _manifest_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")
