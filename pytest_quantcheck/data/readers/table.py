"""CSV files from strangers: a header, and rows that know their line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.wording import shortened

MOST_BYTES = 1 << 28


def rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, and its values in ``columns``.

    Comma, semicolon or tab separates, whichever the header holds most. Raises ``UsageError`` for a file that
    cannot be read or lacks a column, ``ModelError`` with the line for a row that is too short.
    """
    try:
        text = read_whole(file, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    header = [name.strip() for name in next(_lines(reader, file), (0, [""]))[1]]
    for name in columns:
        if name not in header:
            raise UsageError(f"{file} has no column {name!r}; it has {shortened(header, 20)}")
    places = [header.index(name) for name in columns]
    for line, values in _lines(reader, file):
        if not any(value.strip() for value in values):
            continue
        if len(values) <= max(places, default=0):
            raise ModelError(f"{file}, line {line}: {len(values)} values, the header names {len(header)}")
        yield line, [values[place].strip() for place in places]


def _lines(reader: Iterator[list[str]], file: Path) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = getattr(reader, "line_num", 0)
            raise ModelError(f"{file}, line {line}: {error}") from error
        yield getattr(reader, "line_num", 0), values
