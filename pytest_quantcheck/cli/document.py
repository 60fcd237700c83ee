"""``--json R.json``: a command's results as a document of ``report/schema.json``."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_quantcheck.files import write_whole
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.report.json import document
from pytest_quantcheck.report.provenance import Provenance, gather

_NO_OPTIONS = {"command", "run"}  # what argparse keeps beside them


def write_document(path: Path, kind: str, content: Mapping[str, object], args: argparse.Namespace) -> None:
    """Write ``content`` with its schema's name, and what made it."""
    write_whole(path, document(kind, content, made_by(args)).encode())


def made_by(args: argparse.Namespace) -> Provenance:
    """This command: versions, revision, options."""
    options = {name: value for name, value in vars(args).items() if name not in _NO_OPTIONS}
    return gather(Path.cwd(), options)


def data_sha256(arrays: Iterable[Array]) -> str:
    """SHA-256 of arrays: each one's type and shape, then its bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
