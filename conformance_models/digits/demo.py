"""Makes ``pytest_quantcheck/demo/data``: the held-out digits, the network, its quantized forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from conformance_models import digits
from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.demo import artefacts
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.artefact import write_artefact
from pytest_quantcheck.quantizers.quantize import quantize


def write_demo(folder: Path = artefacts.DATA) -> list[Path]:
    """Quantize and write everything; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = digits.dataset()
    model = load(digits.float_model())
    written = [folder / artefacts.SAMPLES, folder / artefacts.FLOAT_MODEL]
    _write_samples(dataset.test, written[0])
    written[1].write_bytes(model.tflite)
    for config in artefacts.CONFIGURATIONS:
        quantized = quantize(model, config, dataset)
        path = folder / f"{quantized.id}.tflite"
        written += [path, write_artefact(quantized, path)]
    return written


def _write_samples(samples: Samples, path: Path) -> None:
    grey = np.rint(samples.inputs[0] * artefacts.GREY_LEVELS).astype(np.uint8)
    position = np.array([int(name.removeprefix("digit-")) for name in samples.names], np.uint16)
    assert samples.y is not None
    np.savez_compressed(path, grey=grey, label=samples.y.astype(np.uint8), position=position)
