"""A model archive of MLTK: the members that quantizing needs, and copies with a new model in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_quantcheck.errors import ModelError, QuantcheckError
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.formats.zip_archive import open_zip, unpacked
from pytest_quantcheck.models.files.mltk_archive import MAX_MEMBER_BYTES, SUFFIX, check_member

MAX_TOTAL_BYTES = 1 << 29  # of a copy, unpacked


@dataclass(frozen=True)
class Archive:
    """``NAME.mltk.zip``: ``script`` is ``NAME.py``, ``tflite`` the model quantized before, if any."""

    path: Path
    script: bytes = b""
    tflite: bytes = b""

    @property
    def name(self) -> str:
        return self.path.name[: -len(SUFFIX)]

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Raises ``ModelError`` for a damaged archive, a bomb, and members that lead out of it."""
        name = path.name[: -len(SUFFIX)]
        found = _members(path, {f"{name}.py", f"{name}.tflite", f"{name}.float32.tflite"})
        before = found.get(f"{name}.tflite") or found.get(f"{name}.float32.tflite") or b""
        return cls(path, found.get(f"{name}.py", b""), before)

    def write(self, target: Path, put: Mapping[str, bytes]) -> tuple[str, ...]:
        """Write a copy with ``put`` in it, by name; returns what was left out: what tells of the old model.

        Raises ``OSError`` and ``ModelError``.
        """
        kept, left_out = {}, []
        for name, content in _members(self.path, None).items():
            if name in (f"{self.name}.tflite.summary.txt",) or name.startswith("eval/tflite/"):
                left_out.append(name)
            else:
                kept[name] = content
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in {**kept, **put}.items():
                made.writestr(name, content)
        write_whole(target, buffer.getvalue())
        return tuple(left_out)


def _members(path: Path, wanted: set[str] | None) -> dict[str, bytes]:
    """Members by name; all of them where ``wanted`` is None. Every path is checked, whatever is wanted."""
    try:
        with open_zip(path) as archive:
            listed = archive.infolist()
            for member in listed:
                check_member(path, member)
            chosen = [m for m in listed if not m.is_dir() and (wanted is None or m.filename in wanted)]
            if sum(member.file_size for member in chosen) > MAX_TOTAL_BYTES:
                raise ModelError(f"{path} unpacks to more than the {MAX_TOTAL_BYTES} bytes that are read")
            return {m.filename: b"".join(unpacked(archive, m, path, MAX_MEMBER_BYTES)) for m in chosen}
    except (QuantcheckError, OSError):
        raise
    except Exception as error:  # zipfile and its decoders raise a dozen kinds on damaged files
        raise ModelError(f"{path} is not a sound MLTK archive ({type(error).__name__}: {error})") from error
