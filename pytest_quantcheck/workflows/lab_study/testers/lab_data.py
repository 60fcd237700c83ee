"""A ``Dataset`` with the methods that the course's classes call, and a record of what they took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pytest_quantcheck.data.calibration import Calibration, choose
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.numerics.arrays import Array

SEED = 12345
"""The course's usual one."""


class LabData:
    """What the course's ``PetDataset`` offers, for any data with one input and classes.

    ``dataX`` and ``testX`` hold the names of samples (of pictures their files), ``dataY`` and ``testY`` their
    classes. ``prepared`` are the ids of training samples that were asked for, ``seen`` those of test samples.
    """

    def __init__(self, data: Dataset, names: tuple[list[str], list[str]]) -> None:
        self._known: dict[str, tuple[Samples, int]] = {}
        self.dataX, self.dataY = self._part(data.calibration, names[0])
        self.testX, self.testY = self._part(data.test, names[1])
        self.numclasses = max(len(data.classes), max((*self.dataY, *self.testY)) + 1)
        called = (*data.classes, *map(str, range(len(data.classes), self.numclasses)))
        self.classnames = dict(enumerate(called))
        self.prepared: set[str] = set()
        self.seen: set[str] = set()
        self._training = data.calibration
        self.onehotvectors = np.eye(self.numclasses)
        self.reset_metrics()

    def _part(self, samples: Samples, names: list[str]) -> tuple[list[str], list[int]]:
        self._known.update((name, (samples, row)) for row, name in enumerate(names))
        assert samples.labels is not None, "the lab is about classes"
        return names, [int(label) for label in samples.labels]

    def reset_metrics(self) -> None:
        """Forget what was evaluated."""
        self.confusion_matrix = np.zeros((self.numclasses, self.numclasses))
        self.top_5_count = self.total = 0

    def evaluate(self, predictions: Any, truth: Any) -> None:
        """Count one prediction."""
        ranked = np.argsort(np.ravel(predictions))[::-1]
        self.confusion_matrix[np.argmax(truth), ranked[0]] += 1
        self.top_5_count += int(np.argmax(truth) in ranked[:5])
        self.total += 1

    def get_data(self) -> tuple[list[str], list[int]]:
        """All training samples."""
        return self.dataX, self.dataY

    def get_class_names(self) -> list[str]:
        """By their numbers."""
        return list(self.classnames.values())

    def split_dataset(
        self, percentage: float = 0.25, seed: int = SEED, usetest: bool = False
    ) -> tuple[list[str], list[str], list[int], list[int]]:
        """Names and classes of the rest, and of ``percentage`` of the samples, of every class alike."""
        names, labels = (self.testX, self.testY) if usetest else (self.dataX, self.dataY)
        chosen = set(choose(Calibration("stratified", percentage, seed), names, labels))
        rest = [i for i in range(len(names)) if i not in chosen]
        part = sorted(chosen)
        return (
            [names[i] for i in rest],
            [names[i] for i in part],
            [labels[i] for i in rest],
            [labels[i] for i in part],
        )

    def calibration_dataset_generator(
        self, percentage: float = 0.25, seed: int = SEED
    ) -> Iterator[list[Array]]:
        """That part of the training samples, as a converter takes them."""
        for name in self.split_dataset(percentage, seed)[1]:
            yield [self.prepare_input_sample(name)]

    def prepare_input_sample(self, sample: str) -> Array:
        """A sample as the float model takes it, (1, ...) float32."""
        samples, row = self._known[str(sample)]
        (self.prepared if samples is self._training else self.seen).add(samples.names[row])
        (inputs,) = samples.take([row]).inputs
        return np.asarray(inputs, np.float32)

    def prepare_output_sample(self, sample: int) -> Array:
        """A class as a vector with one 1."""
        return np.asarray(self.onehotvectors[sample])
