"""The demo's model: digits quantized under five configurations, and the samples to judge it with.

Everything is read from ``data/``, which ``python -m conformance_models.digits --demo`` makes; neither
TensorFlow nor scikit-learn is needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.quantizers.artefact import manifest_path, read_artefact
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

DATA = Path(__file__).with_name("data")
FLOAT_MODEL = "digits.tflite"
SAMPLES = "digits.npz"
CLASSES = tuple("0123456789")
GREY_LEVELS = 16  # the images hold whole numbers from 0 to 16; the network wants 0 to 1
_TENTH = Calibration.parse("10%")
CONFIGURATIONS = (
    QuantConfig("int8", "int8", "per_channel", _TENTH),
    QuantConfig("int8", "int8", "per_tensor", _TENTH),
    QuantConfig("uint8", "uint8", "per_channel", _TENTH),
    QuantConfig("uint8", "float32", "per_tensor", _TENTH),
    QuantConfig("float32", "float32", "per_channel", _TENTH),
)


def demo_samples() -> Samples:
    """The 540 held-out digits: x (540, 8, 8, 1) float32 in 0..1, y (540,) int64, ids as in scikit-learn."""
    with np.load(DATA / SAMPLES, allow_pickle=False) as stored:
        x = stored["grey"].astype(np.float32) / GREY_LEVELS
        return Samples(x, stored["label"].astype(np.int64), [f"digit-{i:04d}" for i in stored["position"]])


def demo_models() -> list[QuantizedModel]:
    """One model per configuration, each with the float model it was made from."""
    float_model = (DATA / FLOAT_MODEL).read_bytes()
    paths = [DATA / f"digits-{config.id}.tflite" for config in CONFIGURATIONS]
    models = [read_artefact(path, float_model=float_model) for path in paths]
    for model, config in zip(models, CONFIGURATIONS, strict=True):
        if model.config != config:
            raise ModelError(
                f"{manifest_path(DATA / model.id)} is of another configuration; make the demo again"
            )
    return models


def demo_dataset() -> Dataset:
    """The samples as a ``Dataset``; its calibration set is empty, since the models are calibrated."""
    samples = demo_samples()
    return Dataset(samples.take([]), samples, "classification", CLASSES, (0.0, 1.0))
