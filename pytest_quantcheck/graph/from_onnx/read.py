"""Read an ONNX QDQ model into the integer graph: inputs, nodes, outputs. Operators: ``rules.py``.

Every operator stands between DequantizeLinear and QuantizeLinear; together they are one integer operator.
The graph computes in NHWC and int8: tensors with spatial axes are transposed where an operator needs it,
uint8 ones are shifted by 128. Inputs and outputs keep the model's own layout and type. The arithmetic is
onnxruntime's (``numerics.float_scale``); models whose metadata name a rounding rule have scales that are
powers of two, in int8 or int16: sums are shifted by that rule (``numerics.power_of_two``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.onnx import (
    attributes,
    damage_told,
    edge_type,
    graph_inputs,
    in_order,
    kind_of,
    metadata,
    opset,
    parse,
    value_type,
)
from pytest_quantcheck.formats.onnx_form import other_form
from pytest_quantcheck.graph.from_onnx.attributes import unread
from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED, translate
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import SHIFT, Arithmetic, Constant, Origin, Value
from pytest_quantcheck.graph.model import FloatEdge, Operator, QuantGraph, Rescale, Tensor
from pytest_quantcheck.numerics.affine import quantize
from pytest_quantcheck.numerics.power_of_two import DIVIDING
from pytest_quantcheck.numerics.rounding import Rounding

ROUNDING, DTYPE = "quantcheck.rounding", "quantcheck.dtype"  # metadata of models with powers of two
MIN_OPSET = 13  # the first whose DequantizeLinear has an axis, and whose Softmax has one axis


def read_onnx(data: bytes) -> QuantGraph:
    """The integer graph of a QDQ model with int8 or uint8 activations; int8, uint8 or float32 at its edges.

    Operators keep their index among the model's nodes; those put in between (TRANSPOSE, RESHAPE and
    QUANTIZE for layout and type, TABLE for a change of scale) count on behind them. Raises ``ModelError``
    or ``UnsupportedOperatorError``.
    """
    return _translation(data).graph(data)


def origins(data: bytes) -> tuple[Origin, ...]:
    """Where the outputs of the graph's operators stand in the model, for all that stand there."""
    return tuple(_translation(data).origins)


def _translation(data: bytes) -> Translation:
    model = parse(data)
    if opset(model) < MIN_OPSET:
        raise UnsupportedOperatorError(
            f"the model has operator set {opset(model)}, in which Softmax and Pad mean something else; "
            f"sets from {MIN_OPSET} on are read. Convert it with onnx.version_converter.convert_version("
            f"model, {MIN_OPSET}), or quantize the float model with quantcheck quantize"
        )
    with damage_told():
        if form := other_form(model.graph):
            raise UnsupportedOperatorError(str(form))
        t = Translation(model.graph, _arithmetic(model))
        _run(t)
    return t


def _arithmetic(model: Any) -> Arithmetic:
    """onnxruntime's, unless the file names a rule for scales that are powers of two."""
    said = metadata(model)
    if ROUNDING not in said and DTYPE not in said:
        return Arithmetic()
    rounding, dtype = said.get(ROUNDING, ""), said.get(DTYPE, "")
    for key, value, allowed in ((ROUNDING, rounding, DIVIDING), (DTYPE, dtype, ("int8", "int16"))):
        if value not in allowed:
            raise ModelError(f"the model's metadata say {key}={value!r}; allowed: {', '.join(allowed)}")
    return Arithmetic(dtype, cast(Rounding, rounding), True)


def _run(t: Translation) -> None:
    """Translate inputs, nodes and outputs, in this order."""
    nodes = in_order(t.source)
    for info in graph_inputs(t.source):
        _input(t, info)
    for node in nodes:
        _check_attributes(t, node)
        _node(t, node)
    taken = set(t.inputs)
    for info in t.source.output:
        _output(t, info, taken)
    if not t.operators:
        raise ModelError("the model has no operators")


def _input(t: Translation, info: Any) -> None:
    shape, dtype = edge_type(info)
    sizes = tuple(n for n in shape if isinstance(n, int) and n > 0)
    if len(sizes) != len(shape):
        raise UnsupportedOperatorError(f"input '{info.name}' has the shape {shape}; sizes must be known")
    if dtype == "float32":
        t.floats[info.name] = t.add(info.name, sizes, "float32")
        t.inputs.append(t.floats[info.name])
        return
    allowed = (t.arithmetic.dtype,) if t.arithmetic.powers_of_two else ("int8", "uint8")
    if dtype not in allowed:
        told = ", ".join((*allowed, "float32"))
        raise UnsupportedOperatorError(f"input '{info.name}' is {dtype}; supported: {told}")
    if dtype == "uint8":
        t.unsigned.add(info.name)
    scale, zero_point, kind = _reader_parameters(t, info.name)
    index = t.add(info.name, sizes, dtype, scale, zero_point)
    t.inputs.append(index)
    value = Value(index, info.name, sizes, scale, zero_point - (SHIFT if kind == "uint8" else 0))
    if kind == "uint8":
        value = t.insert("QUANTIZE", value, sizes, Rescale(zero_point, value.zero_point, None, -128, 127))
    t.values[info.name] = value


