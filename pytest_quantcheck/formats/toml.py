"""TOML from strangers: bounded in size, in the depth of its keys and in its numbers.

Python's parser keeps every prefix of every dotted key: one line of a megabyte would take gigabytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import read_whole

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1 << 18
MOST_PARTS = 16  # of a dotted key
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_LONG_KEY = re.compile(rf"(?<![\w-])(?:{_PART}){{{MOST_PARTS}}}")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises ``OSError``, and ``ModelError`` that says what is wrong and where."""
    content = read_whole(path, MOST_BYTES)
    try:
        text = content.decode("utf-8")
        if found := _LONG_KEY.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise ModelError(f"{path}: line {line} has a key of more than {MOST_PARTS} dotted parts")
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ModelError(f"{path}: lists or tables are nested too deeply") from error
    except ValueError as error:  # no UTF-8, no TOML, a number too long for Python
        raise ModelError(f"{path} is not sound TOML ({error})") from error
    for number in _numbers(document):
        if not -(1 << 63) <= number < 1 << 63:
            raise ModelError(f"{path}: a whole number has more than the 64 bits that TOML allows")
    return document


def _numbers(document: Any) -> Iterator[int]:
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, int):
            yield item
