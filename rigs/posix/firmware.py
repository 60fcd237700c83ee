"""Compiles the posix firmware of this checkout and reads its manifest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.firmware import FirmwareImage
from rigs.common.firmware_file import manifest

SOURCES = Path(__file__).parents[2] / "firmware"
TAG = b"quantcheck-posix"  # in front of the executable in the flash image, as boot ROMs want one
_BUILD_SECONDS = 300


def build(runtime: str = "engine", **variables: str) -> FirmwareImage:
    """``make posix`` with a runtime and make variables (``SANITIZE="1"``); quick when nothing changed.

    Raises ``UsageError`` when the sources or a compiler are missing or the build fails.
    """
    if not (SOURCES / "Makefile").is_file():
        raise UsageError("a posix board needs the firmware's sources: use it from a checkout of the project")
    if shutil.which("gcc") is None or shutil.which("make") is None:
        raise UsageError("a posix board needs gcc and make; on Debian: apt-get install gcc make libc6-dev")
    assignments = {"RUNTIME": runtime, "PYTHON": sys.executable, **variables}
    command = ["make", "--silent", "posix", *(f"{name}={value}" for name, value in assignments.items())]
    (SOURCES / "build").mkdir(exist_ok=True)
    with FileLock(SOURCES / "build" / "posix.lock", timeout=_BUILD_SECONDS):
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    if done.returncode:
        raise UsageError(f"the posix firmware does not build: {' '.join(command)}\n{done.stderr.strip()}")
    return read(_folder(runtime, variables) / "quantcheck-posix.bin")


def read(image: Path) -> FirmwareImage:
    """The image at this path with the facts of the manifest beside it."""
    facts = manifest(image, "build_id", "crc32", "size", "address")
    return FirmwareImage(
        path=image,
        build_id=str(facts["build_id"]),
        crc32=int(facts["crc32"]),
        size=int(facts["size"]),
        address=int(facts["address"]),
    )


def _folder(runtime: str, variables: dict[str, str]) -> Path:
    name = "posix" if runtime == "engine" else f"posix-{runtime}"
    name += "-sanitize" if variables.get("SANITIZE") else ""
    name += f"-protocol{variables['PROTOCOL']}" if variables.get("PROTOCOL") else ""
    return SOURCES / "build" / name
