"""``coco``: pictures whose boxes stand in one JSON file, in the form of the COCO data set.

Source of the form: cocodataset.org, *data format*.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.readers.boxes import Rows, truth
from pytest_quantcheck.data.readers.image_folder import sides
from pytest_quantcheck.data.readers.pixels import Pixels
from pytest_quantcheck.data.readers.split import Split
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.wording import shortened

MOST_BYTES = 1 << 30


def coco(
    images: str | Path,
    annotations: str | Path,
    *,
    size: int | tuple[int, int],
    test: str | Path | None = None,
    test_annotations: str | Path | None = None,
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

    ``images`` is the folder that the file names in ``annotations`` start from; ids are those names. The
    labels 0, 1, ... are the categories in the order of their ids; ``classes`` takes some of them, in its
    order, and pictures without any stay. ``iscrowd`` regions are left out. The other arguments: see
    ``image_folder``.

    Raises ``ModelError`` that names file and entry where something is wrong, ``UsageError`` for an unknown
    class.
    """
    pixels = Pixels(sides(size), interpolation, aspect_ratio, color_mode, rescale)
    if (test is None) != (test_annotations is None):
        raise UsageError("test and test_annotations go together: the folder of pictures and the JSON file")
    names, calibration = _samples(Path(images), Path(annotations), pixels, classes)
    if test is None or test_annotations is None:
        calibration, held_out = Split(split, seed)(calibration)
    else:
        _, held_out = _samples(Path(test), Path(test_annotations), pixels, names)
    return Dataset(calibration, held_out, task, names, pixels.input_range)


def _samples(
    folder: Path, file: Path, pixels: Pixels, classes: Sequence[str]
) -> tuple[tuple[str, ...], Samples]:
    document = _document(file)
    names, numbers = _categories(document, file, classes)
    pictures: dict[int, tuple[str, int, int]] = {}
    for at, entry in enumerate(document["images"]):
        number, name, height, width = _fields(
            entry, file, f"images[{at}]", id=int, file_name=str, height=int, width=int
        )
        if height < 1 or width < 1 or number in pictures:
            raise ModelError(
                f"{file}, images[{at}]: id {number} of {width} x {height} pixels; "
                "ids are given once, sizes are above 0"
            )
        pictures[number] = _inside(name, file, f"images[{at}]"), height, width
    boxes: dict[int, list[list[float]]] = {number: [] for number in pictures}
    for at, entry in enumerate(document["annotations"]):
        _add(boxes, pictures, numbers, entry, file, f"annotations[{at}]")
    order = sorted(pictures, key=lambda number: pictures[number][0])
    paths = [folder / pictures[number][0] for number in order]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise ModelError(
            f"{file} names {len(missing)} of {len(paths)} pictures that are not there, such as "
            f"{shortened(missing, 2)}; the names start from {folder}"
        )
    rows: list[Rows] = [np.asarray(boxes[number], dtype=np.float64).reshape(-1, 5) for number in order]
    y = truth(rows, pixels, lambda i: pictures[order[i]][1:])
    return names, Samples(pixels.read(paths), y, [pictures[number][0] for number in order])


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_whole(file, MOST_BYTES))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError names line and column
        raise ModelError(f"{file} is no JSON: {error}") from error
    wanted = ("images", "annotations", "categories")
    if not isinstance(document, dict) or any(not isinstance(document.get(key), list) for key in wanted):
        raise ModelError(f"{file} holds no lists {', '.join(wanted)}, as a COCO file does")
    return document


def _categories(
    document: dict[str, Any], file: Path, classes: Sequence[str]
) -> tuple[tuple[str, ...], dict[int, int | None]]:
    """The names of the labels, and the label of each category id; None for one that is not wanted."""
    found = [
        tuple(_fields(entry, file, f"categories[{at}]", id=int, name=str))
        for at, entry in enumerate(document["categories"])
    ]
    if not found or len({number for number, _ in found}) != len(found):
        raise ModelError(f"{file}: categories have no entry, or two with one id")
    by_id = dict(sorted(found))
    names = tuple(classes) or tuple(by_id.values())
    if unknown := [name for name in names if name not in by_id.values()]:
        raise UsageError(
            f"{file} has no category {unknown[0]!r}; it has {shortened(list(by_id.values()), 20)}"
        )
    return names, {n: names.index(name) if name in names else None for n, name in by_id.items()}


def _add(
    boxes: dict[int, list[list[float]]],
    pictures: dict[int, tuple[str, int, int]],
    numbers: dict[int, int | None],
    entry: object,
    file: Path,
    place: str,
) -> None:
    """One annotation, as fractions of its picture."""
    image, category, box = _fields(entry, file, place, image_id=int, category_id=int, bbox=list)
    if image not in pictures or category not in numbers:
        key, value = ("image_id", image) if image not in pictures else ("category_id", category)
        raise ModelError(f"{file}, {place}: there is no {key} {value}")
    if len(box) != 4 or any(type(n) not in (int, float) or not np.isfinite(n) for n in box):
        raise ModelError(f"{file}, {place}: bbox {str(box)[:80]}; wanted: x, y, width, height in pixels")
    assert isinstance(entry, dict)
    label = numbers[category]
    if label is None or entry.get("iscrowd"):
        return
    _, height, width = pictures[image]
    x, y, w, h = box
    boxes[image].append([y / height, x / width, (y + h) / height, (x + w) / width, label])


def _fields(entry: object, file: Path, place: str, **wanted: type) -> list[Any]:
    """The values of some keys, each of its type."""
    if not isinstance(entry, dict):
        raise ModelError(f"{file}, {place}: an object with {', '.join(wanted)} is wanted")
    for key, kind in wanted.items():
        if type(entry.get(key)) is not kind:
            raise ModelError(
                f"{file}, {place}: {key} is {str(entry.get(key, 'missing'))[:80]}; wanted: {kind.__name__}"
            )
    return [entry[key] for key in wanted]


def _inside(name: str, file: Path, place: str) -> str:
    """A name below the folder of pictures. Raises ``ModelError`` for one that leads out of it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        raise ModelError(f"{file}, {place}: file_name {name!r} leads out of the folder of pictures")
    return path.as_posix()
