"""TensorFlow's converter called as its documentation says, and what it means that two artefacts are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]


def convert(
    converter: Any,
    samples: Sequence[Array],
    *,
    scheme: str,
    input_type: str,
    output_type: str,
    per_tensor: bool,
) -> bytes:
    """Set the options of a ``TFLiteConverter`` and convert; ``samples``: one (N, ...) array per input."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in ("int8", "int16x8"):
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        narrow = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        converter.target_spec.supported_ops = [narrow if scheme == "int8" else wide]
        converter.inference_input_type = getattr(tf, input_type)
        converter.inference_output_type = getattr(tf, output_type)
        converter._experimental_disable_per_channel = per_tensor
        converter.representative_dataset = lambda: (
            [array[i : i + 1] for array in samples] for i in range(len(samples[0]))
        )
    return bytes(converter.convert())


def canonical(artefact: bytes) -> list[str]:
    """One hash per output over all that leads to it: operators, options, shapes, types, scales, constants.

    Names, the order of tensors, buffers and independent operators, and that of several inputs or outputs
    do not count.
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(artefact), 0)
    graph = model.subgraphs[0]
    maker = {index: operator for operator in graph.operators for index in operator.outputs}
    known: dict[int, str] = {}

    def tensor(index: int) -> str:
        if index < 0:
            return "absent"
        if index not in known:
            facts = [*_facts(graph.tensors[index]), index in graph.inputs]
            if index in maker:
                facts += operator(maker[index], index)
            else:
                facts.append(np.asarray(_data(model, graph.tensors[index]), np.uint8).tobytes())
            known[index] = hashlib.sha256(repr(facts).encode()).hexdigest()
        return known[index]

    def operator(made_by: Any, index: int) -> list[Any]:
        code = model.operatorCodes[made_by.opcodeIndex]
        options = {} if made_by.builtinOptions is None else vars(made_by.builtinOptions)
        said = sorted((key, np.asarray(value).tolist()) for key, value in options.items())
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        slot = list(made_by.outputs).index(index)
        return [kind, said, slot, *(tensor(i) for i in made_by.inputs)]

    return sorted(tensor(index) for index in graph.outputs)


def _facts(tensor: Any) -> list[Any]:
    quantization = tensor.quantization
    scales = [] if quantization is None else _numbers(quantization.scale, "f4")
    zeros = [] if quantization is None else _numbers(quantization.zeroPoint, "i8")
    axis = quantization.quantizedDimension if len(scales) > 1 else 0
    shape = [] if tensor.shape is None else np.asarray(tensor.shape).tolist()
    return [shape, int(tensor.type), scales, zeros if scales else [], axis]


def _numbers(values: Any, dtype: str) -> list[Any]:
    return [] if values is None else list(np.asarray(values, dtype).tolist())


def _data(model: Any, tensor: Any) -> Any:
    data = model.buffers[tensor.buffer].data
    return [] if data is None else data
