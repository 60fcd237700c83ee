"""A firmware that somebody builds without our Makefile: compiled here, and flashed to a posix board."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware import packages
from pytest_quantcheck.rig.entry import BoardEntry
from rigs.posix.firmware import TAG

FIRMWARE = Path(packages.__file__).parent
PORT = FIRMWARE / "ports" / "posix" / "port.c"
FACTS = (
    "--port=posix",
    "--address=0",
    "--source-hash=?",
    "--compiler=?",
    "--flags=?",
    "--build-id=own build",
)


def run(*command: str | Path, cwd: Path = FIRMWARE) -> str:
    """What a command says; it must end well."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def forwarding(folder: Path, header: Path, names: Sequence[str]) -> None:
    """Headers of these names in ``folder`` that include ``header``."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'#pragma once\n#include "{header}"\n')


def built(
    folder: Path,
    sources: Sequence[Path],
    *flags: str | Path,
    parts: Sequence[str] = ("harness",),
    port: Path = PORT,
) -> Path:
    """A program of our ``parts``, the port and ``sources`` (C or C++), which get ``flags``."""
    ours = [FIRMWARE / name for part in parts for name in packages.sources(part)]
    usual = ["-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{FIRMWARE / 'include'}"]
    usual += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    inside = ["-std=gnu11", "-D_GNU_SOURCE", f"-I{FIRMWARE / 'harness'}", f"-I{FIRMWARE / 'engine'}"]
    run("gcc", "-c", *usual, *inside, *ours, *([port] if port == PORT else []), cwd=folder)
    for source in [*sources, *([port] if port != PORT else [])]:
        language = (
            ["gcc", "-std=gnu11"] if source.suffix == ".c" else ["g++", "-std=c++17", "-fno-exceptions"]
        )
        run(*language, "-c", *usual, *flags, source, cwd=folder)
    objects = sorted(folder.glob("*.o"))
    run("g++", "-fsanitize=address,undefined", *objects, "-o", folder / "program", cwd=folder)
    return folder / "program"


def as_board(program: Path) -> BoardEntry:
    """A posix board whose flash gets ``program``."""
    image = program.with_suffix(".bin")
    image.write_bytes(TAG + program.read_bytes())
    run(sys.executable, FIRMWARE / "manifest.py", "write", image, *FACTS)
    return BoardEntry("own", "posix", "posix", firmware=str(image), virtual=True)
