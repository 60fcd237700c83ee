"""``windows``: recordings of sensors in CSV files, cut into windows, such as an accelerometer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.progress import tracked
from pytest_quantcheck.data.readers import table
from pytest_quantcheck.data.readers.listing import Listing, listed
from pytest_quantcheck.data.readers.split import Split
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.wording import shortened


@dataclass(frozen=True)
class _Cutting:
    """How a recording becomes windows, and what becomes of its values."""

    columns: tuple[str, ...]
    label: str
    length: int
    step: int
    rescale: tuple[float, float]
    expand: bool


def windows(
    source: str | Path,
    *,
    columns: Sequence[str],
    length: int,
    step: int | None = None,
    label: str = "",
    test: str | Path | None = None,
    split: float = 0.2,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    rescale: tuple[float, float] = (1.0, 0.0),
    expand_last_dim: bool = False,
    task: str | Task | None = None,
) -> Dataset:
    """Windows (N, length, columns) float32 of CSV files with a header, one recording each.

    ``source`` is a file or a folder of them. A window of ``length`` rows begins every ``step`` rows (default:
    ``length``, so that none overlap); what is left over at the end of a recording is dropped. ``label`` is
    the column that names the class; a window in which it changes is dropped. Without it the class is the
    folder of the file, where files lie in folders. ``classes`` gives their order (default: by name). Values
    become ``scale * value + offset`` by ``rescale``. Ids are ``file#row``; the windows of a recording stay
    together where the fraction ``split`` is held out, unless there is but one recording: then its last part
    tests.

    Raises ``UsageError`` for wrong values, ``ModelError`` that names file and line.
    """
    if not columns or isinstance(columns, str) or type(length) is not int or length < 1:
        raise UsageError(
            f"columns={list(columns)}, length={length!r}: allowed: one name or more, rows from 1"
        )
    if step is not None and (type(step) is not int or step < 1):
        raise UsageError(f"step={step!r}: allowed: whole numbers from 1")
    cutting = _Cutting(tuple(columns), label, length, step or length, rescale, expand_last_dim)
    found = _listing(Path(source))
    kinds, calibration = _samples(found, cutting, tuple(classes or ()))
    if test is not None:
        _, tested = _samples(_listing(Path(test)), cutting, kinds)
    elif len(found.names) > 1 or not split:
        calibration, tested = Split(split, seed)(calibration)
    else:
        calibration, tested = _last(calibration, Split(split).fraction, cutting)
    labelled = tested.y is not None
    return Dataset(
        calibration,
        tested,
        task or ("classification" if labelled else "agreement"),
        kinds if labelled else (),
    )


def _listing(source: Path) -> Listing:
    return Listing(source.parent, (source.name,)) if source.is_file() else listed(source, (".csv", ".tsv"))


def _samples(found: Listing, cutting: _Cutting, classes: tuple[str, ...]) -> tuple[tuple[str, ...], Samples]:
    folders = None if cutting.label or "/" not in found.names[0] else found.classes(None)
    parts: list[Float32] = []
    kinds: list[str] = []
    ids: list[str] = []
    for at, name in enumerate(tracked(found.names, len(found.names), "cutting windows")):
        values, labels = _recording(found.folder / name, cutting)
        if folders is not None and folders[1] is not None:
            labels = np.full(len(values), folders[0][folders[1][at]])
        for start in range(0, len(values) - cutting.length + 1, cutting.step):
            stop = start + cutting.length
            if labels is not None and (labels[start:stop] != labels[start]).any():
                continue
            parts.append(values[start:stop])
            ids.append(f"{name}#{start:07d}")
            kinds += [] if labels is None else [str(labels[start])]
    if not parts:
        raise UsageError(
            f"{found.folder}: no recording holds {cutting.length} rows"
            + (f" of one {cutting.label}" if cutting.label else "")
        )
    x = np.stack(parts)[..., np.newaxis] if cutting.expand else np.stack(parts)
    if not kinds:
        return classes, Samples(x, None, ids)
    known = classes or tuple(sorted(set(kinds)))
    if unknown := sorted(set(kinds) - set(known)):
        raise UsageError(
            f"{found.folder} has the class {unknown[0]!r}; classes= names {shortened(known, 20)}"
        )
    return known, Samples(x, np.asarray([known.index(kind) for kind in kinds], dtype=np.int64), ids)


def _recording(file: Path, cutting: _Cutting) -> tuple[Float32, npt.NDArray[np.str_] | None]:
    """The values (rows, columns) float32, and the label of each row."""
    wanted = [*cutting.columns, *([cutting.label] if cutting.label else [])]
    numbers: list[list[float]] = []
    labels: list[str] = []
    for line, row in table.rows(file, wanted):
        try:
            numbers.append([float(value) for value in row[: len(cutting.columns)]])
        except ValueError as error:
            raise ModelError(f"{file}, line {line}: {error}; wanted: numbers in {cutting.columns}") from error
        labels += row[len(cutting.columns) :]
        if not np.isfinite(numbers[-1]).all():
            raise ModelError(f"{file}, line {line}: a value that is not finite: {row}")
    scale, offset = cutting.rescale
    values = scale * np.asarray(numbers, dtype=np.float64).reshape(-1, len(cutting.columns)) + offset
    return values.astype(np.float32), np.asarray(labels) if cutting.label else None


def _last(samples: Samples, fraction: float, cutting: _Cutting) -> tuple[Samples, Samples]:
    """The windows of one recording: the last ones test, without those that share rows with the others."""
    starts = np.asarray([int(name.rpartition("#")[2]) for name in samples.names])
    count = min(max(1, round(fraction * len(samples))), len(samples) - 1)
    if count < 1:
        raise UsageError(f"there is {samples.names[0]} only; give more rows, a test file, or split=0")
    first = starts[len(samples) - count]
    before = np.flatnonzero(starts + cutting.length <= first)
    if not len(before):
        raise UsageError("no window is left to calibrate; give more rows, a test file, or a smaller step")
    return samples.take(before), samples.take(np.flatnonzero(starts >= first))
