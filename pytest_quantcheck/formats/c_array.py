"""A model inside C source, as ``xxd -i`` and exporters for microcontrollers write it: read as text.

Nothing is compiled or evaluated: comments go, the initialiser of an array is a list of numbers or is none.
Every step takes time in proportion to the file's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.formats.detect import is_onnx, is_tflite

SUFFIXES = (".h", ".hh", ".hpp", ".c", ".cc", ".cpp", ".cxx", ".inc")
MOST_BYTES = 96 << 20
"""Of the text: six characters per byte of a model of 16 MiB, far beyond what a microcontroller holds."""
_HEADER = 400  # characters before the brace in which an array's name and size are looked for
_MARKS = re.compile(r"[{};]")
_COMMENTS = re.compile(r"//|/\*")
_NAME = re.compile(r"(?<!\w)[A-Za-z_]\w{0,99}\s*$", re.ASCII)
_SIZE = re.compile(r"\s*(\d{0,9})", re.ASCII)
_NUMBER = re.compile(r"(-?)(0[xX][0-9a-fA-F]{1,4}|\d{1,4})[uUlL]{0,3}", re.ASCII)


def is_c_source(path: Path) -> bool:
    """Whether a file's name says that it is C or C++."""
    return path.name.lower().endswith(SUFFIXES)


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file; of C source those of the model in it.

    Raises ``OSError``, and ``ModelError`` for C source without exactly one model.
    """
    if not is_c_source(path):
        return read_whole(path)
    try:
        return model_in(read_whole(path, MOST_BYTES).decode("latin-1"))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def model_in(text: str) -> bytes:
    """The one model among the arrays of bytes in C source. Raises ``ModelError``."""
    found: dict[str, bytes] = {}
    others = []
    text = _without_comments(text)
    for name, declared, body in _arrays(text):
        content = _bytes_of(body)
        if isinstance(content, str):
            others.append(f"{name}, where {content} is no byte")
        elif not (is_tflite(content) or is_onnx(content)):
            others.append(f"{name} ({len(content)} bytes)")
        elif (declared := declared or _told_length(text, name)) not in (0, len(content)):
            raise ModelError(
                f"the array {name} declares {declared} bytes and holds {len(content)}: the file was cut or "
                "edited. Write it again, for example with xxd -i"
            )
        else:
            found[name] = content
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    if found:
        raise ModelError(
            f"{len(found)} arrays hold models: {', '.join(list(found)[:5])}; leave one in the file"
        )
    raise ModelError(
        f"no array of bytes in it is a .tflite model (arrays: {', '.join(others[:5]) or 'none'}). Expected: "
        "what xxd -i model.tflite writes: unsigned char name[] = {0x1c, 0x00, ...}"
    )


def _told_length(text: str, name: str) -> int:
    """The ``name_len`` that exporters write beside the array; 0 where there is none."""
    told = re.search(rf"\b{re.escape(name.split()[-1])}_len\s*=\s*(\d{{1,12}})\b", text)
    return int(told[1]) if told else 0


def _without_comments(text: str) -> str:
    """Raises ``ModelError`` for a comment that does not end."""
    parts, at = [], 0
    while match := _COMMENTS.search(text, at):
        parts.append(text[at : match.start()])
        mark = "\n" if match.group() == "//" else "*/"
        end = text.find(mark, match.end())
        if end < 0 and mark == "*/":
            raise ModelError("a comment does not end: the file is cut short")
        at = len(text) if end < 0 else end + (0 if mark == "\n" else 2)
        parts.append(" ")
    return "".join([*parts, text[at:]])


def _arrays(text: str) -> Iterator[tuple[str, int, str]]:
    """Name, declared size (0: none) and what is between the braces of each array with an initialiser."""
    start, opened = 0, -1
    for mark in _MARKS.finditer(text):
        at = mark.start()
        if mark.group() == "{":
            start, opened = (start if opened < 0 else opened + 1), at
            continue
        closed = mark.group() == "}" and opened >= 0
        if closed and (declared := _declared(text[max(start, opened - _HEADER) : opened])):
            yield *declared, text[opened + 1 : at]
        start, opened = at + 1, -1
    if opened >= 0 and _declared(text[max(start, opened - _HEADER) : opened]):
        raise ModelError("an array does not end: the file is cut short")


def _declared(header: str) -> tuple[str, int] | None:
    """Name and size (0: none) where ``header`` ends like ``unsigned char name[size] =``."""
    before, bracket, behind = header.rstrip().rpartition("[")
    name, size = _NAME.search(before), _SIZE.match(behind)
    if not (bracket and name and size and behind.endswith("=") and "]" in behind):
        return None
    return name[0].strip(), int(size[1] or 0)


def _bytes_of(body: str) -> bytes | str:
    """The numbers of an initialiser, or the first word that is no byte."""
    values = bytearray()
    words = body.split(",")
    if not words[-1].strip():
        words.pop()
    for word in words:
        match = _NUMBER.fullmatch(word.strip())
        value = _value(match) if match else None
        if value is None or not -128 <= value <= 255:
            return repr(word.strip()[:40])
        values.append(value & 0xFF)
    return bytes(values)


def _value(match: re.Match[str]) -> int | None:
    """As C reads it: a leading zero means octal."""
    digits = match[2]
    try:
        value = int(digits, 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10)
    except ValueError:
        return None
    return -value if match[1] else value
