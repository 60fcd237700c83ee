"""What is wrong with a calibration that new scales would mend: its classes, its range, or noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.upstream.study import Study

_MISSING = 0.3  # of the classes: as many must be left out
_NOISE = 1.0  # neighbours differ by so much, in standard deviations (independent values: 1.13 and more)
_SMOOTH = 0.8  # real samples: less
_CLIPPED = 0.01
_APART = 1.5  # times the other's spread, or so many spreads away


def calibration_causes(study: Study, told: str, *, inputs_alone: bool) -> list[Cause]:
    """The causes that counting shows, the most specific one first; ``told`` is the rise of new scales."""
    found = [Cause(code, text, f"{told}; {fact}") for code, text, fact in islice(_facts(study), 1)]
    clipped, span = _clipped(study)
    if clipped > _CLIPPED:
        text = f"{clipped:.1%} of the test values are clipped: the model was calibrated for {span}"
        found.append(Cause("test_outside_range", text, told))
    if found:
        return found
    what = "the input's scale does" if inputs_alone else "scales do"
    return [Cause("activation_range", f"the calibrated {what} not fit these samples", told)]


def _facts(study: Study) -> Iterator[tuple[str, str, str]]:
    if study.model.random_calibration:
        yield "calibration_random", "the calibration was random", "the configuration says so"
    samples = calibration_samples(study)
    if samples is None:
        return
    yield from _classes(study, samples)
    yield from _random(study, samples)
    yield from _range(study, samples)


def calibration_samples(study: Study) -> Samples | None:
    """The samples that calibrated the model, as far as the data and the manifest say."""
    whole = study.data.calibration
    ids = study.model.manifest.get("calibration", {}).get("ids")
    if ids:
        places = {name: i for i, name in enumerate(whole.names)}
        chosen = [places[name] for name in ids if name in places]
        if chosen:
            return whole.take(chosen)
    return whole if len(whole) else None


def _classes(study: Study, samples: Samples) -> Iterator[tuple[str, str, str]]:
    labels, tested = samples.labels, study.samples.labels
    if labels is None or tested is None:
        return
    all_classes = set(tested)
    missing = all_classes - set(labels)
    if len(all_classes) > 1 and len(missing) >= max(1, _MISSING * len(all_classes)):
        names = study.data.classes
        seen = ", ".join(names[c] if c < len(names) else str(c) for c in sorted(set(labels))[:5])
        yield (
            "calibration_one_class",
            f"calibration saw only the class{'es' if len(set(labels)) > 1 else ''} {seen}",
            f"{len(missing)} of {len(all_classes)} classes are not among the {len(samples)} calibration "
            "samples",
        )


def _random(study: Study, samples: Samples) -> Iterator[tuple[str, str, str]]:
    pairs = zip(samples.inputs, study.samples.inputs, strict=False)
    for calibrated, tested in pairs:
        theirs, ours = _roughness(calibrated), _roughness(tested)
        if theirs is not None and ours is not None and theirs >= _NOISE and ours <= _SMOOTH:
            yield (
                "calibration_random",
                "calibration saw random numbers",
                f"neighbouring values differ by {theirs:.2f} standard deviations in the calibration samples, "
                f"by {ours:.2f} in the test samples",
            )
            return


def _roughness(x: Array) -> float | None:
    """How far neighbours along the longest axis are apart, in standard deviations; None of too few."""
    values = np.asarray(x, np.float64)
    if values.ndim < 2 or not values.size:
        return None
    axis = 1 + int(np.argmax(values.shape[1:]))
    spread = float(values.std())
    if values.shape[axis] < 3 or not spread:
        return None
    return float(np.abs(np.diff(values, axis=axis)).mean()) / spread


def _range(study: Study, samples: Samples) -> Iterator[tuple[str, str, str]]:
    for calibrated, tested in zip(samples.inputs, study.samples.inputs, strict=False):
        (low, high), (least, most) = (np.percentile(x, [1, 99]) for x in (calibrated, tested))
        spread, ours = max(high - low, 1e-9), max(most - least, 1e-9)
        ratio = max(spread, ours) / min(spread, ours)
        away = abs((low + high) - (least + most)) / 2 / max(spread, ours)
        if ratio >= _APART or away >= _APART:
            yield (
                "calibration_range",
                f"calibration samples reach from {low:.3g} to {high:.3g}, test samples from {least:.3g} to "
                f"{most:.3g}",
                "both by their 1st and 99th percentiles",
            )
            return


def _clipped(study: Study) -> tuple[float, str]:
    """The share of real inputs that the input's scale cannot express, and what it can."""
    worst, span = 0.0, ""
    for index in study.rounded:
        tensor = study.graph.tensors[index]
        edge = index in study.graph.inputs or any(
            op.kind == "QUANTIZE" and op.inputs[0] in study.graph.inputs and index == op.outputs[0]
            for op in study.graph.operators
        )
        if not edge or tensor.dtype.kind not in "iu" or tensor.quantization is None:
            continue
        limits, q = np.iinfo(tensor.dtype.name), tensor.quantization
        scale, zero = float(q.scale[0]), int(q.zero_point[0])
        low, high = (limits.min - zero) * scale, (limits.max - zero) * scale
        values = computed(study.plain[index])
        share = float(((values < low - scale / 2) | (values > high + scale / 2)).mean())
        if share > worst:
            worst, span = share, f"{low:.3g} to {high:.3g}"
    return worst, span
