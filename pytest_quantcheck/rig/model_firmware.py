"""Firmware with a model compiled in: which one belongs to an artefact, and the command that makes it.

An inventory says it in one of two ways: a table ``firmwares`` (artefact -> firmware file), or a command
``build`` that makes the file ``firmware`` of any artefact.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import MOST_BYTES
from pytest_quantcheck.rig.lease import directory
from pytest_quantcheck.temporary import OwnFolder
from pytest_quantcheck.wording import clipped

PLACEHOLDERS = ("{artefact}", "{sha256}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_BUILD_SECONDS = 1800.0
_SHOWN = 2000  # characters of what a failed build said
_NAMES = ("firmware", "manifest")


def read_firmware_keys(where: str, folder: Path, table: Mapping[str, Any], usual: str) -> dict[str, Any]:
    """The keys ``firmware``, ``firmwares``, ``build``, ``build_sources`` of a board, with absolute paths.

    ``folder``: that of the inventory. Raises ``UsageError``.
    """
    firmwares, build = table.get("firmwares", {}), table.get("build", "")
    firmware = table.get("firmware", usual)
    if firmwares:
        if build or table.get("firmware", "external") != "external":
            raise UsageError(
                f"{where}: [board.firmwares] names a firmware for each model; leave out "
                f"{'build' if build else 'firmware'}"
            )
        return {"firmware": "external", "firmwares": dict(_read_pairs(where, folder, firmwares))}
    if not build:
        if table.get("build_sources"):
            raise UsageError(f"{where}: build_sources goes with build, the command that reads them")
        return {"firmware": _existing(where, folder, firmware)}
    if firmware in ("quantcheck", "external"):
        raise UsageError(
            f'{where}: build = {build!r} needs the file that it makes, such as firmware = "build/app.elf"'
        )
    _words(where, build)
    sources = [_file(where, folder, "build_sources", each) for each in table.get("build_sources", [])]
    made = (folder / Path(firmware).expanduser()).resolve()
    return {"firmware": str(made), "build": build, "build_sources": tuple(map(str, sources))}


@dataclass
class ModelFirmware:
    """Finds or makes firmware files. ``folder`` gets what is made, or comes out of ``cache``."""

    folder: Path
    cache: Cache
    _made: dict[tuple[str, str], Path] = field(default_factory=dict)

    def path(self, entry: BoardEntry, artefact: bytes) -> Path:
        """The firmware file of ``entry`` that has ``artefact`` compiled in. Raises ``UsageError``."""
        sha256 = hashlib.sha256(artefact).hexdigest()
        if entry.firmwares:
            return _named(entry, sha256)
        if (entry.name, sha256) not in self._made:
            self._made[entry.name, sha256] = self._build(entry, artefact, sha256)
        return self._made[entry.name, sha256]

    def _build(self, entry: BoardEntry, artefact: bytes, sha256: str) -> Path:
        """Made once for this command, artefact and sources; where none are named, once for each of us."""

        def make() -> bytes:
            return _packed(_run_build(entry, artefact, sha256))

        if entry.build_sources:
            facts = {
                "firmware_of": sha256,
                "build": entry.build,
                "file": entry.firmware,
                "sources": _digest(entry),
            }
            packed = self.cache.get_or_make(facts, make)
        else:
            packed = make()
        output = Path(entry.firmware)
        path = self.folder / f"{output.stem}-{sha256[:12]}{output.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            for name, target in zip(_NAMES, (path, _manifest(path)), strict=True):
                target.unlink(missing_ok=True)
                if name in archive.namelist():
                    write_whole(target, archive.read(name))
        return path


def _read_pairs(where: str, folder: Path, firmwares: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for artefact, firmware in firmwares.items():
        known = _SHA256.fullmatch(artefact)
        key = artefact.lower() if known else str(_file(where, folder, "[board.firmwares]", artefact))
        yield key, str(_file(where, folder, f"[board.firmwares] {artefact!r}", firmware))


def _existing(where: str, folder: Path, value: str) -> str:
    """``quantcheck``, ``external``, or the absolute path of a firmware file beside ``boards.toml``."""
    if value in ("quantcheck", "external"):
        return value
    path = (folder / Path(value).expanduser()).resolve()
    if not path.is_file():
        raise UsageError(
            f"{where}: firmware = {value!r}: there is no file {path}; allowed: quantcheck, external, a path"
        )
    return str(path)


def _file(where: str, folder: Path, key: str, value: str) -> Path:
    path = (folder / Path(value).expanduser()).resolve()
    if not path.exists():
        raise UsageError(f"{where}: {key} names {value!r}: there is no file {path}")
    return path


def _words(where: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{where}: build = {command!r} is no command: {error}") from error
    if not any(name in command for name in PLACEHOLDERS):
        raise UsageError(
            f"{where}: build = {command!r} would make the same firmware of every model; allowed in it: "
            f"{', '.join(PLACEHOLDERS)}, the path and the digits of the artefact that is to be compiled in"
        )
    return words


def _named(entry: BoardEntry, sha256: str) -> Path:
    for artefact, firmware in entry.firmwares.items():
        if (artefact if _SHA256.fullmatch(artefact) else _sha256_of(entry, Path(artefact))) == sha256:
            return Path(firmware)
    raise UsageError(
        f"{entry.where}: board {entry.name!r} has no firmware for this model: its SHA-256 is {sha256}, "
        f"[board.firmwares] names {', '.join(Path(each).name for each in entry.firmwares)}. Build one with "
        f'artefact = "builtin:{sha256}" in its qc_runtime_t and add "{sha256}" = "its.elf" to the table, or '
        "give build = the command that makes one (docs/porting.md)"
    )


def _sha256_of(entry: BoardEntry, path: Path) -> str:
    try:
        return hashlib.sha256(read_whole(path)).hexdigest()
    except (OSError, ModelError) as error:
        raise UsageError(f"{entry.where}: the artefact {path} cannot be read: {error}") from error


def _digest(entry: BoardEntry) -> str:
    """SHA-256 over names and contents of the files among and below ``build_sources``."""
    digest = hashlib.sha256()
    base = Path(entry.source).parent
    for source in map(Path, entry.build_sources):
        files = sorted(each for each in source.rglob("*") if each.is_file()) if source.is_dir() else [source]
        for file in files:
            if file != Path(entry.firmware):
                name = file.relative_to(base) if file.is_relative_to(base) else file
                digest.update(f"{name.as_posix()}\0{_sha256_of(entry, file)}\0".encode())
    return digest.hexdigest()


def _run_build(entry: BoardEntry, artefact: bytes, sha256: str) -> Path:
    """Run the command in the inventory's folder and return the file that it made. One build of a file at a
    time: the command writes the same one for every model.
    """
    output = Path(entry.firmware)
    lock = directory() / f"build-{hashlib.sha256(str(output).encode()).hexdigest()[:16]}.lock"
    with filelock.FileLock(lock, timeout=2 * _BUILD_SECONDS), OwnFolder("build") as folder:
        file = Path(folder) / ("model.tflite" if artefact[4:8] == b"TFL3" else "model.onnx")
        file.write_bytes(artefact)
        words = [
            word.replace("{artefact}", str(file)).replace("{sha256}", sha256)
            for word in _words(entry.where, entry.build)
        ]
        try:
            done = subprocess.run(
                words,
                cwd=Path(entry.source).parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_BUILD_SECONDS,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{entry.where}: build = {entry.build!r}: {error}") from error
        if done.returncode:
            said = clipped(done.stdout.strip()[-_SHOWN:], _SHOWN)
            raise UsageError(
                f"{entry.where}: build = {entry.build!r} ended with exit status {done.returncode}:\n{said}"
            )
        _check_made(entry, output, sha256)
        return output


def _check_made(entry: BoardEntry, output: Path, sha256: str) -> None:
    """A firmware of another model, left there by an earlier build, is neither flashed nor kept."""
    try:
        content = read_whole(output, MOST_BYTES)
    except (OSError, ModelError) as error:
        raise UsageError(
            f"{entry.where}: build = {entry.build!r} ended well, but the firmware it should make cannot be "
            f"read: {error}"
        ) from error
    if output.suffix.lower() not in (".hex", ".ihex") and f"builtin:{sha256}".encode() not in content:
        raise UsageError(
            f"{entry.where}: build = {entry.build!r} ended well, but {output} does not hold the text "
            f"builtin:{sha256}: it is an earlier model's, or its runtime's artefact is not made of "
            "{sha256} (docs/porting.md)"
        )


def _packed(path: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, file in zip(_NAMES, (path, _manifest(path)), strict=True):
            if file.is_file():
                archive.writestr(name, read_whole(file, MOST_BYTES))
    return packed.getvalue()


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")
