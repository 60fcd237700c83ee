"""Archives from strangers: a list of members of bounded size, members that unpack to what they promise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import open_regular

MOST_DIRECTORY_BYTES = 4 << 20  # of the list of members: zipfile makes ten times as much of it
MAX_MEMBERS = 10_000
MAX_RATIO = 200  # of sizes; weights hardly compress, a bomb does
SMALL = 1 << 20  # a member up to here may be packed as well as it likes
_PIECE = 1 << 20
_SMALL_PIECE = 1 << 12  # bzip2 and LZMA unpack all that was read at once, whatever was asked for


class _Bounded(io.BufferedReader):
    """A file that gives at most ``most`` bytes at once: zipfile reads the list of members in one go."""

    most: int | None = MOST_DIRECTORY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is None:
            return super().read(size)
        wanted = self.most + 1 if size is None or size < 0 else size
        content = super().read(min(wanted, self.most + 1))
        if len(content) > self.most:
            raise ModelError(f"its list of members is longer than {self.most >> 20} MiB")
        return content


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, its list of members read.

    Raises ``OSError``, ``ModelError`` for too many members, and whatever ``zipfile`` raises for damage.
    """
    with _Bounded(open_regular(path).detach()) as file:
        try:
            archive = zipfile.ZipFile(file)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        with archive:
            file.most = None
            if (count := len(archive.infolist())) > MAX_MEMBERS:
                raise ModelError(f"{path} has {count} members; at most {MAX_MEMBERS} are read")
            yield archive


def unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> Iterator[bytes]:
    """The content of a member, piece by piece. Raises ``ModelError`` for a bomb, and for a size that lies."""
    packed = max(member.compress_size, 1)
    if member.file_size > most or (member.file_size > SMALL and member.file_size / packed > MAX_RATIO):
        raise ModelError(
            f"{path}: {member.filename} unpacks from {member.compress_size} to {member.file_size} bytes; "
            f"at most {most} and {MAX_RATIO} times its packed size are read"
        )
    plain = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    size = 0
    with archive.open(member) as file:
        while piece := file.read(_PIECE if plain else _SMALL_PIECE):
            size += len(piece)
            if size > member.file_size:
                break
            yield piece
    if size != member.file_size:
        raise ModelError(f"{path}: {member.filename} has another size than the archive says")
