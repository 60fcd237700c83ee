"""Datasets, and the readers that make them from files. Importing the package imports none of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.data.load import load_data as load_data
    from pytest_quantcheck.data.readers.annotated_folder import annotated_folder as annotated_folder
    from pytest_quantcheck.data.readers.audio_folder import audio_folder as audio_folder
    from pytest_quantcheck.data.readers.coco import coco as coco
    from pytest_quantcheck.data.readers.image_folder import image_folder as image_folder
    from pytest_quantcheck.data.readers.patches import LogMel as LogMel
    from pytest_quantcheck.data.readers.waves import Waves as Waves
    from pytest_quantcheck.data.readers.windows import windows as windows

_HOMES = {
    "LogMel": "readers.patches",
    "Waves": "readers.waves",
    "annotated_folder": "readers.annotated_folder",
    "audio_folder": "readers.audio_folder",
    "coco": "readers.coco",
    "image_folder": "readers.image_folder",
    "load_data": "load",
    "windows": "readers.windows",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
