"""Readers named by a text: ``images:train/?size=96&rescale=1/127.5,-1``.

``reader:folder?key=value&key=value``: the keys are the arguments of the reader's function, the values numbers
(or arithmetic), texts, and lists with commas. ``%26`` stands for ``&`` and ``%3D`` for ``=``, as in
addresses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.readers.annotated_folder import annotated_folder
from pytest_quantcheck.data.readers.audio_folder import audio_folder
from pytest_quantcheck.data.readers.coco import coco
from pytest_quantcheck.data.readers.image_folder import image_folder
from pytest_quantcheck.data.readers.patches import LogMel
from pytest_quantcheck.data.readers.waves import Waves
from pytest_quantcheck.data.readers.windows import windows
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.expression import arithmetic

READERS: dict[str, Callable[..., Dataset]] = {
    "images": image_folder,
    "boxes": annotated_folder,
    "coco": coco,
    "audio": audio_folder,
    "windows": windows,
}
PARTS: dict[str, type[Waves] | type[LogMel]] = {"waves": Waves, "features": LogMel}
"""Arguments that are settings of their own: ``waves.target_rate=16000``."""
_PATHS = ("annotations", "csv", "test", "test_annotations", "test_csv")
_LISTS = ("classes", "columns")
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "none": None}


def is_source(text: str, base: Path | None = None) -> bool:
    """Whether a text names a reader, and not a function of a module that is called like one."""
    reader, colon, rest = text.partition(":")
    if not colon or reader not in READERS:
        return False
    return not rest.isidentifier() or ((base or Path()) / rest).exists()


def read_source(text: str, base: Path | None = None) -> Dataset:
    """What the reader makes of its folder; paths start from ``base``. Raises ``UsageError`` and
    ``ModelError``."""
    reader, _, rest = text.partition(":")
    folder, _, query = rest.partition("?")
    function = READERS[reader]
    here = base or Path()
    arguments: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        part, dot, name = key.partition(".")
        if not equals:
            raise UsageError(f"{text!r}: {pair!r} is no key=value")
        if key in arguments or name in parts.get(part, {}):
            raise UsageError(f"{text!r}: {key} is given twice")
        if dot and part in PARTS:
            parts.setdefault(part, {})[name] = _value(key, unquote(value), here)
        else:
            arguments[key] = _value(key, unquote(value), here)
    for part, values in parts.items():
        _check(text, part + ".", values, PARTS[part])
        arguments[part] = _called(text, PARTS[part], values)
    _check(text, "", arguments, function)
    return _called(text, function, arguments, here / unquote(folder))  # type: ignore[no-any-return]


def _value(key: str, text: str, base: Path) -> Any:
    if key in _PATHS:
        return base / text
    if key in _LISTS:
        return tuple(text.split(","))
    if text in _WORDS:
        return _WORDS[text]
    try:
        return arithmetic(text)
    except UsageError:
        return text


def _check(text: str, prefix: str, given: dict[str, Any], function: Callable[..., Any]) -> None:
    """Only keys that the function has, and all that it needs."""
    known = list(inspect.signature(function).parameters.values())
    names = [each.name for each in known if each.name not in ("folder", "images", "source", *PARTS)]
    if unknown := [key for key in given if key not in names and key not in PARTS]:
        raise UsageError(f"{text!r}: unknown key {prefix}{unknown[0]}; allowed: {', '.join(names)}")
    for each in known[0 if prefix else 1 :]:
        if each.default is inspect.Parameter.empty and each.name not in given:
            raise UsageError(f"{text!r} needs the key {prefix}{each.name}")


def _called(text: str, function: Callable[..., Any], given: dict[str, Any], *paths: Path) -> Any:
    try:
        return function(*paths, **given)
    except TypeError as error:  # a text where a number is wanted
        raise UsageError(f"{text!r}: a value is of the wrong kind ({error})") from error
