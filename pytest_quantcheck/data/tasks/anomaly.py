"""Anomaly detection: one score per sample, the higher the less normal. The truth is 0 (normal) or 1.

Where the ids of the samples are ``clip#window``, the score of a clip is the mean of its windows'.
"""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.data.tasks.task import CLIP, Task
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array


def decode(outputs: tuple[Array, ...], inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Anomaly scores (N,) float64: of an autoencoder, whose output has the size of its input, the mean
    squared error of each sample; of a model with one value per sample that value.

    The source of the first: Koizumi et al., *Description and Discussion on DCASE2020 Challenge Task 2*,
    2020, section 4; MLPerf Tiny uses the same.
    """
    if len(outputs) == 1:
        found = outputs[0].reshape(len(outputs[0]), -1).astype(np.float64)
        if found.shape[1] == 1:
            return (found[:, 0],)
        if len(inputs) == 1 and inputs[0].size == found.size:
            wanted = inputs[0].reshape(found.shape).astype(np.float64)
            return (np.square(found - wanted).mean(axis=1),)
    raise UsageError(
        f"task='anomaly' cannot read outputs {[list(each.shape[1:]) for each in outputs]} for inputs "
        f"{[list(each.shape[1:]) for each in inputs]}; allowed: one output of one value per sample, or of "
        "the input's size (an autoencoder); else give a Task with a decode= of your own"
    )


TASK = Task("anomaly", metrics=("roc_auc", "pauc"), unlabelled=("rmse",), decode=decode, paired=CLIP)
