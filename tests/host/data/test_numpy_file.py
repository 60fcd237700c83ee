"""Files from strangers: read when they are intact, refused by name when they are not."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from pytest_quantcheck.data.load import load_data
from pytest_quantcheck.data.numpy_file import NumpyFile
from pytest_quantcheck.errors import ModelError

pytestmark = pytest.mark.host

X = np.arange(600, dtype=np.int16).reshape(20, 30)


def npy(header: str) -> bytes:
    """A file with that header and 8 bytes of numbers."""
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + bytes(8)


def claim(shape: str) -> bytes:
    return npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")


def npz(compression: int = zipfile.ZIP_DEFLATED) -> bytearray:
    packed, plain = io.BytesIO(), io.BytesIO()
    np.save(plain, X)
    with zipfile.ZipFile(packed, "w", compression) as archive:
        archive.writestr("x.npy", plain.getvalue())
    return bytearray(packed.getvalue())


def damaged() -> bytes:
    content = npz()
    content[60:200] = bytes(140)
    return bytes(content)


def marked(offset: int, value: int) -> bytes:
    """A field of the member set to ``value``, in the local header and in the directory behind it."""
    content = npz()
    for start in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[start + offset] = value
    return bytes(content)


@pytest.mark.parametrize("fortran", [False, True])
def test_an_array_is_read_as_it_was_written(tmp_path, fortran: bool) -> None:
    wanted = np.asfortranarray(X) if fortran else X
    np.save(tmp_path / "x.npy", wanted)
    np.savez_compressed(tmp_path / "x.npz", x=wanted, names=np.array(["a", "b"]))
    single, several = NumpyFile(tmp_path / "x.npy"), NumpyFile(tmp_path / "x.npz")
    for outline in (single.outline(""), several.outline("x")):
        assert (outline.shape, outline.dtype, outline.strides) == (X.shape, X.dtype, (0, 0))
    assert "x" in several
    assert "y" not in several
    assert np.array_equal(single[""], X)
    assert np.array_equal(several["x"], X)
    assert list(several["names"]) == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"text",
        lambda: claim(f"({10**12}, 64)"),
        lambda: claim(f"({10**25}, 64)"),
        lambda: claim("(-1, 2)"),
        lambda: claim(f"(0, {10**25})"),
        lambda: claim("(3,)"),
        lambda: npy("(((("),
        lambda: npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
        lambda: b"PK" + bytes(range(200)),
        damaged,
        lambda: marked(0, 1),  # encrypted
        lambda: marked(2, 99),  # compressed in an unknown way
        lambda: bytes(npz()[:-30]),
    ],
)
def test_a_damaged_file_is_a_model_error(tmp_path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content())
    with pytest.raises(ModelError, match=r"x\.npz is not a \.npy or \.npz file of plain numbers"):
        dict(NumpyFile(path))
    with pytest.raises(ModelError, match="sample axis first"):
        load_data(path)
