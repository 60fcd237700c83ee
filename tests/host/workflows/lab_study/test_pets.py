"""The Oxford-IIIT Pet folder, as its archives unpack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.workflows.lab_study.pets import is_pets, pets

pytestmark = pytest.mark.host

LISTS = {"trainval": ["Abyssinian_1 1 1 1", "great_pyrenees_2 2 2 1"], "test": ["Abyssinian_3 1 1 1"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(0)
    for which, lines in LISTS.items():
        (tmp_path / "annotations" / f"{which}.txt").write_text("# a head line\n" + "\n".join(lines) + "\n")
        for line in lines:
            pixels = random.integers(0, 256, (20, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / f"{line.split()[0]}.jpg")
    return tmp_path


def test_lists_and_pictures_become_samples_as_in_the_course(root: Path) -> None:
    assert is_pets(root)
    data = pets(root, (8, 10))
    assert data.calibration.names == ("Abyssinian_1", "great_pyrenees_2")
    assert data.calibration.labels == [0, 1]
    assert data.classes == ("Abyssinian", "great_pyrenees")
    assert data.test.inputs[0].shape == (1, 8, 10, 3)
    opened = Image.open(root / "images" / "Abyssinian_3.jpg").convert("RGB").resize((10, 8))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (np.asarray(opened) / 255 - mean) / deviation
    assert np.allclose(np.asarray(data.test.inputs[0])[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "line", ["../../etc/passwd_1 1 1 1", "Abyssinian_1 0 1 1", "Abyssinian_1 one 1 1", "x"]
)
def test_a_line_of_another_form_is_refused_with_its_number(root: Path, line: str) -> None:
    (root / "annotations" / "test.txt").write_text(f"\n{line}\n")
    with pytest.raises(ModelError, match=r"test\.txt:2: .*; expected name_NUMBER CLASS-ID"):
        pets(root, (8, 8))


def test_what_is_no_picture_and_what_is_missing_is_named(root: Path) -> None:
    (root / "images" / "Abyssinian_3.jpg").write_bytes(b"no picture")
    with pytest.raises(ModelError, match=r"Abyssinian_3\.jpg"):
        np.asarray(pets(root, (8, 8)).test.inputs[0])
    (root / "annotations" / "test.txt").unlink()
    with pytest.raises(UsageError, match=r"there is no .*test\.txt; unpack annotations"):
        pets(root, (8, 8))
