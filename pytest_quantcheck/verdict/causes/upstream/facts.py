"""Causes that counting in the files shows, and ties among the largest outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.detect import is_onnx
from pytest_quantcheck.graph.model import FloatEdge
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.audit.audit import audit
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.causes.upstream.study import RISE, Study
from pytest_quantcheck.verdict.metrics.classification import decisions

_BATCHED = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
_MOST_LOST = 0.5  # of the lost samples must be ties


def file_causes(model: QuantizedModel) -> Iterator[Cause]:
    """What the float model and the artefact show by themselves; nothing of files that cannot be read."""
    yield from _float_model(model.float_model)
    if is_onnx(model.artefact):
        return
    try:
        summary = prepare.summary_of(model.artefact)
    except ModelError:
        return
    batched = [op for op in summary.operators if op.kind in _BATCHED]
    if batched:
        text = f"operator {batched[0].index} is {batched[0].kind}: the batch size was left open"
        told = f"{len(batched)} operators of the file move pictures into the batch and back"
        yield Cause("open_batch", text, told)
    yield from _shared_biases(model)


def _float_model(content: bytes) -> Iterator[Cause]:
    if not content or is_onnx(content):
        return
    try:
        summary = prepare.summary_of(content)
    except ModelError:
        return
    constants = [t for t in summary.tensors if t.data is not None and t.elements > 1]
    weights = [t for t in constants if t.dtype in ("float32", "float16", "int8", "uint8")]
    narrow = [t for t in weights if t.dtype != "float32"]
    if narrow:
        text = f"the float model has {narrow[0].dtype} weights"
        told = f"{len(narrow)} of {len(weights)} constants of the float model are {narrow[0].dtype}"
        yield Cause("float_model_quantized", text, told)


def _shared_biases(model: QuantizedModel) -> Iterator[Cause]:
    """A bias with several readers whose scale is not that of each."""
    summary = prepare.summary_of(model.artefact)
    readers: dict[int, list[int]] = {}
    for op in summary.operators:
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            readers.setdefault(op.inputs[2], []).append(op.index)
    wrong = [finding for finding in audit(model.artefact) if finding.code == "bias"]
    for tensor, its in readers.items():
        if len(its) < 2:
            continue
        for finding in wrong:
            if any(f"operator {index} " in finding.sentence for index in its):
                names = ", ".join(map(str, its))
                text = f"operators {names} share the bias {summary.tensors[tensor].name!r}"
                yield Cause("shared_bias", text, finding.sentence)
                return


def tie_cause(study: Study) -> Iterator[Cause]:
    """Samples whose label is among several classes with the same largest integer."""
    if not study.classes:
        return
    last = _integer_output(study)
    raw = np.asarray(study.integers[last])
    outputs: Array = raw.reshape(len(study), -1)
    wanted = study.labels if study.labels is not None else decisions(study.float_outputs[0])
    lost = study.float_right & ~study.integer_right
    largest = outputs.max(axis=1, keepdims=True)
    among = (outputs == largest)[np.arange(len(outputs)), wanted] & ((outputs == largest).sum(axis=1) > 1)
    ties = int((lost & among).sum())
    if ties < max(2, _MOST_LOST * int(lost.sum())) or ties < RISE * len(study):
        return
    after = study.simulated(left_out=[last])
    if study.rises(study.simulated_right, after):
        text = f"{ties} samples are lost because another class has the same largest integer"
        told = (
            f"of {int(lost.sum())} samples lost against the float model, {ties} have their class among the "
            f"tied ones; {study.told(study.simulated_right, after, 'with its output in real numbers')}"
        )
        yield Cause("argmax_tie", text, told)


def _integer_output(study: Study) -> int:
    """The first output, or what a DEQUANTIZE makes it of."""
    last = study.graph.outputs[0]
    for op in study.graph.operators:
        if op.outputs[0] == last and isinstance(op.params, FloatEdge):
            return op.inputs[0]
    return last
