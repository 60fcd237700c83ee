"""``load_data``: a dataset from NumPy files, pickles of arrays, folders, or ``package.module:function``."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Union

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.numpy_file import NumpyFile
from pytest_quantcheck.data.pickled import read_pickle
from pytest_quantcheck.data.readers.source import READERS, is_source, read_source
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.named_function import call_reference, is_reference
from pytest_quantcheck.numerics.arrays import Array

FORMAT = (
    "A .npy file holds the samples, sample axis first. An .npz file holds x (or for several inputs x0, x1, "
    "..., or 0, 1, ..., or arrays named like the model's inputs), and if known y and ids; or a whole "
    "dataset: calibration_x, calibration_y, calibration_ids, "
    "test_x, test_y, test_ids, classes, input_range. A .pickle or .pkl file holds such arrays in a "
    "dict, or a pair x, y"
)


Names = Callable[[], Sequence[str]]


def load_data(
    source: str | Path, base: Path | None = None, names: Names | None = None
) -> Union[Dataset, Samples]:
    """``.npy``, ``.npz`` and ``.pickle`` files (see ``FORMAT``), a function that returns a ``Dataset`` or
    ``Samples``, or a folder read by one of ``data/readers/``, such as ``images:train?size=96``.

    ``base`` is the folder that relative names start from. ``names`` gives the names of the model's inputs; it
    is called when the file has no ``x``. Raises ``UsageError`` or ``ModelError``.
    """
    if isinstance(source, str) and is_source(source, base):
        return read_source(source, base)
    path = (base or Path()) / source
    if isinstance(source, str) and is_reference(source) and not path.exists():
        made = call_reference(source, base)
        if isinstance(made, (Dataset, Samples)):
            return made
        raise UsageError(f"{source!r} returned a {type(made).__name__}; a Dataset or Samples is expected")
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder; say what lies in it: {', '.join(f'{name}:{source}' for name in READERS)}, "
            f"or give a function that reads it, as package.module:function. {FORMAT}"
        )
    if not path.exists():
        raise UsageError(f"there is no data file {path}. {FORMAT}")
    try:
        arrays = read_pickle(path) if path.suffix in (".pickle", ".pkl") else dict(NumpyFile(path))
    except ModelError as error:
        raise ModelError(f"{error}. {FORMAT}") from error
    if "" in arrays:
        return Samples(arrays[""])
    whole = any(name.startswith(("test_x", "calibration_x")) for name in arrays)
    return _dataset(arrays, path) if whole else _samples(arrays, "", path, names)


def _dataset(arrays: dict[str, Array], path: Path) -> Dataset:
    span = arrays.get("input_range")
    if span is not None and (span.shape != (2,) or span.dtype.kind not in "biuf"):
        raise ModelError(
            f"{path}: input_range holds two numbers; here it has the shape {span.shape} of {span.dtype}"
        )
    return Dataset(
        calibration=_samples(arrays, "calibration_", path),
        test=_samples(arrays, "test_", path),
        classes=_names(arrays, "classes", path) or (),
        input_range=None if span is None else (float(span[0]), float(span[1])),
    )


def _samples(arrays: dict[str, Array], prefix: str, path: Path, names: Names | None = None) -> Samples:
    start = f"{prefix}x"
    numbered = re.compile(re.escape(start) + "(0|[1-9][0-9]{0,3})")
    numbers = sorted(int(match[1]) for name in arrays if (match := numbered.fullmatch(name)))
    labels, ids = arrays.get(f"{prefix}y"), _names(arrays, f"{prefix}ids", path)
    if labels is not None and labels.ndim < 1:
        raise ModelError(f"{path}: {prefix}y is a single value; one label per sample is expected")
    if start in arrays:
        return Samples(arrays[start], labels, ids)
    if numbers:
        return Samples(tuple(arrays[f"{start}{n}"] for n in numbers), labels, ids)
    if not prefix and (keys := _input_keys(arrays, names() if names else ())):
        return Samples(tuple(arrays[key] for key in keys), labels, ids)
    raise ModelError(f"{path} holds no {start}; it has: {', '.join(sorted(arrays)) or 'nothing'}. {FORMAT}")


def input_key(keys: Container[str], number: int, name: str) -> str | None:
    """Which of a file's arrays is the model's input ``number``, called ``name`` in the model.

    Its name, with or without what TensorFlow puts around it, or its number, as NumPy may have written it.
    """
    bare = name.removeprefix("serving_default_").partition(":")[0]
    return next((key for key in (name, bare, str(number), f"arr_{number}") if key and key in keys), None)


def _input_keys(arrays: dict[str, Array], names: Sequence[str]) -> list[str]:
    """The array of each of the model's inputs; empty where one is missing."""
    found = [input_key(arrays, number, name) for number, name in enumerate(names)]
    keys = [key for key in found if key is not None]
    return keys if len(keys) == len(names) == len(set(keys)) else []


def _names(arrays: dict[str, Array], key: str, path: Path) -> tuple[str, ...] | None:
    names = arrays.get(key)
    if names is None:
        return None
    if names.ndim != 1:
        raise ModelError(f"{path}: {key} has the shape {names.shape}; a list of names is expected")
    return tuple(str(name) for name in names)
