"""A quantized model as an ``.espdl`` file with as many test vectors as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.espdl import EspdlModel, EspdlTensor, EspdlValue, is_espdl, parse
from pytest_quantcheck.formats.espdl_writer import serialize
from pytest_quantcheck.formats.onnx import parse as parse_onnx
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.execute import computed
from pytest_quantcheck.graph.from_espdl.qdq import qdq_of, rounding_of
from pytest_quantcheck.graph.from_onnx.read import ROUNDING, read_onnx
from pytest_quantcheck.graph.model import QuantGraph
from pytest_quantcheck.graph.to_espdl.lower import espdl_of, turned_to_nhwc
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.espdl.qdq import GENERATION, TARGET

BLOCKED = ("esp32s3", "esp32p4", "esp32s31")
PER_CHANNEL = ("esp32p4", "esp32s31")


def with_vectors(content: bytes, inputs: Sequence[Array]) -> bytes:
    """The file. ``content``: an artefact of the quantizer espdl, or an ``.espdl`` file, whose vectors are
    replaced; ``inputs``: raw integers, (N, ...) each, in the model's own layout, N from 1 on.

    The file must tell the model's rounding, and give its outputs for all vectors when it is read back.
    Raises ``ModelError`` and ``UnsupportedOperatorError``.
    """
    if is_espdl(content):
        graph, model, turned = read_onnx(qdq_of(content)), parse(content), dict[int, int]()
    else:
        graph = read_onnx(content)
        model, turned = _lowered(content, graph), turned_to_nhwc(graph)
    outputs = _outputs(graph, inputs)
    laid = [x.transpose(0, 1, 3, 4, 2) if number in turned else x for number, x in enumerate(inputs)]
    model = replace(
        model,
        test_inputs=_vectors(model.inputs, laid),
        test_outputs=_vectors(model.outputs, outputs),
    )
    made = serialize(model)
    again = _outputs(read_onnx(qdq_of(made)), laid)
    for value, mine, its in zip(model.outputs, outputs, again, strict=True):
        if not np.array_equal(mine, its):
            raise ModelError(
                f"read back from the .espdl file, output '{value.name}' has other integers; the file is not "
                "written. Report it with the model: what the format cannot hold should have been refused"
            )
    return made


def _lowered(content: bytes, graph: QuantGraph) -> EspdlModel:
    said = {each.key: each.value for each in parse_onnx(content).metadata_props}
    if TARGET not in said:
        raise UnsupportedOperatorError("the model names no target; quantize it with quantizer='espdl'")
    if said.get(GENERATION) == "1":
        raise UnsupportedOperatorError(
            ".espdl is the format of today's ESP-DL, and the model follows version 1.1; quantize with "
            "generation=2"
        )
    target = said[TARGET]
    model = espdl_of(graph, blocks=target in BLOCKED, per_channel=target in PER_CHANNEL)
    _require_told(model, said.get(ROUNDING, ""), target)
    return model


def _require_told(model: EspdlModel, rounding: str, target: str) -> None:
    """No vector need lie at a half, so that equal outputs do not show it."""
    if (told := rounding_of(model)) == rounding:
        return
    advice = (
        "only a Conv or Gemm with several output channels tells half_even, and the model has none; write it "
        "together with such a layer, or quantize for another chip"
        if told == "half_up"
        else "several exponents for the weights of one layer mean half_even; quantize with "
        "granularity='per_tensor'"
    )
    raise ModelError(
        f"an .espdl file does not tell the rounding of this model's chip: sums of {target} are rounded "
        f"{rounding or 'by a rule that the model does not name'}, and the file would be read as {told}: "
        f"{advice}"
    )


def _outputs(graph: QuantGraph, inputs: Sequence[Array]) -> list[Array]:
    """(N, ...) each, in the shapes of the graph."""
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    rows = [x.reshape(len(x), *shape) for x, shape in zip(inputs, shapes, strict=True)]
    values = execute.run_batch(graph, rows)
    return [computed(values[i]) for i in graph.outputs]


def _vectors(values: Sequence[EspdlValue], arrays: Sequence[Array]) -> tuple[EspdlTensor, ...]:
    """A tensor for each vector and name, vector by vector."""
    return tuple(
        EspdlTensor(value.name, value.shape, array[number].reshape(-1), value.exponents)
        for number in range(len(arrays[0]))
        for value, array in zip(values, arrays, strict=True)
    )
