"""``ModelCase``: a drawn model, and inputs for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.numerics.arrays import Array

_MOST_ELEMENTS = 1 << 26


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A drawn model: ``kinds`` are its operators, ``artefact`` the ``.tflite`` file.

    ``source`` builds it again: lines of Python to paste into a test.
    """

    kinds: tuple[str, ...]
    artefact: bytes
    source: str = ""

    def raw_inputs(self, samples: int, seed: int = 0) -> tuple[Array, ...]:
        """``samples`` raw inputs for each input of the model, its extremes among them."""
        return raw_inputs(self.artefact, samples, seed)

    def __repr__(self) -> str:
        shapes = [t.shape for t in read_tflite_summary(self.artefact).input_tensors]
        return f"ModelCase({' '.join(self.kinds)} on {shapes}, {len(self.artefact)} bytes)"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What Hypothesis prints, which would be every byte of the file."""
        printer.text(repr(self))


def raw_inputs(artefact: bytes, samples: int, seed: int = 0) -> tuple[Array, ...]:
    """Inputs (samples, ...) in the model's own dtypes, reproducible.

    The first two samples of an integer input are its smallest and largest value throughout; float
    inputs are normal with a spread of 3. ``ModelError`` for a model whose inputs have no usable size.
    """
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    for tensor in read_tflite_summary(artefact).input_tensors:
        own = tensor.shape
        if min(own, default=1) < 1 or tensor.elements * samples > _MOST_ELEMENTS:
            raise ModelError(f"input {tensor.name!r} has shape {own}: {samples} samples of it are not drawn")
        shape = (samples, *(own[1:] if len(own) > 1 and own[0] == 1 else own))
        if tensor.dtype == "float32":
            arrays.append(rng.normal(0, 3, shape).astype(np.float32))
            continue
        info = np.iinfo(tensor.dtype)
        values = rng.integers(info.min, info.max, shape, endpoint=True)
        values[:1], values[1:2] = info.min, info.max
        arrays.append(values.astype(tensor.dtype))
    return tuple(arrays)
