"""Output files are refused before the work, not after it, and never overwrite what is read."""

from __future__ import annotations

import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest

from conformance_models.shapes import model
from pytest_quantcheck.cli import files, main
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """``m.tflite`` and an input for it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(model("ds-cnn").artefact)
    np.save("x.npy", np.zeros((2, 49, 10, 1), np.int8))
    (tmp_path / "link.npy").symlink_to("x.npy")
    (tmp_path / "folder.npy").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--board", "none", "--outputs", "x.npy"], "--outputs x.npy is also x.npy"),
        (["run", "--board", "none", "--outputs", "link.npy"], "--outputs link.npy is also x.npy"),
        (["run", "--board", "none", "--outputs", "y.npy", "--json", "./y.npy"], "--json y.npy is also y.npy"),
        (["run", "--board", "none", "--outputs", "folder.npy"], "--outputs folder.npy is a folder"),
        (["run", "--board", "none", "--json", "m.tflite"], "--json m.tflite is also m.tflite"),
        (
            ["compare", "--a", "tflm", "--b", "integer", "--json", "m.tflite"],
            "--json m.tflite is also m.tflite",
        ),
        (["compare", "--a", "tflm", "--b", "integer", "--json", "no/r.json"], "there is no folder no"),
    ],
)
def test_an_output_that_is_an_input_is_refused_first(folder, capsys, arguments, message) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    command, *options = arguments
    assert main([command, "m.tflite", "--inputs", "x.npy", *options]) == 2
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_calibration_file_is_not_overwritten(folder, capsys) -> None:
    shutil.copy("x.npy", "x.tflite")
    assert main(["quantize", "m.tflite", "-o", "x.tflite", "--data", "x.tflite"]) == 2
    assert "--output x.tflite is also x.tflite" in capsys.readouterr().err


def test_what_the_system_will_not_let_write_is_refused(folder, monkeypatch) -> None:
    (folder / "r.json").touch()
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(UsageError, match=r"--json r\.json may not be written"):
        files.check_file("--json", folder.joinpath("r.json").relative_to(folder))


@pytest.mark.parametrize("name", ["/proc/m.tflite", "a" * 300 + ".tflite"])
def test_what_only_writing_shows_is_refused_before_the_work(folder, capsys, name) -> None:
    assert main(["quantize", "m.tflite", "-o", name]) == 2
    assert f"--output {name} cannot be written: " in capsys.readouterr().err


def test_a_folder_in_the_manifests_place_is_refused_before_the_work(folder, capsys) -> None:
    (folder / "q.tflite.json").mkdir()
    assert main(["quantize", "m.tflite", "-o", "q.tflite"]) == 2
    assert "--output q.tflite.json is a folder" in capsys.readouterr().err
    assert not (folder / "q.tflite").exists()


def test_a_member_of_another_shape_is_refused_unread(folder, capsys) -> None:
    with (
        zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("0.npy", "w") as file,
    ):
        header = {"descr": "|i1", "fortran_order": False, "shape": (64, 1 << 20)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        assert main(["compare", "m.tflite", "--inputs", "bomb.npz", "--a", "tflm", "--b", "integer"]) == 2
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert "takes (N, 49, 10, 1), given: (64, 1048576)" in capsys.readouterr().err


def test_a_damaged_input_file_ends_with_2(folder, capsys) -> None:
    (folder / "bad.npz").write_bytes(b"PK" + bytes(100))
    assert main(["compare", "m.tflite", "--inputs", "bad.npz", "--a", "tflm", "--b", "integer"]) == 2
    assert "is not a .npy or .npz file of plain numbers" in capsys.readouterr().err
