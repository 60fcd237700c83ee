"""The trained models: small, with a card each, and their data are the same in memory and on a disk."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from conformance_models import activity, audio_events, keywords, persons, pets
from conformance_models.table import CONFIG, HEADER, MAX_DROP
from conformance_models.zoo import MODELS
from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data import annotated_folder, audio_folder, coco, image_folder, windows
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.verdict.gate import Gate

pytestmark = pytest.mark.host
ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def rows(text):
    """The cells of the lines of a Markdown table."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]


def facts(name):
    """What a model's card says, by its first cell."""
    return dict(rows((ROOT / "conformance_models" / name / "card.md").read_text()))


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_small_and_numbers_only(name):
    file = import_module(f"conformance_models.{name}").WEIGHTS
    assert file.stat().st_size < 1 << 20
    with np.load(file, allow_pickle=False) as stored:
        assert all(stored[each].dtype in (np.float16, np.float32) for each in stored.files)
        assert all(np.isfinite(stored[each]).all() for each in stored.files)


@pytest.mark.parametrize("name", MODELS)
def test_the_readme_says_what_the_card_says(name):
    """``make table`` prints the one and writes the other."""
    (row,) = [each for each in rows(README) if each[0] == name]
    cells, card = dict(zip(HEADER, row, strict=True)), facts(name)
    metric = cells["metric"]
    assert card["parameters"] == cells["parameters"]
    assert card[f"{metric}, float"] == cells["float"]
    assert card[f"{metric}, int8 per channel"] == cells["int8"]
    before, after = (float(cells[key].rstrip("%")) for key in ("float", "int8"))
    assert before - after <= 100 * MAX_DROP
    for board in ("virtual-stm32f405", "virtual-esp32c3"):
        assert re.match(r"bit-exact with the host on \d+ samples", card[f"on `{board}`"])


def test_a_bad_calibration_hurts_the_keywords_and_the_gate_says_so(tmp_path):
    """As the card says: one sample in place of 160."""
    data = keywords.dataset()
    network, cache = load(keywords.float_model()), Cache(tmp_path)
    gate = Gate(reference=exact_runner(), float_outputs=FloatOutputs(), data=data)
    for calibration, fails in ((data.calibration, False), (data.calibration.take(range(1)), True)):
        model = quantize(network, CONFIG, replace(data, calibration=calibration), cache=cache)
        run = gate.reference.run(model, data.test)
        if fails:
            with pytest.raises(AssertionError, match=r"drop|lost"):
                gate.check(run, max_drop=0.1)
        else:
            gate.check(run, max_drop=MAX_DROP)


def same(found, wanted, tolerance):
    """Of the same names: the same values and truth."""
    at = [found.names.index(name) for name in wanted.names]
    np.testing.assert_allclose(np.asarray(found.x)[at], wanted.x, atol=tolerance)
    np.testing.assert_allclose(
        found.y[at], wanted.y[:, : found.y.shape[1]] if wanted.y.ndim > 1 else wanted.y, atol=1e-6
    )


def test_clips_on_a_disk_are_the_clips_in_memory(tmp_path):
    numbers = range(500, 502)
    csv = audio_events.write(tmp_path, numbers, classes=audio_events.CLASSES[:3])
    data = audio_folder(tmp_path / "audio", csv, split=0)
    whole = audio_events.samples(numbers)
    same(data.test, whole.take(np.flatnonzero(whole.y < 3)), 1e-4)
    assert data.classes == audio_events.CLASSES[:3]


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_scenes_on_a_disk_are_the_scenes_in_memory(tmp_path, form):
    numbers = range(5000, 5006)
    folder = persons.write(tmp_path, numbers)
    how = {"size": 96, "split": 0, "rescale": persons.RESCALE, "interpolation": "nearest"}
    if form == "yolo":
        data = annotated_folder(folder, classes=persons.CLASSES, **how)
    else:
        data = coco(folder, folder / "annotations.json", **how)
    same(data.test, persons.samples(numbers), 1e-6)
    assert data.classes == persons.CLASSES


def test_pets_on_a_disk_are_the_pets_in_memory(tmp_path):
    numbers = range(9000, 9002)
    data = image_folder(pets.write(tmp_path, numbers), size=64, split=0, rescale=pets.RESCALE)
    same(data.test, pets.samples(numbers), 1e-6)
    assert data.classes == pets.CLASSES


def test_recordings_on_a_disk_are_the_recordings_in_memory(tmp_path):
    numbers = range(100, 102)
    data = windows(
        activity.write(tmp_path, numbers),
        columns=["x", "y", "z"],
        length=activity.LENGTH,
        step=activity.STEP,
        rescale=(activity.RESCALE, 0),
        split=0,
    )
    same(data.test, activity.samples(numbers), 1e-6)
    assert data.classes == activity.CLASSES
