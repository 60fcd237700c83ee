"""A ``Value`` and its ``VectorSet`` as plain tables, and back. What a file says is checked, not trusted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pytest_quantcheck.baselines.value import Value, pack_bits, pack_counts, unpack_bits, unpack_counts
from pytest_quantcheck.baselines.vector_set import INPUTS, NAME, WHOLE, VectorSet
from pytest_quantcheck.errors import UsageError

_FINGERPRINT = re.compile(f"[0-9a-f]{{{NAME + INPUTS + WHOLE}}}")
_KEYS = ("clock_hz", "counts", "firmware", "model", "right", "runtime", "value", "vectors")
Unpacked = TypeVar("Unpacked")


def value_to_plain(value: Value) -> dict[str, Any]:
    """What is known of a value; what it is not bound to is left out."""
    number = int(value.value) if float(value.value).is_integer() else float(value.value)
    texts = {"model": value.model, "firmware": value.firmware, "runtime": value.runtime}
    plain: dict[str, Any] = {"value": number, **{key: text for key, text in texts.items() if text}}
    if value.clock_hz:
        plain["clock_hz"] = value.clock_hz
    if value.vectors is not None:
        plain["vectors"] = value.vectors.id
    if value.right is not None:
        plain["right"] = pack_bits(value.right)
    if value.counts:
        plain["counts"] = pack_counts(value.counts)
    return plain


def read_vectors(rows: object, where: str) -> VectorSet:
    """Fingerprints from a file, checked. Raises ``UsageError``."""
    if not isinstance(rows, list) or not all(
        isinstance(row, str) and _FINGERPRINT.fullmatch(row) for row in rows
    ):
        raise UsageError(f"{where} are no fingerprints of samples; take the file back from git")
    if rows != sorted({row[:NAME]: row for row in rows}.values()):
        raise UsageError(f"{where} are not sorted, or name a sample twice; take the file back from git")
    return VectorSet(tuple(rows))


def read_value(plain: Mapping[str, Any], vectors: Mapping[str, VectorSet], where: str) -> Value:
    """A value from its table. Raises ``UsageError`` for what no version of this program wrote."""
    if unknown := sorted(set(plain) - set(_KEYS)):
        raise UsageError(f"{where} has the key {unknown[0]!r}; allowed: {', '.join(_KEYS)}")
    number, clock = plain.get("value"), plain.get("clock_hz", 0)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not _is_finite(number):
        raise UsageError(f"{where} has the value {number!r}; allowed: a finite number")
    if isinstance(clock, bool) or not isinstance(clock, int) or clock < 0:
        raise UsageError(f"{where} has clock_hz {clock!r}; allowed: a whole number")
    over = None
    if "vectors" in plain:
        over = vectors.get(str(plain["vectors"]))
        if over is None:
            raise UsageError(f"{where} is over vectors {plain['vectors']!r}, which the file does not have")
    return Value(
        value=float(number),
        model=_text(plain, "model", where),
        firmware=_text(plain, "firmware", where),
        runtime=_text(plain, "runtime", where),
        clock_hz=clock,
        vectors=over,
        right=_unpacked(plain, "right", over, unpack_bits, where),
        counts=_unpacked(plain, "counts", over, unpack_counts, where),
    )


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond every float
        return False


def _text(plain: Mapping[str, Any], key: str, where: str) -> str:
    text = plain.get(key, "")
    if not isinstance(text, str):
        raise UsageError(f"{where} has {key} {text!r}; allowed: a text")
    return text


def _unpacked(
    plain: Mapping[str, Any],
    key: str,
    vectors: VectorSet | None,
    unpack: Callable[[str, int], Unpacked],
    where: str,
) -> Unpacked | None:
    if key not in plain:
        return None
    try:
        if vectors is None or not len(vectors):
            raise ValueError("no vectors")
        return unpack(_text(plain, key, where), len(vectors))
    except ValueError as error:
        raise UsageError(
            f"{where}: {key} does not fit its vectors ({error}); take the file back from git"
        ) from None
