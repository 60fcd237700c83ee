"""Firmware with a model compiled in: which one belongs to an artefact, and the command that makes it.

An inventory says it in one of two ways: a table ``firmwares`` (artefact -> firmware file), or a command
``build`` that makes the file ``firmware`` of any artefact.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware_build import Built, build, sources_of

PLACEHOLDERS = ("{artefact}", "{sha256}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_Key = tuple[str, str, str, tuple[str, ...], str]


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
    _check_command(where, build)
    sources = [_file(where, folder, "build_sources", each) for each in table.get("build_sources", [])]
    made = (folder / Path(firmware).expanduser()).resolve()
    return {"firmware": str(made), "build": build, "build_sources": tuple(map(str, sources))}


@dataclass
class ModelFirmware:
    """Finds or makes firmware files, for all sessions of a run. ``folder`` gets what is made, or comes out of
    ``cache``.
    """

    folder: Path
    cache: Cache
    _made: dict[_Key, Path] = field(default_factory=dict)
    _failed: dict[_Key, str] = field(default_factory=dict)

    def path(self, entry: BoardEntry, artefact: bytes) -> Path:
        """The firmware file of ``entry`` that has ``artefact`` compiled in. What is made is made once, and a
        build that failed is not tried again.

        Raises ``UsageError``, and ``RigFault`` (lease) where other processes build for too long.
        """
        sha256 = hashlib.sha256(artefact).hexdigest()
        if entry.firmwares:
            return _named(entry, sha256)
        key = (entry.source, entry.build, entry.firmware, entry.build_sources, sha256)
        if key in self._failed:
            raise UsageError(self._failed[key])
        if key not in self._made:
            try:
                self._made[key] = self._make(entry, artefact, sha256)
            except UsageError as error:
                self._failed[key] = str(error)
                raise
        return self._made[key]

    def _make(self, entry: BoardEntry, artefact: bytes, sha256: str) -> Path:
        """Made once for this command, artefact and sources; where none are named, once for each of us."""
        sources = sources_of(entry)

        def make() -> bytes:
            return build(entry, artefact, sources).packed()

        if sources:
            digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
            facts = {
                "firmware_of": sha256,
                "build": entry.build,
                "folder": str(Path(entry.source).parent),
                "file": entry.firmware,
                "sources": digest,
            }
            built = Built.unpacked(self.cache.get_or_make(facts, make))
        else:
            built = Built.unpacked(make())
        output = Path(entry.firmware)
        if not built.is_of(sha256, output):
            raise UsageError(
                f"{entry.where}: the cache {self.cache.root} holds another model's firmware for "
                f"builtin:{sha256}; empty it (quantcheck cache --prune "
                "--max-mib 0), or name another one with --qc-cache"
            )
        try:
            return built.write(self.folder, f"{output.stem}-{sha256[:12]}", output.suffix)
        except OSError as error:
            raise UsageError(f"{entry.where}: the firmware cannot be kept for flashing: {error}") from error


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


def _check_command(where: str, command: str) -> None:
    try:
        shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{where}: build = {command!r} is no command: {error}") from error
    if not any(name in command for name in PLACEHOLDERS):
        raise UsageError(
            f"{where}: build = {command!r} would make the same firmware of every model; allowed in it: "
            f"{', '.join(PLACEHOLDERS)}, the path and the digits of the artefact that is to be compiled in"
        )


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
