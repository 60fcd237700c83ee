"""Builds the firmware of one artefact: what comes out was made now, of this artefact, from these sources."""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from pytest_quantcheck.errors import ModelError, RigFault, UsageError
from pytest_quantcheck.files import read_whole, write_whole
from pytest_quantcheck.rig.build_command import last_words, run
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware import MOST_BYTES
from pytest_quantcheck.rig.lease import directory
from pytest_quantcheck.temporary import OwnFolder
from pytest_quantcheck.wording import shortened

BUILD_SECONDS = 1800.0
_SHOWN = 2000  # characters of what a failed build said
_CHANGED_SHOWN = 5
_HEX = (".hex", ".ihex")
_NOT_SOURCES = {"__pycache__"}  # Python writes them when it runs; their sources decide


@dataclass(frozen=True)
class Built:
    """The content of a firmware file, and of the manifest that the build made beside it."""

    firmware: bytes
    manifest: bytes | None = None

    def packed(self) -> bytes:
        """Both in one."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("firmware", self.firmware)
            if self.manifest is not None:
                archive.writestr("manifest", self.manifest)
        return packed.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> Built:
        """From what ``packed`` gave."""
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            manifest = archive.read("manifest") if "manifest" in archive.namelist() else None
            return cls(archive.read("firmware"), manifest)

    def is_of(self, sha256: str, file: Path) -> bool:
        """Whether ``builtin:<sha256>`` stands in the firmware; an Intel HEX ``file`` cannot be searched."""
        return file.suffix.lower() in _HEX or f"builtin:{sha256}".encode() in self.firmware

    def write(self, folder: Path, stem: str, suffix: str) -> Path:
        """Write both to ``folder``. The name has a hash of the content: a file that others read, of another
        board or process, is never exchanged for another firmware. Raises ``OSError``.
        """
        parts = (hashlib.sha256(part or b"").digest() for part in (self.firmware, self.manifest))
        path = folder / f"{stem}-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}{suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        if self.manifest is not None:
            write_whole(manifest_of(path), self.manifest)
        write_whole(path, self.firmware)
        return path


def manifest_of(firmware: Path) -> Path:
    """Where the manifest of a firmware file lies."""
    return firmware.with_name(firmware.name + ".json")


def sources_of(entry: BoardEntry) -> dict[str, str]:
    """Name -> SHA-256 of the content, of the files among and below ``build_sources``, links followed.

    Without the file that the build makes, and its manifest. A folder that was seen already (a link leads
    back) stands there with its first name. Raises ``UsageError`` for what cannot be read.
    """
    base, made = Path(entry.source).parent, Path(entry.firmware)
    found: dict[str, str] = {}
    seen: dict[tuple[int, int], str] = {}

    def add(file: Path) -> None:
        if file not in (made, manifest_of(made)) and file.is_file():
            found[_name(file, base)] = hashlib.sha256(read_whole(file)).hexdigest()

    try:
        for source in map(Path, entry.build_sources):
            if not source.is_dir():
                add(source)
                continue
            for folder, inside, files in os.walk(source, followlinks=True, onerror=_raise):
                name, status = _name(Path(folder), base), Path(folder).stat()
                if (first := seen.setdefault((status.st_dev, status.st_ino), name)) != name:
                    found[f"{name}/"] = f"{first}/"
                    inside.clear()
                    continue
                inside[:] = sorted(set(inside) - _NOT_SOURCES)
                for file in files:
                    add(Path(folder, file))
    except (OSError, ModelError) as error:
        raise UsageError(f"{entry.where}: build_sources cannot be read: {error}") from error
    return found


def build(entry: BoardEntry, artefact: bytes, sources: Mapping[str, str]) -> Built:
    """Run the command in the inventory's folder and return what it made. One build of a file at a time: the
    command writes the same one for every model.

    ``sources``: what ``sources_of`` said before. Raises ``UsageError`` where the build fails, makes nothing,
    makes another model's firmware, or the sources are others afterwards; ``RigFault`` (lease) where another
    process builds the same file for too long.
    """
    output, sha256 = Path(entry.firmware), hashlib.sha256(artefact).hexdigest()
    with _alone(output):
        try:
            with OwnFolder("build") as folder, _aside(output), _aside(manifest_of(output)):
                _run_build(entry, artefact, sha256, Path(folder))
                built = _read_made(entry, output)
        except (OSError, ValueError) as error:
            raise UsageError(f"{entry.where}: build = {entry.build!r}: {error}") from error
        if not built.is_of(sha256, output):
            raise UsageError(
                f"{entry.where}: build = {entry.build!r} ended well, but {output} does not hold the text "
                f"builtin:{sha256}: it is an earlier model's, or its runtime's artefact is not made of "
                "{sha256} (docs/porting.md)"
            )
        after = sources_of(entry)
    if changed := sorted(name for name in {*sources, *after} if sources.get(name) != after.get(name)):
        raise UsageError(
            f"{entry.where}: build = {entry.build!r}: files of build_sources changed while the firmware was "
            f"made: {shortened(changed, _CHANGED_SHOWN)}. Nobody knows from which content it was made, so it "
            "is not used. Run the tests again; if the build writes these files, name in build_sources only "
            "what it reads"
        )
    return built


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """While no other process builds ``output``. The lock dies with the process that holds it."""
    digest = hashlib.sha256(os.fsencode(output)).hexdigest()[:16]
    lock = filelock.FileLock(directory() / f"build-{digest}.lock")
    wait = 2 * BUILD_SECONDS
    try:
        lock.acquire(timeout=wait)
    except filelock.Timeout as error:
        raise RigFault(
            "lease",
            f"other processes have been building {output} for {wait:g} s, which is as long as we wait; start "
            "fewer processes (-n), or end the one that hangs",
        ) from error
    except OSError as error:
        raise RigFault("lease", f"the lock for building {output} cannot be had: {error}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _aside(path: Path) -> Iterator[None]:
    """What lies at ``path`` has another name meanwhile, so that only a new file is found there. It gets its
    name back where nothing new came: it is the user's.
    """
    earlier = path.with_name(f".earlier-{path.name}")
    if not os.path.lexists(path):
        yield
        return
    path.replace(earlier)
    try:
        yield
    finally:
        if os.path.lexists(path):
            earlier.unlink()
        else:
            earlier.replace(path)


def _run_build(entry: BoardEntry, artefact: bytes, sha256: str, folder: Path) -> None:
    file = folder / ("model.tflite" if artefact[4:8] == b"TFL3" else "model.onnx")
    file.write_bytes(artefact)
    said = folder / "said.txt"
    words = [
        word.replace("{artefact}", str(file)).replace("{sha256}", sha256) for word in shlex.split(entry.build)
    ]
    status = run(words, folder=Path(entry.source).parent, said=said, seconds=BUILD_SECONDS)
    if status != 0:
        how = (
            f"ended with exit status {status}"
            if status is not None
            else f"did not end within {BUILD_SECONDS:g} s and was stopped, with all that it had started"
        )
        raise UsageError(f"{entry.where}: build = {entry.build!r} {how}:\n{last_words(said, _SHOWN)}")


def _read_made(entry: BoardEntry, output: Path) -> Built:
    manifest = manifest_of(output)
    try:
        firmware = read_whole(output, MOST_BYTES)
        return Built(firmware, read_whole(manifest, MOST_BYTES) if manifest.is_file() else None)
    except (OSError, ModelError) as error:
        raise UsageError(
            f"{entry.where}: build = {entry.build!r} ended well, but the firmware it should make cannot be "
            f"read: {error}. Of an earlier build none is taken"
        ) from error


def _name(path: Path, base: Path) -> str:
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()


def _raise(error: OSError) -> None:
    raise error
