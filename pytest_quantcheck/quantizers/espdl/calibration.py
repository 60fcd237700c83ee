"""From values that were seen to exponents: the largest one, a percentile, or what loses least information.

Scales are powers of two, so that only few ranges can be chosen: each is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import graph_inputs, load_onnx
from pytest_quantcheck.numerics.arrays import Array, Float32
from pytest_quantcheck.numerics.power_of_two import Cover, choose_exponent
from pytest_quantcheck.quantizers.espdl.options import EspdlOptions

LEVELS = 128  # magnitudes of int8
FINER = 64  # bins of a histogram in one level of the widest range
NARROWER = 5  # how many times the widest range is halved in search of a better one


@dataclass
class Range:
    """Magnitudes of one tensor: the largest, and how many lie in each bin of ``[0, 128 * 2**exponent)``."""

    largest: float = 0.0
    exponent: int = 0
    counts: npt.NDArray[np.int64] | None = None


def observe(model: Any, samples: Sequence[Float32], names: Iterable[str], counted: bool) -> dict[str, Range]:
    """Run a float ``ModelProto`` on ``samples``, (N, ...) per input, and look at the tensors ``names``.

    ``counted``: with histograms, in a second pass. Raises ``QuantizationError`` for values that are no
    finite numbers.
    """
    session, inputs = _session(model, list(names))
    ranges = {name: Range() for name in names}
    for name, values in _values(session, inputs, samples, ranges):
        largest = float(np.max(np.abs(values), initial=0))
        if not np.isfinite(largest):
            raise QuantizationError(f"tensor '{name}' has values that are not finite; look at the samples")
        ranges[name].largest = max(ranges[name].largest, largest)
    if not counted:
        return ranges
    for seen in ranges.values():
        seen.exponent = int(choose_exponent(seen.largest, np.int8, cover="steps"))
    for name, values in _values(session, inputs, samples, ranges):
        seen = ranges[name]
        width = 2.0**seen.exponent / FINER
        bins = np.minimum((np.abs(values).astype(np.float64) / width).astype(np.int64), LEVELS * FINER - 1)
        counts = np.bincount(bins.reshape(-1), minlength=LEVELS * FINER)
        seen.counts = counts if seen.counts is None else seen.counts + counts
    return ranges


def _session(model: Any, names: list[str]) -> tuple[Any, list[str]]:
    """The model with all ``names`` among its outputs."""
    onnx = load_onnx()
    import onnxruntime

    copy = onnx.ModelProto.FromString(model.SerializeToString())
    known = {info.name for info in (*copy.graph.output, *copy.graph.input)}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            copy.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own, by what is wrong
        raise QuantizationError(f"onnxruntime does not run the model: {str(error)[:300]}") from error
    return session, [info.name for info in graph_inputs(copy.graph)]


def _values(
    session: Any, inputs: list[str], samples: Sequence[Float32], names: Iterable[str]
) -> Iterable[tuple[str, Array]]:
    """Every tensor's values, sample by sample; batch 1."""
    wanted = [name for name in names if name not in inputs]
    for i in range(len(samples[0])):
        fed = {name: array[i : i + 1] for name, array in zip(inputs, samples, strict=True)}
        found = session.run(wanted, fed) if wanted else []
        yield from zip(wanted, found, strict=True)
        yield from ((name, fed[name]) for name in inputs if name in names)


def float_values(model: Any, samples: Sequence[Float32], names: Sequence[str]) -> dict[str, Array]:
    """What a float ``ModelProto`` computes for the tensors ``names`` of ``samples``, (N, ...) each."""
    session, inputs = _session(model, list(names))
    found: dict[str, list[Array]] = {name: [] for name in names}
    for name, values in _values(session, inputs, samples, names):
        found[name].append(values)
    return {name: np.concatenate(rows) for name, rows in found.items()}


def exponent(seen: Range, dtype: str, cover: Cover, options: EspdlOptions) -> int:
    """The exponent for a tensor by the method that was asked for."""
    if options.calibration_method == "minmax" or seen.largest == 0 or seen.counts is None:
        return int(choose_exponent(seen.largest, dtype, cover=cover))
    if options.calibration_method == "percentile":
        return int(choose_exponent(_percentile(seen, options.share), dtype, cover=cover))
    return _least_information_lost(seen)


def _percentile(seen: Range, share: float) -> float:
    """The magnitude below which ``share`` percent of all values lie, to the upper edge of a bin."""
    assert seen.counts is not None
    total = np.cumsum(seen.counts)
    place = int(np.searchsorted(total, total[-1] * share / 100))
    return min((place + 1) * 2.0**seen.exponent / FINER, seen.largest)


def _least_information_lost(seen: Range) -> int:
    """The range with the smallest Kullback-Leibler divergence of what 128 levels leave of the histogram."""
    assert seen.counts is not None
    counts = seen.counts.astype(np.float64)
    lost = [_divergence(counts, len(counts) >> halved) for halved in range(NARROWER + 1)]
    return seen.exponent - int(np.argmin(lost))


def _divergence(counts: npt.NDArray[np.float64], kept: int) -> float:
    """Of the histogram clipped to ``kept`` bins from the same one in 128 levels."""
    clipped = counts[:kept].copy()
    levels = clipped.reshape(LEVELS, -1)  # what lies beyond the range is not in the levels
    filled = levels > 0
    means = levels.sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
    coarse = np.where(filled, means[:, None], 0).reshape(-1)
    clipped[-1] += counts[kept:].sum()
    p, q = clipped / clipped.sum(), coarse / max(coarse.sum(), 1)
    at = p > 0
    return float(np.sum(p[at] * np.log(p[at] / np.maximum(q[at], 1e-12))))
