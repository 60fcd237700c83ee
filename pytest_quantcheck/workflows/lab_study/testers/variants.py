"""Which mistake turns an artefact's right answers into a student's: each known one is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.data.dataset import Raw, Samples
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.prepare import quantize_inputs, summary_of

RIGHT = ""
Runner = Callable[[QuantizedModel, Raw], Array]
"""The raw outputs (N, ...) of an artefact for raw inputs."""


@dataclass(frozen=True)
class Variant:
    """``told``: what was done to input and output; empty where it is right. ``harmless``: only rounding."""

    inputs: str
    outputs: str
    harmless: bool

    @property
    def told(self) -> str:
        return "; ".join(filter(None, (self.inputs, self.outputs)))


CUT_OFF = "the input is cut off instead of rounded (np.round is missing)"
INPUTS: dict[str, Callable[[Array, float, int], Array]] = {
    RIGHT: lambda x, s, z: np.round(x / s + z),  # halves to even
    CUT_OFF: lambda x, s, z: np.trunc(x / s + z),
    "the input is rounded without its limits (np.clip is missing)": lambda x, s, z: _wrapped(
        np.round(x / s) + z
    ),
    "the input is cut off instead of rounded, without its limits (np.round and np.clip are missing)": (
        lambda x, s, z: _wrapped(np.trunc(x / s + z))
    ),
    "the input's zero point is not added": lambda x, s, _: np.round(x / s),
    "the input is not quantized, only cast to int8": lambda x, _s, _z: np.trunc(x),
}
OUTPUTS: dict[str, Callable[[Array, float, int], Array]] = {
    RIGHT: lambda y, s, z: (y - z) * s,
    "the output is not dequantized": lambda y, _s, _z: y,
    "the output's zero point is not subtracted": lambda y, s, _: y * s,
    "the output is not multiplied by its scale": lambda y, _, z: y - z,
    "the output's zero point is subtracted in int8, which overflows (cast to float32 first)": (
        lambda y, s, z: _wrapped(y - z) * s
    ),
}
CLOSE = 1e-5


def has_integer_edges(model: QuantizedModel) -> bool:
    """Whether input and output are integers with a scale each: what the course's classes quantize."""
    summary = summary_of(model.artefact)
    edges = (*summary.input_tensors, *summary.output_tensors)
    return all(len(tensor.scales) == 1 and tensor.dtype != "float32" for tensor in edges)


def which(model: QuantizedModel, samples: Samples, seen: Array, run: Runner) -> Variant | None:
    """What gives exactly the outputs that were ``seen`` (N, classes); None where nothing known does.

    The right one is looked for first. ``run`` gives the artefact's raw outputs.
    """
    (output,) = summary_of(model.artefact).output_tensors[:1]
    scale, zero = float(output.scales[0]), int(output.zero_points[0])
    for told, raw in _inputs(model, samples):
        made = run(model, Raw((raw,))).astype(np.float64).reshape(len(seen), -1)
        for text, post in OUTPUTS.items():
            wanted = post(made, scale, zero)
            if wanted.shape == seen.shape and np.allclose(seen, wanted, rtol=CLOSE, atol=CLOSE * scale):
                return Variant(told, text, harmless=not text and told in (RIGHT, CUT_OFF))
    return None


def _inputs(model: QuantizedModel, samples: Samples) -> Iterator[tuple[str, Array]]:
    (tensor,) = summary_of(model.artefact).input_tensors
    scale, zero = float(tensor.scales[0]), int(tensor.zero_points[0])
    (right,) = (np.asarray(each) for each in quantize_inputs(model, samples))
    yield RIGHT, right
    x = np.asarray(samples.inputs[0], np.float32)
    limits = np.iinfo(right.dtype)
    for told, pre in INPUTS.items():
        yield told, np.clip(pre(x, scale, zero), limits.min, limits.max).astype(right.dtype)


def _wrapped(values: Array) -> Array:
    """As int8 keeps them."""
    return np.asarray(values, np.int64).astype(np.int8).astype(np.float64)
