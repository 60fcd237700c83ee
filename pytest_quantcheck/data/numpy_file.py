"""Arrays from a stranger's ``.npy`` or ``.npz`` file: plain ones only, and never more than the file holds.

What a header claims, what an archive unpacks to and what a sparse file pretends to hold is checked before
memory is taken for it.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from pytest_quantcheck.errors import ModelError, QuantcheckError, UsageError
from pytest_quantcheck.files import open_regular
from pytest_quantcheck.formats.zip_archive import open_zip
from pytest_quantcheck.numerics.arrays import Array

LIMIT = "QC_DATA_MIB"
USUAL_MIB = 256
RATIO = 8  # of a file's content to what it takes on disk: honest data hardly pack better
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy's; others unpack without a bound
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NumpyFile(Mapping[str, Array]):
    """The arrays of an ``.npz`` by name, each read when asked for; an ``.npy`` is one array named ``""``.

    Nothing pickled is ever loaded. Raises ``ModelError`` for whatever is not an intact array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.single = True  # an .npy file: one array without a name
        self._members = {"": ""}
        with self._intact(), open_regular(path) as file:
            status = os.fstat(file.fileno())
            on_disk = min(status.st_size, 512 * getattr(status, "st_blocks", 1 << 53))
            if file.read(2) != b"PK":
                _check_size(status.st_size, on_disk)
                return
        self.single = False
        with self._intact(), open_zip(path) as archive:
            members = archive.infolist()
            _check_size(sum(member.file_size for member in members), on_disk)
            for member in members:
                if member.compress_type not in _PACKINGS:
                    raise ModelError(f"{member.filename} is compressed in another way than NumPy does")
            self._members = {member.filename.removesuffix(".npy"): member.filename for member in members}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members  # the inherited way would read the array

    def __getitem__(self, name: str) -> Array:
        member = self._members[name]
        self.outline(name)
        with self._intact(), self._open(member) as (file, _):
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            return array

    def outline(self, name: str) -> Array:
        """Zeros of that array's shape and dtype, which take no memory; of the file only the header is read.

        What that promises is checked against the size of the file or member.
        """
        member = self._members[name]
        with self._intact(), self._open(member) as (file, size):
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise ModelError(f"its format version {version} is not read; allowed: (1, 0), (2, 0)")
            shape, _, dtype = _HEADERS[version](file)
            if dtype.hasobject or dtype.names:
                raise ModelError(f"{dtype} are no plain numbers or texts")
            if min(shape, default=0) < 0 or file.tell() + math.prod(shape) * dtype.itemsize > size:
                raise ModelError(f"its header declares {dtype} {shape}, which its {size} bytes cannot hold")
            return np.broadcast_to(np.zeros((), dtype), shape)

    @contextmanager
    def _open(self, member: str) -> Iterator[tuple[IO[bytes], int]]:
        """The array as a stream, and how many bytes that has."""
        if self.single:
            with open_regular(self.path) as file:
                yield file, os.fstat(file.fileno()).st_size
        else:
            with open_zip(self.path) as archive, archive.open(member) as packed:
                yield packed, archive.getinfo(member).file_size

    @contextmanager
    def _intact(self) -> Iterator[None]:
        """NumPy, zipfile and their decoders raise a dozen kinds of errors on damaged files."""
        try:
            yield
        except Exception as error:
            reason = error if isinstance(error, QuantcheckError) else f"{type(error).__name__}: {error}"
            raise ModelError(f"{self.path} is not a .npy or .npz file of plain numbers ({reason})") from error


def _check_size(content: int, on_disk: int) -> None:
    """Honest data of any size are read; what is far larger inside than outside, up to a limit."""
    limit = _limit_mib()
    if content > limit << 20 and content > RATIO * on_disk:
        raise ModelError(
            f"{on_disk} bytes on disk unpack to {content}; more than {limit} MiB and {RATIO} times its size "
            f"are not read. If you trust it, raise the limit with the variable {LIMIT}"
        )


def largest_bytes() -> int:
    """Of a file that is read whole, because it cannot be looked at before."""
    return max(_limit_mib(), 1024) << 20


def _limit_mib() -> int:
    text = os.environ.get(LIMIT, "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(f"{LIMIT}={text!r}: allowed: a whole number of MiB (default: {USUAL_MIB})")
    return int(text or USUAL_MIB)
