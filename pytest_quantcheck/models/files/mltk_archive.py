"""MLTK archives (``NAME.mltk.zip``): the network inside, read without running what else is in there.

An archive holds ``NAME.h5``, the ``.tflite`` files made of it, and the Python module that trained it.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from pytest_quantcheck.errors import ModelError, QuantcheckError
from pytest_quantcheck.formats.zip_archive import open_zip, unpacked

SUFFIX = ".mltk.zip"
MAX_MEMBER_BYTES = 256 << 20


def network_of(path: Path) -> tuple[str, bytes]:
    """Name and content of the archive's float model: ``NAME.h5``, else ``NAME.float32.tflite``.

    Nothing is written to disk. Raises ``ModelError`` for a damaged archive, for members outside of it
    (``../``, absolute paths, links), for one that unpacks to too much, and where there is no network.
    """
    try:
        with open_zip(path) as archive:
            members = archive.infolist()
            for member in members:
                check_member(path, member)
            member = _network(path, members)
            content = b"".join(unpacked(archive, member, path, MAX_MEMBER_BYTES))
            return PurePosixPath(member.filename).name, content
    except QuantcheckError:
        raise
    except Exception as error:  # zipfile and its decoders raise a dozen kinds on damaged files
        raise ModelError(f"{path} is not a sound MLTK archive ({type(error).__name__}: {error})") from error


def check_member(path: Path, member: zipfile.ZipInfo) -> None:
    """Raises ``ModelError`` for a member outside of the archive: ``../``, an absolute path, a link."""
    name = member.filename.replace("\\", "/")
    outside = name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"
    if outside or stat.S_ISLNK(member.external_attr >> 16):
        raise ModelError(
            f"{path} has the member {member.filename!r}, which leads out of the archive; it was not read. "
            "Make the archive again with MLTK"
        )


def _network(path: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The model that bears the archive's name, else the only one at its top."""
    top = [member for member in members if "/" not in member.filename.replace("\\", "/")]
    name = path.name[: -len(SUFFIX)]
    for suffix in (".h5", ".float32.tflite"):
        found = [member for member in top if member.filename.lower().endswith(suffix)]
        for member in found:
            if member.filename[: -len(suffix)] == name or len(found) == 1:
                return member
    raise ModelError(
        f"{path} holds no float network; expected {name}.h5 or {name}.float32.tflite. To test a quantized "
        "model of it, unpack it and give that file as the artefact"
    )
