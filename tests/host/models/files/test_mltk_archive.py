"""MLTK archives give their network and nothing else: no code runs, nothing leads out, nothing explodes."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.files.mltk_archive import network_of
from pytest_quantcheck.models.load import load

pytestmark = pytest.mark.host

DIGITS = (DATA / FLOAT_MODEL).read_bytes()


def archive(folder: Path, members: dict[str, bytes], name: str = "net") -> Path:
    path = folder / f"{name}.mltk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member, content in members.items():
            file.writestr(member, content)
    return path


def test_the_float_network_is_loaded_and_the_code_beside_it_is_not_run(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        {
            "net.float32.tflite": DIGITS,
            "net.tflite": b"integers",
            "net.py": b"raise SystemExit('this must not run')",
            "train/log.txt": b"",
        },
    )
    model = load(path)
    assert (model.name, model.tflite) == ("net", DIGITS)
    assert model.source == f"{path} (net.float32.tflite)"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.mltk.zip"]


def test_the_h5_file_comes_first_and_its_errors_name_the_archive(tmp_path: Path) -> None:
    path = archive(tmp_path, {"net.h5": b"no HDF5", "net.float32.tflite": DIGITS})
    assert network_of(path)[0] == "net.h5"
    with pytest.raises(ModelError, match=r"net\.mltk\.zip"):
        load(path, cache=Cache(tmp_path / "cache"))


@pytest.mark.parametrize("bad", ["../net.h5", "/etc/net.h5", "a/../../net.h5", "..\\net.h5", "C:\\net.h5"])
def test_a_member_that_leads_out_is_refused(tmp_path: Path, bad: str) -> None:
    path = archive(tmp_path, {"net.float32.tflite": DIGITS, bad: b"x"})
    with pytest.raises(ModelError, match="leads out of the archive"):
        load(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.mltk.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("net.h5")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/hostname")
    with pytest.raises(ModelError, match="leads out of the archive"):
        load(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path, {"net.h5": bytes(64 << 20)})
    with pytest.raises(ModelError, match=r"unpacks from \d+ to 67108864 bytes"):
        load(path)


def test_a_lie_about_a_size_is_found(tmp_path: Path) -> None:
    """The directory of the archive says 10 bytes, the data unpack to more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net.h5", bytes(1000))
    data = bytearray(buffer.getvalue())
    at = data.index(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    data[at : at + 4] = (10).to_bytes(4, "little")
    path = tmp_path / "net.mltk.zip"
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError):
        network_of(path)


@pytest.mark.parametrize(
    ("members", "told"),
    [({"net.tflite": b"i"}, "holds no float network"), ({}, "holds no float network")],
)
def test_an_archive_without_a_network_is_told(tmp_path: Path, members: dict[str, bytes], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(archive(tmp_path, members))


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "net.mltk.zip"
    path.write_bytes(b"no zip at all")
    with pytest.raises(ModelError, match="not a sound MLTK archive"):
        load(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_content_is_told_however_it_is_packed(tmp_path: Path, packing: int) -> None:
    path = tmp_path / "net.mltk.zip"
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("net.h5", bytes(range(256)) * 40)
    sound = path.read_bytes()
    refused = 0
    for at in range(36, 96):  # behind the header of the member; some bits of a packing mean nothing
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :])
        try:
            assert network_of(path)[1] == bytes(range(256)) * 40
        except ModelError as error:
            refused += "net.mltk.zip is not a sound MLTK archive" in str(error)
    assert refused > 50
