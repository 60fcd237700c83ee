"""``Picture``: a sample as a small picture, where its input is an image or a spectrogram."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.formats.png import png
from pytest_quantcheck.numerics.arrays import Array

_SIDE = 48  # pixels at most
_SMALLEST = 4  # pixels of a side: less is a few columns of numbers
_COLOURS = (1, 3, 4)
_LONGEST = 1 << 14  # characters: more than any picture of that size takes
_PNG = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]*=*")  # begins with a PNG file's signature


@dataclass(frozen=True)
class Picture:
    """``png`` is a PNG file in base64; ``UsageError`` for what is none."""

    sample: str
    png: str

    def __post_init__(self) -> None:
        if len(self.png) > _LONGEST or not _PNG.fullmatch(self.png):
            raise UsageError(f"the picture of {self.sample!r} is no small PNG file in base64")


def pictures(samples: Samples, names: Iterable[str], most: int) -> tuple[Picture, ...]:
    """Pictures of the first ``most`` named samples; none where no input looks like an image."""
    which = next((each for each in samples.inputs if _is_image(each.shape[1:])), None)
    if which is None:
        return ()
    places = {name: at for at, name in enumerate(samples.names)}
    chosen = [name for name in dict.fromkeys(names) if name in places][:most]
    return tuple(
        Picture(name, base64.b64encode(png(thumbnail(which[places[name]]))).decode()) for name in chosen
    )


def thumbnail(image: Array) -> npt.NDArray[np.uint8]:
    """(H, W), (H, W, C) or (C, H, W) as bytes (H, W) or (H, W, 3), from the darkest value to the lightest;
    what is larger than ``_SIDE`` is averaged over squares.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if values.ndim == 3 and values.shape[2] not in _COLOURS:
        values = values.transpose(1, 2, 0)
    values = values.reshape(*values.shape[:2], -1)[..., :3]
    step = -(-max(values.shape[:2]) // _SIDE)
    rows, columns = (np.arange(0, size, step) for size in values.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff([*rows, values.shape[0]]), np.diff([*columns, values.shape[1]]))
    means = sums / counts[..., np.newaxis]
    low, high = means.min(), means.max()
    shades = np.round((means - low) / ((high - low) or 1.0) * 255)
    return np.asarray(shades if shades.shape[2] == 3 else shades[..., 0], dtype=np.uint8)


def _is_image(shape: tuple[int, ...]) -> bool:
    """Two axes of pixels, and perhaps one of colours, last or first."""
    if len(shape) == 3 and shape[2] in _COLOURS:
        shape = shape[:2]
    elif len(shape) == 3 and shape[0] in _COLOURS:
        shape = shape[1:]
    return len(shape) == 2 and min(shape) >= _SMALLEST
