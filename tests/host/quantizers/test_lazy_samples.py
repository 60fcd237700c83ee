"""Samples that are made when they are needed: the same artefact and the same run, never all at once."""

from __future__ import annotations

import os
import weakref

import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data import image_folder
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import BLOCK, Lazy
from pytest_quantcheck.data.readers.pixels import Pixels
from pytest_quantcheck.demo.artefacts import DATA, FLOAT_MODEL, demo_samples
from pytest_quantcheck.errors import ModelError, UsageError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.runners.registry import host_runner
from pytest_quantcheck.verdict.sanity.ranges import range_findings

pytestmark = pytest.mark.host
CONTENT = (DATA / FLOAT_MODEL).read_bytes()


class Counting:
    """Makes rows, and counts how often and how many at once."""

    def __init__(self, x, bad=None):
        self.x, self.bad, self.made, self.most = x, bad, 0, 0

    def __call__(self, index):
        self.made += len(index)
        self.most = max(self.most, len(index))
        if self.bad is not None and self.bad[0] in index:
            if isinstance(self.bad[1], Exception):
                raise self.bad[1]
            rows = self.x[index].copy()
            rows[list(index).index(self.bad[0])] = self.bad[1]
            return rows
        return self.x[index]

    def samples(self, samples):
        x = Lazy(len(self.x), self.x.shape[1:], np.float32, self, lambda row: self.x[row].tobytes())
        return Samples(x, samples.y, samples.ids)


@pytest.fixture(scope="module")
def digits():
    samples = demo_samples()
    return samples.take(range(400))


def dataset(samples, test):
    return Dataset(samples, test, classes=tuple("0123456789"), input_range=(0.0, 1.0))


@pytest.fixture(scope="module")
def eager(digits, tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return quantize(
        CONTENT, QuantConfig(input_type="int8", output_type="int8"), dataset(digits, digits), cache=cache
    )


def test_the_artefact_is_the_same_and_few_rows_are_made_at_once(digits, eager, tmp_path):
    source = Counting(digits.x)
    lazy = source.samples(digits)
    config = QuantConfig(input_type="int8", output_type="int8")
    made = quantize(CONTENT, config, dataset(lazy, digits), cache=Cache(tmp_path))
    ours, theirs = read_tflite_summary(made.artefact), read_tflite_summary(eager.artefact)
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert np.array_equal(mine.scales, other.scales)
        assert np.array_equal(mine.zero_points, other.zero_points)
    assert made.manifest["calibration"]["ids"] == eager.manifest["calibration"]["ids"]
    assert source.most <= 64
    assert source.made <= 400 + 64  # the calibration, and a look at some


def test_a_run_is_the_same_and_keeps_no_inputs(digits, eager):
    source = Counting(digits.x)
    lazy = source.samples(digits)
    run, wanted = (host_runner("tflm").run(eager, samples) for samples in (lazy, digits))
    assert np.array_equal(run.outputs[0], wanted.outputs[0])
    assert isinstance(run.inputs[0], Lazy)
    assert np.array_equal(run.inputs[0][7], wanted.inputs[0][7])
    assert (source.made, source.most) == (400 + 1, 32)
    assert not list(range_findings(eager, dataset(lazy, lazy)))


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (np.nan, UsageError, "NaN or infinity"),
        (40.0, UsageError, "reach from 0 to 40, but input_range is 0 to 1"),
        (ModelError("b/17.jpg is damaged"), ModelError, r"b/17\.jpg is damaged"),
    ],
)
def test_a_bad_row_is_an_error_wherever_it_comes(digits, tmp_path, bad, error, words):
    lazy = Counting(digits.x, bad=(399, bad)).samples(digits)
    with pytest.raises(error, match=words):
        quantize(CONTENT, QuantConfig(), dataset(lazy, digits), cache=Cache(tmp_path))


def test_a_row_that_is_no_number_is_refused_by_a_runner(digits, eager):
    lazy = Counting(digits.x, bad=(399, np.inf)).samples(digits)
    with pytest.raises(UsageError, match="a sample holds inf"):
        host_runner("tflm").run(eager, lazy)


@pytest.fixture
def alive(monkeypatch):
    """How many pictures of those that were read are in memory, after each reading."""
    blocks, counts = [], []
    read = Pixels._several

    def counted(self, files):
        made = read(self, files)
        blocks.append(weakref.ref(made if made.base is None else made.base))
        counts.append(sum(len(block) for each in blocks if (block := each()) is not None))
        return made

    monkeypatch.setattr(Pixels, "_several", counted)
    return counts


def test_of_a_folder_of_pictures_few_are_in_memory_at_once(alive, tmp_path):
    """However many there are; ``python -m tests.bench.readers`` does it with thousands."""
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "picture.png")
    count = 8 * BLOCK
    for number in range(count):
        (tmp_path / "all" / str(number % 10)).mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "picture.png", tmp_path / "all" / str(number % 10) / f"{number:04d}.png")
    data = image_folder(tmp_path / "all", size=8, color_mode="grayscale", split=0)
    config = QuantConfig(input_type="int8", output_type="int8", calibration="all")
    made = quantize(CONTENT, config, data, cache=Cache(tmp_path / "cache"))
    assert made.manifest["calibration"]["samples"] == count
    run = host_runner("tflm").run(made, data.test)
    assert len(run.outputs[0]) == count
    assert max(alive) <= 4 * BLOCK, "a block that is used, the next one, and those they replace"
    assert len(alive) >= 2 * count // BLOCK
