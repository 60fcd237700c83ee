"""Are the test samples what the model takes: real numbers inside the stated and the calibrated range?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.lazy import blocks
from pytest_quantcheck.finding import Finding
from pytest_quantcheck.formats.summary import Summary, TensorSummary
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare

CLIPPED = 0.01  # of all values: calibration by a part of the data clips a few of the rest
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def range_findings(model: QuantizedModel, data: Dataset) -> Iterator[Finding]:
    """What is wrong with the test inputs of ``data`` for ``model``."""
    yield from _integers(model, data.test)
    yield from _stated(data)
    yield from _calibrated(model, data.test)


def _integers(model: QuantizedModel, test: Samples) -> Iterator[Finding]:
    """Pixels as a file has them, where the model takes preprocessed ones."""
    tensors = prepare.summary_of(model.float_model or model.artefact).input_tensors
    for tensor, array in zip(tensors, test.inputs):  # noqa: B905 - a wrong number of inputs is reported elsewhere
        wants_floats = tensor.dtype == "float32" or len(tensor.scales) == 1
        if array.dtype.kind in "iu" and wants_floats:
            yield Finding(
                "warning",
                "integer_samples",
                f"The test samples are {array.dtype.name} from {array.min()} to {array.max()}; they are "
                "taken as floats.",
                "Samples are float values after preprocessing: rescale them as in training, then "
                "astype('float32'). Raw(...) marks integers that are quantized already.",
            )


def _stated(data: Dataset) -> Iterator[Finding]:
    if data.input_range is None:
        return
    low, high = data.input_range
    slack = 1e-3 * (high - low)
    values = [_reach(array, low - slack, high + slack) for array in data.test.inputs]
    outside = sum(each.outside for each in values)
    if outside:
        share = outside / sum(array.size for array in data.test.inputs)
        least, most = min(each.least for each in values), max(each.most for each in values)
        yield Finding(
            "warning",
            "outside_input_range",
            f"{share:.2%} of the test values lie outside input_range {low:g} to {high:g}; they reach from "
            f"{least:g} to {most:g}.",
            "One of them is wrong: look for a rescaling step that is missing or applied twice.",
        )


def _calibrated(model: QuantizedModel, test: Samples) -> Iterator[Finding]:
    """The range that the input's own scale can express, which is what calibration saw."""
    if model.random_calibration:
        return
    summary = prepare.summary_of(model.artefact)
    for tensor, array in zip(summary.input_tensors, test.inputs):  # noqa: B905 - as above
        quantized = _quantized(summary, tensor)
        if quantized is None:
            continue
        smallest, largest = _LIMITS[quantized.dtype]
        scale = float(quantized.scales[0])
        zero_point = int(quantized.zero_points[0]) if len(quantized.zero_points) else 0
        low, high = (smallest - zero_point) * scale, (largest - zero_point) * scale
        reach = _reach(array, low - scale / 2, high + scale / 2)
        clipped = reach.outside / array.size if array.size else 0.0
        if clipped > CLIPPED:
            yield Finding(
                "warning",
                "outside_calibrated_range",
                f"{clipped:.1%} of the test values of input {tensor.name!r} are clipped: the model was "
                f"calibrated for {low:.4g} to {high:.4g}, the samples reach from {reach.least:.4g} to "
                f"{reach.most:.4g}.",
                "Calibrate with samples like these, or look for preprocessing that differs between the two.",
            )


class _Reach(NamedTuple):
    outside: int
    least: float
    most: float


def _reach(array: Array, low: float, high: float) -> _Reach:
    """How many values lie outside, and from where to where they reach; block by block, for a ``Lazy``."""
    outside, least, most = 0, np.inf, -np.inf
    for _, (block,) in blocks([array]):
        if block.size:
            outside += int(((block < low) | (block > high)).sum())
            least, most = min(least, float(block.min())), max(most, float(block.max()))
    return _Reach(outside, least, most)


def _quantized(summary: Summary, tensor: TensorSummary) -> TensorSummary | None:
    """The input itself, or the integers that a float input is quantized to at once."""
    if tensor.dtype in _LIMITS and len(tensor.scales) == 1:
        return tensor
    for operator in summary.operators:
        if operator.kind == "QUANTIZE" and tensor.index in operator.inputs:
            found = summary.tensors[operator.outputs[0]]
            return found if found.dtype in _LIMITS and len(found.scales) == 1 else None
    return None
