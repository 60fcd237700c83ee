"""Which activations' scales cost the score: all calibrated anew, or one group left in real numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.model import Concatenation, Operator, Pad, Quantization
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.upstream.calibration import calibration_causes
from pytest_quantcheck.verdict.causes.upstream.study import TRIES, Study
from pytest_quantcheck.verdict.metrics.regression import sqnr

MOVING = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "CONCATENATION", "QUANTIZE")
_UNLIKE = 8.0  # times another's range
_NAME = 60


def scale_causes(study: Study, tries: int = TRIES) -> list[Cause]:
    """Causes with evidence, the one that brings most back first; nothing where activations cost little."""
    before = study.simulated_right
    if not study.rises(before, study.weights_right):
        return []
    anew = new_scales(study, study.rounded)
    specific, found = list(_of_groups(study)), _single(study, tries)
    after = study.simulated(scales=anew)
    if study.rises(before, after):
        edges = [i for i in study.rounded if i in _edges(study)]
        only = study.simulated(scales={i: anew[i] for i in edges if i in anew})
        calibration = calibration_causes(
            study,
            study.told(before, after, "with scales from these samples"),
            inputs_alone=study.rises(before, only),
        )
        return [*specific, *calibration, *found]
    return [*specific, *found]


def new_scales(study: Study, tensors: Collection[int]) -> dict[int, Quantization]:
    """Scales from the least and largest real values of these samples, 0 included."""
    found = {}
    for index in tensors:
        tensor = study.graph.tensors[index]
        if tensor.dtype.kind not in "iu":
            continue
        values = computed(study.plain[index])
        limits = np.iinfo(tensor.dtype.name)
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
        if tensor.dtype == np.int16:
            scale, zero = max(-low, high, 1e-9) / limits.max, 0
        else:
            scale = max(high - low, 1e-9) / (int(limits.max) - int(limits.min))
            zero = round(limits.min - low / scale)
        found[index] = Quantization(np.array([scale], np.float32), np.array([zero], np.int64))
    return found


def groups(study: Study) -> list[list[int]]:
    """Tensors that share one scale because an operator between them only moves values."""
    parent = {i: i for i in study.rounded}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for op in study.graph.operators:
        for i in op.inputs:
            if op.kind in MOVING and i in parent and _alike(study, i, op.outputs[0]):
                parent[root(i)] = root(op.outputs[0])
    found: dict[int, list[int]] = {}
    for i in study.rounded:
        found.setdefault(root(i), []).append(i)
    return list(found.values())


def _alike(study: Study, a: int, b: int) -> bool:
    one, other = (study.graph.tensors[i].quantization for i in (a, b))
    if one is None or other is None or study.graph.tensors[a].dtype != study.graph.tensors[b].dtype:
        return False
    return bool(one.scale[0] == other.scale[0] and one.zero_point[0] == other.zero_point[0])


def _of_groups(study: Study) -> Iterator[Cause]:
    """Groups with a CONCATENATION or a padding: what is unlike there shares one scale."""
    before = study.simulated_right
    for group in groups(study):
        kinds = [op for op in study.graph.operators if op.outputs[0] in group]
        joined = next((op for op in kinds if isinstance(op.params, Concatenation)), None)
        padded = next((op for op in kinds if isinstance(op.params, Pad) and _far(study, op)), None)
        if joined is None and padded is None:
            continue
        after = study.simulated(left_out=group)
        if not study.rises(before, after):
            continue
        if padded is not None:
            value = _pad_value(study, padded)
            where = f"operator {padded.source} ({padded.kind})"
            text = f"the padding with {value:.3g} in {where} stretches the scale"
            told = study.told(before, after, "with that tensor in real numbers")
            yield Cause("pad_constant", text, told)
        if joined is not None:
            spans = [_span(study, i) for i in joined.inputs if i in study.rounded]
            if len(spans) > 1 and max(spans) >= _UNLIKE * min(spans):
                where = f"operator {joined.source} (CONCATENATION)"
                text = f"{where} joins ranges of {_listed(spans)} under one scale"
                told = study.told(before, after, "with its tensors in real numbers")
                yield Cause("concat_scale", text, told)


def _single(study: Study, tries: int) -> list[Cause]:
    """The tensor whose scale costs most: the score with it alone in real numbers."""
    before = study.simulated_right
    noisy = sorted(groups(study), key=lambda group: _noise(study, group))[:tries]
    best: tuple[float, str, str] | None = None
    for group in noisy:
        after = study.simulated(left_out=group)
        if study.rises(before, after) and (best is None or after.mean() > best[0]):
            tensor = study.graph.tensors[group[0]]
            told = study.told(before, after, "with that tensor in real numbers")
            best = (float(after.mean()), _fit(study, group, tensor.name[:_NAME]), told)
    return [Cause("activation_range", best[1], best[2])] if best else []


def _fit(study: Study, group: list[int], name: str) -> str:
    """How the range that the scale can express compares with the values that are there."""
    tensor = study.graph.tensors[group[0]]
    values = computed(study.plain[group[0]])
    q = tensor.quantization
    assert q is not None, "it is rounded"
    limits = np.iinfo(tensor.dtype.name) if tensor.dtype.kind in "iu" else None
    if limits is None:
        return f"the scale of {name!r} does not fit its values"
    low, high = ((int(end) - int(q.zero_point[0])) * float(q.scale[0]) for end in (limits.min, limits.max))
    clipped = float(((values < low) | (values > high)).mean())
    if clipped > 0.001:
        return f"{clipped:.1%} of {name!r} are clipped: its scale reaches from {low:.3g} to {high:.3g}"
    few = np.percentile(values, [0.5, 99.5])
    return (
        f"the scale of {name!r} reaches from {low:.3g} to {high:.3g}, 99 % of its values lie in "
        f"{few[0]:.3g} to {few[1]:.3g}"
    )


def _edges(study: Study) -> set[int]:
    """The inputs, and what a QUANTIZE makes of them."""
    found = set(study.graph.inputs)
    for op in study.graph.operators:
        if op.kind == "QUANTIZE" and op.inputs[0] in found:
            found.add(op.outputs[0])
    return found


def _noise(study: Study, group: list[int]) -> float:
    """The ratio of signal to noise that its own scale leaves, dB."""
    values = computed(study.plain[group[0]])
    return sqnr(study.real(group[0]), values)


def _span(study: Study, index: int) -> float:
    """The largest magnitude of a tensor's real values."""
    return float(np.abs(computed(study.plain[index])).max()) or 1e-12


def _pad_value(study: Study, op: Operator) -> float:
    q = study.graph.output_of(op).quantization
    assert isinstance(op.params, Pad), "it pads"
    return 0.0 if q is None else (op.params.value - int(q.zero_point[0])) * float(q.scale[0])


def _far(study: Study, op: Operator) -> bool:
    """The pad's value is far from all values that are padded."""
    values = computed(study.plain[op.inputs[0]])
    low, high = float(values.min()), float(values.max())
    value = _pad_value(study, op)
    return not low - (high - low) <= value <= high + (high - low)


def _listed(spans: list[float]) -> str:
    return " and ".join(f"±{span:.3g}" for span in sorted(spans, reverse=True)[:3])
