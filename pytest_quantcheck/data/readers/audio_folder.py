"""``audio_folder``: recordings with their classes in a CSV file, or in folders named after them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.data.progress import tracked
from pytest_quantcheck.data.readers import table
from pytest_quantcheck.data.readers.listing import listed
from pytest_quantcheck.data.readers.patches import LogMel
from pytest_quantcheck.data.readers.split import Split
from pytest_quantcheck.data.readers.threads import readers
from pytest_quantcheck.data.readers.waves import ENDINGS, Waves
from pytest_quantcheck.data.subset import chosen
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.wording import shortened

OTHER = "other"


@dataclass(frozen=True)
class _Clips:
    """Recordings with the name of each one's class; None where it is not known."""

    folder: Path
    names: tuple[str, ...]
    kinds: tuple[str, ...] | None


def audio_folder(
    folder: str | Path,
    csv: str | Path | None = None,
    *,
    test: str | Path | None = None,
    test_csv: str | Path | None = None,
    split: float = 0.2,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    columns: tuple[str, str] = ("filename", "category"),
    extension: str = "",
    other: int | None = None,
    waves: Waves | None = None,
    features: LogMel | None = None,
    expand_last_dim: bool = True,
    task: str | Task | None = None,
) -> Dataset:
    """Log-mel patches (N, n_mels, patch_length, 1) float32; ids are ``clip#patch``, and clips are judged as
    one.

    ``csv`` names recordings below ``folder`` and their class in ``columns`` (ESC-50's and ESC-10's by
    default); ``extension`` is added to names that lack it. Without a CSV file the class is the folder in
    ``folder``. ``classes`` takes some of them, in its order (default: all, by name); of each of the others
    ``other`` clips make one more class, called ``other`` (None: they are left out). ``test`` and ``test_csv``
    test; with neither the fraction ``split`` of all clips is held out. ``waves`` and ``features`` say what
    becomes of a recording. Without ``expand_last_dim`` patches have no axis of 1 at their end.

    Patches are computed once, by threads, and lie in a temporary file. Raises ``UsageError`` for wrong
    values, ``ModelError`` that names the file and line where one is wrong, ``MissingExtraError`` without
    librosa.
    """
    waves, features = waves or Waves(), features or LogMel()
    choice = _Choice(tuple(classes or ()), other, seed)
    clips = _found(Path(folder), csv, columns, extension)
    names, clips = choice(clips)
    held_out = None
    if test is not None or test_csv is not None:
        found = _found(Path(folder if test is None else test), test_csv, columns, extension)
        _, held_out = _Choice(names, other, seed)(found, all_there=False)
    samples = _samples(clips, names, waves, features, expand_last_dim)
    if held_out is None:
        calibration, tested = Split(split, seed)(samples)
    else:
        calibration, tested = samples, _samples(held_out, names, waves, features, expand_last_dim)
    labelled = tested.y is not None
    return Dataset(
        calibration,
        tested,
        task or ("audio_events" if labelled else "agreement"),
        names if labelled else (),
    )


@dataclass(frozen=True)
class _Choice:
    """Which classes are taken, and how many clips of each of the others make the class ``other``."""

    classes: tuple[str, ...]
    other: int | None
    seed: int

    def __call__(self, clips: _Clips, *, all_there: bool = True) -> tuple[tuple[str, ...], _Clips]:
        """The names of the classes, and the clips that are taken; unless ``all_there``, some have none."""
        if clips.kinds is None:
            return self.classes, clips
        found = sorted(set(clips.kinds))
        wanted = tuple(name for name in self.classes if self.other is None or name != OTHER) or tuple(found)
        if missing := [name for name in wanted if all_there and name not in found]:
            raise UsageError(
                f"no recording is of the class {missing[0]!r}; the classes are {shortened(found, 60)}"
            )
        kept = [(n, k) for n, k in zip(clips.names, clips.kinds, strict=True) if k in wanted]
        if self.other is None:
            return wanted, _Clips(clips.folder, *_columns(kept))
        for kind in found:
            if kind not in wanted:
                members = [n for n, k in zip(clips.names, clips.kinds, strict=True) if k == kind]
                count = min(self.other, len(members))
                at = chosen(members, None, count, self.seed) if count else ()
                kept += [(members[i], OTHER) for i in at]
        return (*wanted, OTHER), _Clips(clips.folder, *_columns(sorted(kept)))


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for name, _ in pairs), tuple(kind for _, kind in pairs)


def _found(folder: Path, csv: str | Path | None, columns: tuple[str, str], extension: str) -> _Clips:
    if csv is not None:
        return _named(folder, Path(csv), columns, extension)
    found = listed(folder, (extension.lower(),) if extension else ENDINGS)
    classes, labels = found.classes(None)
    return _Clips(folder, found.names, None if labels is None else tuple(classes[i] for i in labels))


def _named(folder: Path, csv: Path, columns: tuple[str, str], extension: str) -> _Clips:
    """The recordings that a CSV file names, in the order of their names."""
    lines: dict[str, int] = {}
    kinds: dict[str, str] = {}
    for line, (name, kind) in table.rows(csv, columns):
        path = PurePosixPath(name.replace("\\", "/"))
        if extension and path.suffix.lower() != extension.lower():
            path = path.with_name(path.name + extension) if path.name else path
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise ModelError(f"{csv}, line {line}: {name!r} is no name of a file below {folder}")
        if path.as_posix() in lines:
            raise ModelError(f"{csv}, line {line}: {name} is named in line {lines[path.as_posix()]} already")
        if not kind:
            raise ModelError(f"{csv}, line {line}: the column {columns[1]} is empty")
        lines[path.as_posix()], kinds[path.as_posix()] = line, kind
    if not lines:
        raise UsageError(f"{csv} names no recording")
    for name, line in lines.items():
        if not (folder / name).exists():
            raise ModelError(f"{csv}, line {line}: there is no {folder / name}")
    names = tuple(sorted(lines))
    return _Clips(folder, names, tuple(kinds[name] for name in names))


def _samples(
    clips: _Clips, classes: tuple[str, ...], waves: Waves, features: LogMel, expand: bool
) -> Samples:
    """All patches of all clips, computed by threads and kept in a file without a name."""

    def patches(name: str) -> Float32:
        file = clips.folder / name
        return features.patches(waves.read(file), waves.target_rate, str(file))

    counts: list[int] = []
    shape = (features.n_mels, features.patch_length, *([1] if expand else []))
    with tempfile.TemporaryFile(prefix="quantcheck-patches-") as file:
        for made in tracked(readers().map(patches, clips.names), len(clips.names), "computing patches"):
            file.write(np.ascontiguousarray(made, dtype=np.float32).tobytes())
            counts.append(len(made))
        file.flush()
        kept = np.memmap(file, np.float32, "r", shape=(sum(counts), *shape))

    def content(row: int) -> bytes:
        """Two folders may hold different clips of one name."""
        return bytes(kept[row].tobytes())

    x = Lazy(len(kept), shape, np.float32, lambda index: np.array(kept[index]), content)
    ids = [f"{name}#{i:04d}" for name, count in zip(clips.names, counts, strict=True) for i in range(count)]
    if clips.kinds is None:
        return Samples(x, None, ids)
    labels = np.repeat([classes.index(kind) for kind in clips.kinds], counts)
    return Samples(x, labels.astype(np.int64), ids)
