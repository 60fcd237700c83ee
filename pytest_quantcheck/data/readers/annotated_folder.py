"""``annotated_folder``: pictures with a file of boxes beside each, as YOLO and the STM32 model zoo write
them.

A text file has one box per line: ``class x y width height``, the centre and the size as fractions of the
picture. The model zoo's ``.tfs`` file is the same as a TensorFlow tensor (boxes, 5), padded with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.boxes import Rows, truth
from pytest_quantcheck.data.readers.image_folder import sides
from pytest_quantcheck.data.readers.listing import listed
from pytest_quantcheck.data.readers.pixels import ENDINGS, Pixels, picture_size
from pytest_quantcheck.data.readers.split import Split
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import read_whole

MOST_BYTES = 1 << 22
LAYOUT = "class x y width height, the class a whole number, the others fractions of the picture from 0 to 1"
_SLACK = 1e-3  # rounding of whoever wrote the file


def annotated_folder(
    folder: str | Path,
    *,
    size: int | tuple[int, int],
    test: str | Path | None = None,
    split: float = 0.2,
    seed: int = 0,
    classes: Sequence[str] = (),
    interpolation: str = "bilinear",
    aspect_ratio: str = "fit",
    color_mode: str = "rgb",
    rescale: tuple[float, float] = (1 / 255, 0.0),
    task: str | Task = "detection",
) -> Dataset:
    """Pictures (N, height, width, channels) float32 with their boxes (N, boxes, 5), see ``boxes.truth``.

    The annotation of ``a/b.jpg`` is ``a/b.tfs`` or ``a/b.txt``, or ``labels/b.txt`` for ``images/b.jpg`` as
    YOLO has it. A picture without one has no object; where no picture has one, there is no truth. ``classes``
    names the numbers 0, 1, ... that the files hold. The other arguments: see ``image_folder``.

    Raises ``ModelError`` that names file and line where an annotation is wrong.
    """
    pixels = Pixels(sides(size), interpolation, aspect_ratio, color_mode, rescale)
    calibration = _samples(Path(folder), pixels, tuple(classes))
    if test is None:
        calibration, held_out = Split(split, seed)(calibration)
    else:
        held_out = _samples(Path(test), pixels, tuple(classes))
    return Dataset(calibration, held_out, task, tuple(classes), pixels.input_range)


def _samples(folder: Path, pixels: Pixels, classes: tuple[str, ...]) -> Samples:
    found = listed(folder, ENDINGS)
    annotations = [_annotation(file, folder) for file in found.files]
    if not any(annotations):
        return Samples(pixels.read(found.files), None, found.names)
    boxes = [np.zeros((0, 5)) if each is None else _boxes(each, len(classes)) for each in annotations]
    y = truth(boxes, pixels, lambda i: picture_size(found.files[i]))
    return Samples(pixels.read(found.files), y, found.names)


def _annotation(picture: Path, folder: Path) -> Path | None:
    """The file that lies beside a picture, or in the tree ``labels`` beside the tree ``images``."""
    for ending in (".tfs", ".txt"):
        beside = picture.with_suffix(ending)
        if beside.is_file():
            return beside
    *parts, name = picture.with_suffix(".txt").relative_to(folder).parts
    roots = [folder.with_name("labels")] if folder.name == "images" else []
    if "images" in parts:
        at = len(parts) - 1 - parts[::-1].index("images")
        parts, roots = [*parts[:at], "labels", *parts[at + 1 :]], [folder]
    return next((each for root in roots if (each := root.joinpath(*parts, name)).is_file()), None)


def _boxes(file: Path, classes: int) -> Rows:
    try:
        content = read_whole(file, MOST_BYTES)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from error
    numbers = _tensor(content, file) if file.suffix == ".tfs" else _text(content, file)
    where = "row" if file.suffix == ".tfs" else "line"
    rows = []
    for line, values in numbers:
        kind, x, y, width, height = values
        place = f"{file}, {where} {line}"
        if kind != math.floor(kind) or kind < 0 or (classes and kind >= classes):
            known = f"0 to {classes - 1}, as classes= names {classes}" if classes else "whole numbers from 0"
            raise ModelError(f"{place}: the class is {kind:g}; allowed: {known}")
        if not all(-_SLACK <= each <= 1 + _SLACK for each in (x, y, width, height)) or not width * height:
            raise ModelError(
                f"{place}: a box {x:g} {y:g} {width:g} {height:g}; wanted: {LAYOUT}. Are these pixels? "
                "Divide by the width and height of the picture"
            )
        rows.append((y - height / 2, x - width / 2, y + height / 2, x + width / 2, kind))
    return np.asarray(rows, dtype=np.float64).reshape(-1, 5)


def _text(content: bytes, file: Path) -> list[tuple[int, list[float]]]:
    """The numbers of each line that is not empty, with its number."""
    found = []
    for line, text in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            _refuse(file, line, text)
        if len(values) != 5 or not all(map(math.isfinite, values)):
            _refuse(file, line, text)
        found.append((line, values))
    return found


def _refuse(file: Path, line: int, text: str) -> NoReturn:
    raise ModelError(f"{file}, line {line}: {text.strip()[:80]!r}; wanted: {LAYOUT}") from None


def _tensor(content: bytes, file: Path) -> list[tuple[int, list[float]]]:
    """The rows of a serialized float32 tensor (boxes, 5) that are not all zero, counted from 1."""
    import tensorflow as tf

    try:
        rows = tf.io.parse_tensor(content, out_type=tf.float32).numpy()
    except Exception as error:  # TensorFlow raises what it raises
        raise ModelError(f"{file} is damaged, or no tensor of float32") from error
    if rows.ndim != 2 or rows.shape[1] != 5 or not np.isfinite(rows).all():
        raise ModelError(f"{file} holds a tensor {rows.shape}; wanted: finite numbers (boxes, 5): {LAYOUT}")
    return [(i, row.tolist()) for i, row in enumerate(rows, start=1) if row.any()]
