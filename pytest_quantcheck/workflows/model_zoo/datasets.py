"""The data that a configuration names, through the readers of ``data``.

A part goes by the names of the files and a seed, never by the order in which a file system lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.formats.summary import Summary
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.workflows.model_zoo import original
from pytest_quantcheck.workflows.model_zoo.configuration import COCO_FILES, DETECTION, Configuration
from pytest_quantcheck.workflows.model_zoo.detector import detector
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset
from pytest_quantcheck.workflows.model_zoo.sections.preprocessing import (
    AudioPreprocessing,
    ImagePreprocessing,
)

RANDOM_SAMPLES = 100
QUIET, LOUD = float(np.log(1e-4)), 5.0
"""Log-mel spectrograms: silence is log(1e-4), the loudest bands of full-scale sounds reach about 5."""


@dataclass(frozen=True)
class Data:
    """The data of one job, for a model with the inputs of ``summary``. Read when they are asked for."""

    config: Configuration
    summary: Summary

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the model's input."""
        shape = self._input_shape
        return (shape[2], shape[3]) if self.channels_first else (shape[1], shape[2])

    @property
    def channels_first(self) -> bool:
        """Whether an image's channels come before its pixels, as they do in most ONNX models."""
        shape = self._input_shape
        return len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] not in (1, 3, 4)

    @property
    def _input_shape(self) -> tuple[int, ...]:
        shape = tuple(self.summary.input_tensors[0].shape)
        if len(self.summary.input_tensors) != 1 or len(shape) != 4:
            raise UsageError(
                f"{self.config.composed.name}: the model takes "
                f"{[list(t.shape) for t in self.summary.input_tensors]}; "
                "images and patches of sound go to one input of 4 axes"
            )
        return shape

    @property
    def input_range(self) -> tuple[float, float] | None:
        """What the model's input reaches from and to: pixels rescaled; None where not known."""
        config = self.config
        if config.quantcheck.input_range is not None:
            low, high = (float(each) for each in config.quantcheck.input_range)
            return low, high
        if isinstance(config.preprocessing, ImagePreprocessing):
            rescaling = config.preprocessing.rescaling
            low, high = sorted((rescaling.offset, 255 * rescaling.scale + rescaling.offset))
            return low, high
        if config.feature_extraction is not None:
            return (-80.0, 0.0) if config.feature_extraction.to_db else (QUIET, LOUD)
        return None

    @property
    def calibration(self) -> Calibration:
        """Which samples calibrate."""
        config, data = self.config, self.config.dataset
        if config.random:
            return Calibration("random", RANDOM_SAMPLES, config.general.global_seed)
        if config.quantcheck.compat is not None:
            assert self.calibrating is not None, "not random: there are files"
            return Calibration("ids", ids=original.choice(config, self.calibrating.names))
        return Calibration(
            "fraction", 1.0 if data.quantization_split is None else data.quantization_split, data.seed
        )

    @cached_property
    def calibrating(self) -> Samples | None:
        """All samples that calibration may choose from; None where it is random."""
        if self.config.random:
            return None
        own = self._own_calibration
        if own is not None:
            return own
        if self.test_part is None or self.config.quantcheck.compat is not None:
            training = self._read("training", split=0.0)
            assert training is not None, "not random: there is a training set"
            return self._arranged(training.calibration)
        return self._arranged(self.test_part.calibration)

    @cached_property
    def evaluation(self) -> Dataset | None:
        """What models are evaluated on: the test set, else the validation set, else a part of the training
        set; None where there is none of them. It says nothing about calibration.
        """
        if self.test_part is not None:
            return self._dataset(self.test_part)
        for part in ("test", "validation"):
            found = self._read(part, split=0.0)
            if found is not None:
                return self._dataset(found)
        return None

    @cached_property
    def test_part(self) -> Dataset | None:
        """The training set with the part of it that evaluates, where no other set does."""
        if self._has("test") or self._has("validation") or not self._has("training"):
            return None
        return self._read("training", split=self.config.dataset.validation_split)

    def predicted(self, path: Path) -> Dataset:
        """The files to predict."""
        return self._dataset(self._labelled(lambda: self._reader(path, None, 0.0)))

    @cached_property
    def _own_calibration(self) -> Samples | None:
        found = self._read("quantization", split=0.0)
        return None if found is None else self._arranged(found.calibration)

    def _dataset(self, found: Dataset) -> Dataset:
        test = self._arranged(found.test)
        task = detector(self.config) if self.config.task == DETECTION else found.task
        return replace(found, calibration=test, test=test, task=task, input_range=None)

    def _arranged(self, samples: Samples) -> Samples:
        """In the model's own layout."""
        (pixels,) = samples.inputs
        if pixels.ndim != 4 or not self.channels_first:
            return samples
        turned = _channels_first(pixels)
        return Samples(turned, samples.y, samples.names)

    def _has(self, part: str) -> bool:
        return bool(self._path(part))

    def _path(self, part: str) -> str | None:
        data = self.config.dataset
        name = f"{part}_csv_path" if isinstance(data, AudioDataset) else f"{part}_path"
        found: str | None = getattr(data, name)
        return found

    def _read(self, part: str, *, split: float) -> Dataset | None:
        given = self._path(part)
        if not given:
            return None
        data, config = self.config.dataset, self.config
        if not isinstance(data, AudioDataset):
            return self._labelled(lambda: self._reader(config.path(given), None, split), part)
        folder = getattr(data, f"{part}_audio_path") or data.training_audio_path
        assert folder, "checked when the configuration is read"
        return self._labelled(lambda: self._reader(config.path(folder), config.path(given), split), part)

    def _labelled(self, read: Callable[[], Dataset], part: str = "test_files") -> Dataset:
        """Read; an error says which key named the files."""
        try:
            return read()
        except QuantcheckError as error:
            section = "prediction" if part == "test_files" else "dataset"
            name = f"{part}_csv_path" if isinstance(self.config.dataset, AudioDataset) else f"{part}_path"
            place = self.config.composed.place(section, f"{part}_path" if section == "prediction" else name)
            raise type(error)(f"{place}: {error}") from error

    def _reader(self, path: Path, table: Path | None, split: float) -> Dataset:
        """The reader for the task, with what the configuration says."""
        prepared = self.config.preprocessing
        if isinstance(prepared, AudioPreprocessing):
            return self._sounds(path, table, split, prepared)
        if not isinstance(prepared, ImagePreprocessing):
            raise UsageError(
                f"{self.config.composed.name}: the section preprocessing is missing: files are read"
            )
        return self._images(path, split, prepared)

    def _images(self, path: Path, split: float, prepared: ImagePreprocessing) -> Dataset:
        from pytest_quantcheck.data import annotated_folder, coco, image_folder

        data = self.config.dataset
        how: dict[str, Any] = {
            "size": self.image_size,
            "split": split,
            "seed": data.seed,
            "interpolation": prepared.resizing.interpolation,
            "aspect_ratio": prepared.resizing.aspect_ratio,
            "color_mode": prepared.color_mode,
            "rescale": (prepared.rescaling.scale, prepared.rescaling.offset),
        }
        names = list(self.config.classes)
        if self.config.task != DETECTION:
            return image_folder(path, classes=names or None, **how)
        listing = (
            path
            if path.suffix == ".json"
            else next((path / n for n in COCO_FILES if (path / n).is_file()), None)
        )
        if listing is not None:
            return coco(listing.parent, listing, classes=names, **how)
        return annotated_folder(path, classes=names, **how)

    def _sounds(self, path: Path, table: Path | None, split: float, prepared: AudioPreprocessing) -> Dataset:
        from pytest_quantcheck.data import LogMel, Waves, audio_folder

        data, features = self.config.dataset, self.config.feature_extraction
        assert isinstance(data, AudioDataset), "audio has its own dataset section"
        assert features is not None, "checked when the configuration is read"
        return audio_folder(
            path,
            table,
            split=split,
            seed=data.seed,
            classes=self.config.classes or None,
            columns=original.COLUMNS[data.name],
            extension=data.file_extension,
            other=data.n_samples_per_garbage_class if data.use_garbage_class else None,
            waves=Waves(**vars(prepared)),
            features=LogMel(**vars(features)),
            expand_last_dim=data.expand_last_dim,
        )

    def random_samples(self, count: int) -> Samples:
        """What a model runs on where there are no files: uniform over the input range."""
        from pytest_quantcheck.data.representative import representative

        shapes = [tuple(tensor.shape) for tensor in self.summary.input_tensors]
        shapes = [shape[1:] if shape and shape[0] == 1 else shape for shape in shapes]
        calibration = Calibration("random", count, self.config.general.global_seed + 1)
        drawn = representative(calibration, None, shapes, self.input_range or (-1.0, 1.0))
        return Samples(drawn.inputs if len(drawn.inputs) > 1 else drawn.inputs[0])


def _channels_first(pixels: Any) -> Any:
    """(N, H, W, C) to (N, C, H, W), of what is read only when it is asked for as well."""
    height, width, channels = pixels.shape[1:]
    if isinstance(pixels, np.ndarray):
        return _turned(pixels)
    return pixels.map(_turned, shape=(channels, height, width))


def _turned(pixels: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
