"""``load_data``: a dataset from NumPy files or from ``package.module:function``."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.numpy_file import NumpyFile
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.named_function import call_reference, is_reference
from pytest_quantcheck.numerics.arrays import Array

FORMAT = (
    "A .npy file holds the samples, sample axis first. An .npz file holds x (or x0, x1, ... for several "
    "inputs), and if known y and ids; or a whole dataset: calibration_x, calibration_y, calibration_ids, "
    "test_x, test_y, test_ids, classes, input_range"
)


def load_data(source: str | Path, base: Path | None = None) -> Union[Dataset, Samples]:
    """``.npy`` and ``.npz`` files (see ``FORMAT``), or a function that returns a ``Dataset`` or ``Samples``.

    ``base`` is the folder that relative names start from. Raises ``UsageError`` or ``ModelError``.
    """
    path = (base or Path()) / source
    if isinstance(source, str) and is_reference(source) and not path.exists():
        made = call_reference(source, base)
        if isinstance(made, (Dataset, Samples)):
            return made
        raise UsageError(f"{source!r} returned a {type(made).__name__}; a Dataset or Samples is wanted")
    if not path.is_file():
        raise UsageError(f"there is no data file {path}. {FORMAT}")
    try:
        file = NumpyFile(path)
        arrays = dict(file)
    except ModelError as error:
        raise ModelError(f"{error}. {FORMAT}") from error
    if file.single:
        return Samples(arrays[""])
    whole = any(name.startswith(("test_x", "calibration_x")) for name in arrays)
    return _dataset(arrays, path) if whole else _samples(arrays, "", path)


def _dataset(arrays: dict[str, Array], path: Path) -> Dataset:
    span = arrays.get("input_range")
    if span is not None and span.shape != (2,):
        raise ModelError(f"{path}: input_range holds two numbers; here it has the shape {span.shape}")
    return Dataset(
        calibration=_samples(arrays, "calibration_", path),
        test=_samples(arrays, "test_", path),
        classes=tuple(str(name) for name in arrays.get("classes", ())),
        input_range=None if span is None else (float(span[0]), float(span[1])),
    )


def _samples(arrays: dict[str, Array], prefix: str, path: Path) -> Samples:
    start = f"{prefix}x"
    numbers = sorted(
        int(n[len(start) :]) for n in arrays if n.startswith(start) and n[len(start) :].isdigit()
    )
    ids = arrays.get(f"{prefix}ids")
    names = None if ids is None else [str(name) for name in ids]
    if start in arrays:
        return Samples(arrays[start], arrays.get(f"{prefix}y"), names)
    if numbers:
        return Samples(tuple(arrays[f"{start}{n}"] for n in numbers), arrays.get(f"{prefix}y"), names)
    raise ModelError(f"{path} holds no {start}; it has: {', '.join(sorted(arrays)) or 'nothing'}. {FORMAT}")
