"""``image_folder``: pictures whose class is the folder that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.listing import listed
from pytest_quantcheck.data.readers.pixels import ENDINGS, Pixels
from pytest_quantcheck.data.readers.split import Split
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError


def image_folder(
    folder: str | Path,
    *,
    size: int | tuple[int, int],
    test: str | Path | None = None,
    split: float = 0.2,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    interpolation: str = "bilinear",
    aspect_ratio: str = "fit",
    color_mode: str = "rgb",
    rescale: tuple[float, float] = (1 / 255, 0.0),
    task: str | Task | None = None,
) -> Dataset:
    """Pictures (N, height, width, channels) float32 from ``folder/<class>/**``; ids are their paths in it.

    ``folder`` calibrates and ``test`` tests; without ``test`` the fraction ``split`` of ``folder`` is held
    out, by ``seed``, of every class alike. ``size`` is (height, width), or the side of a square; what the
    other values mean is said in ``Pixels``. ``classes`` gives the order of the class folders (default: by
    name). Pictures that lie in ``folder`` itself have no label.

    The pictures are read when they are needed. Raises ``UsageError`` for wrong values and empty folders,
    ``MissingExtraError`` without TensorFlow and Pillow; reading a damaged file raises ``ModelError``.
    """
    pixels = Pixels(sides(size), interpolation, aspect_ratio, color_mode, rescale)
    names, calibration = _samples(folder, pixels, classes)
    if test is None:
        calibration, held_out = Split(split, seed)(calibration)
    else:
        known, held_out = _samples(test, pixels, names or classes, all_there=not names)
        names = names or known
    labelled = calibration.y is not None or held_out.y is not None
    return Dataset(
        calibration,
        held_out,
        task=task or ("classification" if labelled else "agreement"),
        classes=names if labelled else (),
        input_range=pixels.input_range,
    )


def sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of what may be the side of a square."""
    if isinstance(size, int):
        return size, size
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise UsageError(f"size={size!r}: allowed: a whole number, or height and width")
    return size[0], size[1]


def _samples(
    folder: str | Path, pixels: Pixels, classes: Sequence[str] | None, *, all_there: bool = True
) -> tuple[tuple[str, ...], Samples]:
    found = listed(folder, ENDINGS)
    names, labels = found.classes(classes, all_there=all_there)
    truth = None if labels is None else np.asarray(labels, dtype=np.int64)
    return names, Samples(pixels.read(found.files), truth, found.names)
