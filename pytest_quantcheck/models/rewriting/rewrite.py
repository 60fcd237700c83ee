"""Exact rewrites of a ``.tflite`` file, for what TensorFlow's quantizers do not offer on a float flatbuffer.

They do what TensorFlow does elsewhere, down to the last bit; ``tests/host/models/rewriting/test_equality.py``
compares them with the converter wherever it can do the same.
"""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.tflite_weights import (
    ACTIVATION_OF,
    BIAS,
    BIAS_OF,
    CHANNEL_AXIS,
    DYNAMIC_FROM,
    WEIGHTS,
)
from pytest_quantcheck.models.rewriting.tree import Tree
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.rounding import round_half_away

# operator -> its version with int8 weights and float activations
DYNAMIC = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 12, "TRANSPOSE_CONV": 3}
FLOAT16_DEQUANTIZE_VERSION = 3


def float16(content: bytes) -> bytes:
    """Every float32 constant in float16, with a DEQUANTIZE behind it, as ``supported_types=[float16]`` does.

    Values beyond float16's range are saturated to its largest.
    """
    tree = Tree(content)
    limit = np.float32(np.finfo(np.float16).max)
    code = tree.operator_code("DEQUANTIZE", FLOAT16_DEQUANTIZE_VERSION)
    widenings = []
    for index, tensor, values in list(tree.float_constants()):
        wide = tree.schema.TensorT()
        wide.name, wide.shape, wide.type = tensor.name + b"_float32", tensor.shape, tensor.type
        tree.graph.tensors.append(wide)
        tensor.type = tree.schema.TensorType.FLOAT16
        tree.set_constant(tensor, np.clip(values, -limit, limit).astype("<f2"))
        new = len(tree.graph.tensors) - 1
        for operator in tree.graph.operators:
            operator.inputs = np.where(np.asarray(operator.inputs) == index, new, operator.inputs)
        widening = tree.schema.OperatorT()
        widening.opcodeIndex = code
        widening.inputs, widening.outputs = np.array([index], np.int32), np.array([new], np.int32)
        widenings.append(widening)
    tree.graph.operators = widenings + list(tree.graph.operators)
    return tree.bytes()


def float32(content: bytes) -> bytes:
    """Every float16 constant that a DEQUANTIZE widens in float32, without the DEQUANTIZE.

    No value changes: every float16 is a float32.
    """
    tree = Tree(content)
    kept, instead, widened = [], {}, set()
    for operator in tree.graph.operators:
        source, output = tree.input(operator, 0), int(operator.outputs[0]) if len(operator.outputs) else -1
        if tree.kind(operator) == "DEQUANTIZE" and int(operator.inputs[0]) in widened:
            instead[output] = int(operator.inputs[0])
            continue
        half = tree.kind(operator) == "DEQUANTIZE" and source.type == tree.schema.TensorType.FLOAT16
        values = tree.constant(source, "<f2") if half else None
        if values is None:
            kept.append(operator)
            continue
        source.type = tree.schema.TensorType.FLOAT32
        tree.set_constant(source, values.astype("<f4"))
        widened.add(int(operator.inputs[0]))
        instead[output] = int(operator.inputs[0])
    for operator in kept:
        operator.inputs = np.array([instead.get(int(i), int(i)) for i in operator.inputs], np.int32)
    tree.graph.operators = kept
    return tree.bytes()


def dynamic_range(content: bytes) -> bytes:
    """Weights of 1024 elements and more in int8, one scale per channel; activations stay float.

    As ``Optimize.DEFAULT`` without samples does. Raises ``QuantizationError`` when an operator other than
    those of ``DYNAMIC`` holds weights so large.
    """
    tree = Tree(content)
    for operator in tree.graph.operators:
        kind = tree.kind(operator)
        for position in range(len(operator.inputs)):
            tensor = tree.input(operator, position)
            if tensor is None or tensor.type != tree.schema.TensorType.FLOAT32:
                continue
            values = tree.constant(tensor, "<f4")
            if values is None or values.size < DYNAMIC_FROM:
                continue
            if kind not in DYNAMIC or position != WEIGHTS:
                raise QuantizationError(
                    f"scheme='dynamic': {kind} with {values.size} constants ('{tensor.name.decode()}') "
                    f"is not quantized here; allowed: {', '.join(DYNAMIC)}. Use scheme='float16' or 'int8'"
                )
            integers, scales = symmetric_int8(values, CHANNEL_AXIS[kind])
            tensor.type = tree.schema.TensorType.INT8
            tree.quantized(tensor, integers, scales, CHANNEL_AXIS[kind])
            operator.opcodeIndex = tree.operator_code(kind, DYNAMIC[kind])
            if kind == "FULLY_CONNECTED":
                operator.builtinOptions.asymmetricQuantizeInputs = True
    return tree.bytes()


def one_scale(per_channel: bytes, float_model: bytes) -> bytes:
    """A per-channel int16x8 model with one scale for each layer's weights, made again from the float ones.

    TensorFlow's own per-tensor int16x8 stops at DEPTHWISE_CONV_2D. ``float_model`` is the model that was
    quantized: tensors are paired by name.
    """
    tree, source = Tree(per_channel), Tree(float_model)
    named = {tensor.name: tensor for tensor in source.graph.tensors}
    for operator in tree.graph.operators:
        kind = tree.kind(operator)
        if kind not in CHANNEL_AXIS:
            continue
        weights, bias = tree.input(operator, WEIGHTS), tree.input(operator, BIAS_OF.get(kind, BIAS))
        values = source.constant(named[weights.name], "<f4")
        if values is None:  # computed by another operator, which gave them one scale
            continue
        integers, scales = symmetric_int8(values, None)
        tree.quantized(weights, integers, scales, 0)
        if bias is None:
            continue
        input_scale = np.float32(tree.input(operator, ACTIVATION_OF.get(kind, 0)).quantization.scale[0])
        step = input_scale * scales
        wide = "<i8" if bias.type == tree.schema.TensorType.INT64 else "<i4"
        reals = source.constant(named[bias.name], "<f4")
        assert reals is not None  # the quantizer refuses a bias that is computed
        tree.quantized(bias, round_half_away(reals * (np.float32(1) / step)).astype(wide), step, 0)
    return tree.bytes()


def symmetric_int8(values: Array, axis: int | None) -> tuple[Array, Array]:
    """Integers in -127..127 and their float32 scales, one per slice of ``axis`` (one in all for None)."""
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
    reach = np.abs(values).max(axis=others, keepdims=True).astype(np.float32)
    scales = np.where(reach == 0, np.float32(1), reach / np.float32(127)).astype(np.float32)
    integers = round_half_away(values * (np.float32(1) / scales))
    return np.clip(integers, -127, 127).astype(np.int8), scales.reshape(-1)
