"""Whether quantized weights cost the score: does it rise with the float model's, or a scale per channel?"""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.formats.tflite_weights import CHANNEL_AXIS
from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.float_execute import real_values, run_float
from pytest_quantcheck.graph.model import Operator
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.upstream.study import TRIES, Study

_LEVELS = 127
_NEAR = 0.75  # of a step; rounding leaves half of one


def weight_causes(study: Study, tries: int = TRIES) -> list[Cause]:
    """Causes with evidence; nothing where weights cost little, or the float model's cannot be told."""
    before = study.weights_right
    floats = float_weights(study)
    if not floats or not study.rises(before, study.float_right):
        return []
    every = {op.inputs[1]: weights for op, weights in floats}
    if not study.rises(before, study.simulated(constants=every, exact=True)):
        return []
    common = [(op, weights) for op, weights in floats if _one_scale(study, op)]
    if common and all(_only_rounded(study, *each) for each in floats):
        one = {op.inputs[1]: per_channel(op.kind, weights) for op, weights in common}
        values = run_float(study.graph, study.inputs, constants=every)
        both = {
            op.inputs[1]: equalised(op, weights, computed(values[op.inputs[0]])) for op, weights in common
        }
        for finer, words in ((one, "a scale per channel"), (both, "one also for each input channel")):
            after = study.simulated(constants=finer, exact=True)
            if study.rises(before, after):
                op, share = _coarsest(study, common)
                text = (
                    f"one scale for all channels of operator {op.source} ({op.kind}): in {share:.0%} of them "
                    "no weight uses more than 3 steps"
                )
                return [Cause("per_tensor_channels", text, study.told(before, after, f"with {words}"))]
    return _worst_layer(study, floats, tries)


def float_weights(study: Study) -> list[tuple[Operator, Array]]:
    """Each layer with its weights in the float model: layers correspond by their order, kind and shape.

    Nothing where they do not, and for ONNX models.
    """
    layers = [op for op in study.graph.operators if _weighted(study, op)]
    content = study.model.float_model
    if not content or is_onnx(content):
        return []
    try:
        summary = prepare.summary_of(content)
        theirs = [
            (op.kind, summary.tensors[op.inputs[1]].values)
            for op in summary.operators
            if op.kind in CHANNEL_AXIS
            and len(op.inputs) > 1
            and summary.tensors[op.inputs[1]].data is not None
        ]
    except ModelError:
        return []
    mine = [(op.kind, study.graph.tensors[op.inputs[1]].shape) for op in layers]
    if mine != [(kind, values.shape) for kind, values in theirs]:
        return []
    return [(op, values.astype(np.float32)) for op, (_, values) in zip(layers, theirs, strict=True)]


def per_channel(kind: str, weights: Array) -> Array:
    """Float weights as int8 with a scale per channel can express them."""
    axis = CHANNEL_AXIS[kind]
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scale = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / _LEVELS, 1e-30)
    rounded: Array = np.rint(weights / scale) * scale
    return rounded


def equalised(op: Operator, weights: Array, given: Array) -> Array:
    """Float weights as int8 can express them once every channel of what is ``given`` is as large, too."""
    if op.kind == "DEPTHWISE_CONV_2D":
        return per_channel(op.kind, weights)
    depth = weights.shape[-1]
    size = np.sqrt(np.square(given.reshape(-1, depth)).mean(axis=0))
    size = np.maximum(size, max(float(size.max()), 1e-30) * 1e-6)
    return np.asarray(per_channel(op.kind, weights * size) / size)


def _only_rounded(study: Study, op: Operator, weights: Array) -> bool:
    """Whether the layer has the float model's weights as near as its scale can express them."""
    tensor = study.graph.tensors[op.inputs[1]]
    assert tensor.quantization is not None, "it is quantized"
    return bool((np.abs(real_values(tensor) - weights) <= _NEAR * tensor.quantization.scale.max()).all())


def _weighted(study: Study, op: Operator) -> bool:
    constant = len(op.inputs) > 1 and op.inputs[1] >= 0 and study.graph.tensors[op.inputs[1]].is_constant
    return op.kind in CHANNEL_AXIS and constant


def _one_scale(study: Study, op: Operator) -> bool:
    q = study.graph.tensors[op.inputs[1]].quantization
    return q is not None and len(q.scale) == 1


def _coarsest(study: Study, layers: list[tuple[Operator, Array]]) -> tuple[Operator, float]:
    """The layer with the largest share of channels that have almost no integers, and that share."""

    def share(op: Operator) -> float:
        weights = study.graph.tensors[op.inputs[1]].data
        assert weights is not None, "it is a constant"
        axis = CHANNEL_AXIS[op.kind]
        others = tuple(i for i in range(weights.ndim) if i != axis)
        return float((np.abs(weights.astype(np.int64)).max(axis=others) <= 3).mean())

    best = max((op for op, _ in layers), key=share)
    return best, share(best)


def _worst_layer(study: Study, floats: list[tuple[Operator, Array]], tries: int) -> list[Cause]:
    before = study.weights_right

    def distance(op: Operator, weights: Array) -> float:
        mine = real_values(study.graph.tensors[op.inputs[1]])
        return float(np.square(mine - weights).sum() / max(float(np.square(weights).sum()), 1e-30))

    ranked = sorted(floats, key=lambda each: -distance(*each))[:tries]
    best: tuple[float, Cause] | None = None
    for op, weights in ranked:
        after = study.simulated(constants={op.inputs[1]: weights}, exact=True)
        if study.rises(before, after) and (best is None or after.mean() > best[0]):
            what = "too coarse" if _only_rounded(study, op, weights) else "not those of the float model"
            text = f"the weights of operator {op.source} ({op.kind}) are {what}"
            told = study.told(before, after, "with the float model's weights in that layer")
            best = float(after.mean()), Cause("weights_precision", text, told)
    return [best[1]] if best else []
