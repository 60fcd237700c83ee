"""The Oxford-IIIT Pet dataset as the course reads it: lists in ``annotations``, pictures in ``images``.

Parkhi et al., *Cats and Dogs*, CVPR 2012; the layout is that of its ``annotations/README``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import Index, Lazy
from pytest_quantcheck.data.readers.pixels import MOST_BYTES, picture_size
from pytest_quantcheck.data.readers.threads import readers
from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.numerics.arrays import Float32

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pictures, red, green, blue: what the course's model was trained with."""
_LINE = re.compile(r"([\w.-]+_[0-9]+) ([0-9]{1,4}) [0-9]+ [0-9]+", re.ASCII)


def is_pets(root: Path) -> bool:
    """Whether a folder has the layout of this dataset."""
    return (root / "annotations" / "trainval.txt").is_file() and (root / "images").is_dir()


def pets(root: Path, size: tuple[int, int]) -> Dataset:
    """Pictures (N, height, width, 3) float32: resized by Pillow (bicubic), (x / 255 - mean) / deviation.

    ``trainval.txt`` calibrates, ``test.txt`` tests. The pictures are read when they are needed; ids are their
    names. Raises ``UsageError`` and ``ModelError``, ``MissingExtraError`` without Pillow.
    """
    _pillow()
    calibration, names = _samples(root, "trainval", size)
    test, others = _samples(root, "test", size)
    known = {**others, **names}
    return Dataset(calibration, test, classes=tuple(known.get(k, str(k)) for k in range(max(known) + 1)))


def _samples(root: Path, which: str, size: tuple[int, int]) -> tuple[Samples, dict[int, str]]:
    """The pictures of a list, and the names of the classes that occur in it."""
    file = root / "annotations" / f"{which}.txt"
    if not file.is_file():
        raise UsageError(f"there is no {file}; unpack annotations.tar.gz into {root}")
    names, labels = [], []
    for number, text in enumerate(read_whole(file, MOST_BYTES).decode("utf-8", "replace").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text.strip())
        if found is None or int(found[2]) < 1:
            raise ModelError(
                f"{file}:{number}: {text[:80]!r}; expected name_NUMBER CLASS-ID SPECIES BREED-ID, all "
                "numbers from 1"
            )
        names.append(found[1])
        labels.append(int(found[2]) - 1)
    if not names:
        raise UsageError(f"{file} names no picture")
    files = [root / "images" / f"{name}.jpg" for name in names]
    x = Lazy(len(files), (*size, 3), np.float32, lambda index: _rows(files, index, size), _identity(files))
    called = {label: name.rpartition("_")[0] for name, label in zip(names, labels, strict=True)}
    return Samples(x, np.asarray(labels, np.int64), names), called


def _identity(files: list[Path]) -> Any:
    return lambda row: read_whole(files[row], MOST_BYTES)


def _rows(files: list[Path], index: Index, size: tuple[int, int]) -> Float32:
    return np.stack(list(readers().map(lambda i: _picture(files[i], size), index)))


def _picture(file: Path, size: tuple[int, int]) -> Float32:
    picture_size(file)  # refuses what is no picture, or too large
    image = _pillow()
    try:
        with image.open(file) as opened:
            small = opened.convert("RGB").resize((size[1], size[0]))
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise ModelError(f"{file} is damaged, or no picture that Pillow decodes ({error})") from error
    scaled: Float32 = np.asarray(small, np.float32) / np.float32(255)
    return np.asarray((scaled - MEAN) / STD, np.float32)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "zoo", "Reading images") from error
    return Image