def _reader_parameters(t: Translation, name: str) -> tuple[np.float32, int, str]:
    for node in t.readers.get(name, ()):
        if node.op_type == "DequantizeLinear":
            return t.parameters(node)
    raise UnsupportedOperatorError(
        f"the integer input '{name}' has no DequantizeLinear behind it: its scale is not known"
    )


def _check_attributes(t: Translation, node: Any) -> None:
    if kind_of(node) in SUPPORTED and (told := unread(kind_of(node), attributes(node))):
        t.fail(node, told)


def _node(t: Translation, node: Any) -> None:
    kind = kind_of(node)
    if kind == "Constant" or (node.output and node.output[0] in t.done):
        return
    if kind == "QuantizeLinear":
        _quantize(t, node)
    elif kind == "DequantizeLinear":
        _dequantize(t, node)
    else:
        translate(t, node)


def _quantize(t: Translation, node: Any) -> None:
    """Of a constant, at the model's own float input, or behind a DequantizeLinear: a change of scale."""
    name = node.input[0]
    if name in t.constants:
        _quantize_constant(t, node)
        return
    target = t.target_of(node)
    if name in t.floats:
        index = t.floats[name]
        shape = t.tensors[index].shape
        edge = FloatEdge(float(target.scale), target.zero_point, "half_even")
        t.emit(node, "QUANTIZE", (index,), shape, target, edge)
        return
    value = t.real.get(name)
    if not isinstance(value, Value):
        t.fail(node, f"'{name}' is float and no input of the model; quantize the whole model")
    t.rescale(node, value, target)


def _quantize_constant(t: Translation, node: Any) -> None:
    """Weights that the file holds as floats, with the QuantizeLinear that rounds them."""
    data, scales = t.constant(node, 0), t.constant(node, 1).reshape(-1)
    zeros = t.constant(node, 2).reshape(-1) if len(node.input) > 2 else np.zeros(1, np.uint8)
    axis = int(attributes(node).get("axis", 1)) if len(scales) > 1 else None
    t.constants[node.output[0]] = quantize(data, scales, zeros, zeros.dtype, axis, rounding="half_even")


def _dequantize(t: Translation, node: Any) -> None:
    name = node.input[0]
    if name in t.constants:
        axis = int(attributes(node).get("axis", 1))
        data, zeros = t.constants[name], np.zeros(1, np.int64)
        if len(node.input) > 2:
            zeros = t.constant(node, 2).reshape(-1).astype(np.int64)
        scales = t.constant(node, 1).reshape(-1).astype(np.float32)
        t.check_scales(node, scales)
        if data.dtype == np.uint8:
            data, zeros = (data ^ 0x80).view(np.int8), zeros - SHIFT
        t.real[node.output[0]] = Constant(data, scales, np.broadcast_to(zeros, scales.shape), axis)
    elif name in t.values:
        scale, zero_point, kind = t.parameters(node)
        value = t.values[name]
        zero_point -= SHIFT if kind == "uint8" else 0
        t.real[node.output[0]] = replace(value, scale=scale, zero_point=zero_point)
    else:
        t.fail(node, f"its input '{name}' is not known before it")


def _output(t: Translation, info: Any, taken: set[int]) -> None:
    """``taken``: the tensors that are inputs or outputs already."""
    name = info.name
    if name in t.values:  # an integer output
        value = t.model_layout(t.values[name])
        if name in t.unsigned:
            zero = value.zero_point
            value = t.insert(
                "QUANTIZE", value, value.shape, Rescale(zero, zero + SHIFT, None, 0, 255), dtype="uint8"
            )
    elif isinstance(found := t.real.get(name), Value):
        value = t.model_layout(found)
        index = t.position[name]
        edge = FloatEdge(float(value.scale), value.zero_point)
        out = t.add(name, value.shape, "float32")
        t.operators.append(Operator(index, "DEQUANTIZE", (value.index,), (out,), edge))
        t.origins.append(Origin(index, "DEQUANTIZE", name, value.shape, False, False))
        value = replace(value, index=out)
    else:
        raise UnsupportedOperatorError(f"output '{name}' is computed in float; quantize the whole model")
    _check_declared(info, t.tensors[value.index])
    if value.index in taken:
        raise UnsupportedOperatorError(f"output '{name}' is an input or another output as it is")
    taken.add(value.index)
    t.outputs.append(value.index)


def _check_declared(info: Any, tensor: Tensor) -> None:
    """What the file says of an output must be what comes out; open sizes say nothing."""
    shape, dtype = value_type(info)
    sizes = shape if info.type.tensor_type.HasField("shape") else tensor.shape
    fits = len(sizes) == len(tensor.shape) and all(
        n == m or not isinstance(n, int) for n, m in zip(sizes, tensor.shape, strict=True)
    )
    if not fits or dtype != tensor.dtype.name:
        raise ModelError(
            f"output '{info.name}' is {dtype} {sizes} by the file, but its operators give "
            f"{tensor.dtype.name} {tensor.shape}; export the model again"
        )
