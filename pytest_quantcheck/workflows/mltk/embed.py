"""Parameters in a ``.tflite`` file: read, and put there with the hashes that tie them to the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from pytest_quantcheck.formats.mltk_parameters import TAG, Value, decode, encode
from pytest_quantcheck.formats.tflite_metadata import read_metadata, with_metadata
from pytest_quantcheck.models.schema import semantic_sha256

STALE = ("hash", "date", "runtime_memory_size")
"""Parameters of an older model that say nothing about a new one."""


@dataclass(frozen=True)
class Hashes:
    """``weights``: SHA-256 of what the network computes, whatever its metadata (``models.schema``);
    ``metadata``: SHA-256 of the parameters as they stand in the file, empty where there are none.
    """

    weights: str
    metadata: str


def read_parameters(content: bytes) -> dict[str, Value]:
    """The parameters of a ``.tflite`` file; empty where it has none. Raises ``ModelError``."""
    found = read_metadata(content).get(TAG)
    return decode(found) if found is not None else {}


def hashes(content: bytes) -> Hashes:
    """Of a ``.tflite`` file. Raises ``ModelError``."""
    found = read_metadata(content).get(TAG)
    return Hashes(semantic_sha256(content), hashlib.sha256(found).hexdigest() if found is not None else "")


def embed_parameters(content: bytes, parameters: Mapping[str, Value], *, date: str = "") -> bytes:
    """The same network with ``parameters`` instead of those it had, and ``date`` (now) and ``hash`` added.

    ``hash`` is MLTK's: the MD5 of the whole file with both of them empty. Raises ``ModelError`` and
    ``UsageError``.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    put = {**parameters, "hash": "", "date": ""}
    made = with_metadata(content, {TAG: encode(put)})
    put["hash"] = hashlib.md5(made, usedforsecurity=False).hexdigest()
    put["date"] = date or now
    return with_metadata(content, {TAG: encode(put)})
