"""``Provenance``: what made a report: versions, revision, date, options. No secret that an option holds."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_quantcheck.version import __version__

PACKAGES = (  # whose version can change a number
    "numpy", "pytest", "tensorflow", "keras", "tflite-micro", "ai-edge-litert", "onnx", "onnxruntime",
    "pyocd", "esptool", "unicorn",
)  # fmt: skip
_GIT_SECONDS = 10
_USER_IN_URI = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@dataclass(frozen=True)
class Provenance:
    """Empty texts mean *not known*. ``date`` is ISO 8601 in UTC. ``revision`` is git's, ``modified`` whether
    files of the working tree differ from it. ``options`` are those that were given, by name.
    """

    date: str = ""
    quantcheck: str = __version__
    python: str = ""
    platform: str = ""
    revision: str = ""
    modified: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


def gather(root: Path, options: Mapping[str, object]) -> Provenance:
    """Of this process, run in the folder ``root``. Options without a value are left out, and so is the user
    in a URI. Never fails: what cannot be found out stays empty.
    """
    revision, modified = _revision(root)
    return Provenance(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        revision=revision,
        modified=modified,
        packages={name: found for name in PACKAGES if (found := _installed(name))},
        options={name: _text(value) for name, value in options.items() if _is_given(value)},
    )


def without_user(text: str) -> str:
    """``https://name:secret@host`` as ``https://***@host``."""
    return _USER_IN_URI.sub("***", text)


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value not in ("", [])


def _text(value: object) -> str:
    texts = map(str, value) if isinstance(value, (list, tuple)) else [str(value)]
    return without_user(", ".join(texts))


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _revision(root: Path) -> tuple[str, bool | None]:
    """The commit of the repository around ``root``, and whether its files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # asking must not write the index
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return "", None
    revision, dirty, _ = done.stdout.strip().partition("-dirty")
    return (revision, bool(dirty)) if revision else ("", None)
