"""Sums of products: convolutions, dense layers, matrix products."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.model import (
    BatchMatMul,
    Convolution,
    FullyConnected,
    TransposedConvolution,
    Window,
)
from pytest_quantcheck.image import layout
from pytest_quantcheck.image.source_operator import KernelCall, SourceOperator
from pytest_quantcheck.numerics import limits
from pytest_quantcheck.numerics.arrays import IntArray
from pytest_quantcheck.numerics.fixed_point import reduced_multiplier, wrap_int32
from pytest_quantcheck.numerics.power_of_two import DIVIDING


def convolution(source: SourceOperator, p: Convolution) -> KernelCall:
    """CONV_2D and DEPTHWISE_CONV_2D."""
    if source.input.dtype == np.int16:
        return _wide(source, p, p.window, p.depth_multiplier)
    source.require_dtypes("int8")
    window, channels, output = p.window, source.input.shape[3], source.output
    if p.depth_multiplier:
        weights = source.constant(1).astype(np.int8)[0].transpose(2, 0, 1)
        blob, packing = weights.tobytes(), "planes"
        scratch = layout.depthwise_scratch(window, output.shape[2])
    else:
        weights = _dense_weights(source, channels)
        runs, run = layout.runs(window, channels)
        blob, packing = _pack_dense(weights.reshape(len(weights), runs, run))
        pixels = math.prod(output.shape[:3])
        scratch = layout.column_scratch(runs * layout.up4(run), run, pixels)
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    params = _conv_params(source, p, window, flat, blob, packing, p.depth_multiplier)
    call = KernelCall(source.op.kind, params, source.op.inputs[:1], scratch)
    if packing != "planes" and math.prod(output.shape[:3]) >= layout.STAGED_PIXELS:
        call = replace(call, roomy=_staged(call))
    return call


def _staged(call: KernelCall) -> KernelCall:
    """The same with its weights and channel records copied into scratch."""
    fields = list(layout.CONVOLUTION.unpack(call.params))
    fields[15] |= layout.STAGED
    scratch = call.scratch + fields[17] + fields[19] * layout.CHANNEL.itemsize
    return replace(call, params=layout.CONVOLUTION.pack(*fields), scratch=scratch)


def fully_connected(source: SourceOperator, p: FullyConnected) -> KernelCall:
    """FULLY_CONNECTED: a convolution of one cell."""
    if source.input.dtype == np.int16:
        return _wide(source, p, Window(1, 1), 0)
    source.require_dtypes("int8")
    weights = source.constant(1).astype(np.int8)
    outputs, depth = weights.shape
    batches = source.output.nbytes // outputs
    blob, packing = _pack_dense(weights.reshape(outputs, 1, depth), p.weight_zero_point)
    params = _conv_params(source, p, Window(1, 1), weights.astype(np.int64), blob, packing, 0)
    scratch = layout.batch_scratch(layout.up4(depth), batches)
    return KernelCall(source.op.kind, params, source.op.inputs[:1], scratch)


def transposed_convolution(source: SourceOperator, p: TransposedConvolution) -> KernelCall:
    """Weights as in the source. Output cells see different kernel cells, so that no bias can be folded."""
    source.require_dtypes("int8")
    weights = source.constant(1).astype(np.int8)
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    params = _conv_params(source, p, p.window, flat, weights.tobytes(), "plain", 0)
    return KernelCall("TRANSPOSE_CONV", params, source.op.inputs[:1])


def batch_matmul(source: SourceOperator, p: BatchMatMul) -> KernelCall:
    """BATCH_MATMUL."""
    if source.activation_type() == "int8":
        rule = source.one(p.requantize)
    else:
        products = source.input.shape[-2 if p.adj_x else -1]
        if products > limits.MAX_INT16_PRODUCTS:
            source.fail(
                f"{products} products make a sum that may exceed 47 bits; {limits.MAX_INT16_PRODUCTS} at most"
            )
        rule = (int(reduced_multiplier(p.requantize.multiplier)[0]), 15 - int(p.requantize.shift[0]))
    zeros = (p.input1_zero_point, p.input2_zero_point, p.output_zero_point)
    flags = p.adj_x * layout.ADJ_X + p.adj_y * layout.ADJ_Y
    params = layout.MATMUL.pack(*zeros, *rule, flags)
    return KernelCall("BATCH_MATMUL", params, source.activations)


def _wide(
    source: SourceOperator, p: Convolution | FullyConnected, window: Window, depth_multiplier: int
) -> KernelCall:
    """A layer on int16 activations: weights as in the source, biases of 64 bits, no scratch."""
    source.require_dtypes("int16")
    weights, outputs = source.constant(1), source.output.shape[-1]
    reduced, long = p.requantize.rounding == "reduced", weights.dtype == np.int16
    table = np.zeros(outputs, layout.WIDE_CHANNEL)
    if len(source.op.inputs) > 2 and source.op.inputs[2] >= 0:
        table["bias"] = source.constant(2).reshape(-1)
    if reduced:
        table["multiplier"] = reduced_multiplier(p.requantize.multiplier)
        table["shift"] = 15 - p.requantize.shift
    else:
        table["multiplier"], table["shift"] = source.rules(p.requantize, outputs)
        table["bias"] = table["bias"] if long else wrap_int32(table["bias"])
    if long and (p.requantize.rounding not in DIVIDING or np.any(table["multiplier"] != 1)):
        source.fail(f"int16 weights with the rounding {p.requantize.rounding!r}, which needs int8 ones")
    most = limits.MAX_LONG_BIAS if long else limits.MAX_WIDE_BIAS
    if np.abs(table["bias"]).max() > most or weights.size // outputs >= limits.PRODUCTS_LIMIT:
        source.fail(f"its sums may exceed {61 if long else 47} bits")
    blob = weights.astype("<i2" if long else np.int8).tobytes()
    params = layout.CONVOLUTION.pack(
        *source.window(window),
        0,
        0,
        0,
        p.act_min,
        p.act_max,
        depth_multiplier,
        layout.PACKINGS.index("plain16" if long else "plain"),
        layout.WIDE if reduced else 0,
        source.constants.share(blob),
        len(blob),
        source.constants.add(table.tobytes()),
        len(table),
    )
    return KernelCall(source.op.kind, params, source.op.inputs[:1])


def _conv_params(
    source: SourceOperator,
    p: Convolution | TransposedConvolution | FullyConnected,
    window: Window,
    weights: IntArray,
    blob: bytes,
    packing: str,
    depth_multiplier: int,
) -> bytes:
    """The parameter block; ``weights`` is (outputs, products of one output)."""
    outputs, products = weights.shape
    weight_zero_point = p.weight_zero_point if isinstance(p, FullyConnected) else 0
    bias = np.zeros(outputs, np.int64)
    if len(source.op.inputs) > 2 and source.op.inputs[2] >= 0:
        bias = source.constant(2).reshape(-1).astype(np.int64)
    folded = not isinstance(p, TransposedConvolution)
    if folded:
        bias = bias - p.input_zero_point * (weights - weight_zero_point).sum(axis=1)
    multiplier, shift = source.rules(p.requantize, outputs)
    largest = products * limits.INT8_PRODUCT * (2 if weight_zero_point else 1) + int(np.abs(bias).max())
    if products >= limits.PRODUCTS_LIMIT:
        source.fail(
            f"{products} products make one output; the engine sums fewer than {limits.PRODUCTS_LIMIT}"
        )
    fast = (
        folded
        and largest < limits.FAST_SUM_LIMIT
        and bool(np.all((shift < 0) & (shift >= -layout.FAST_SHIFT)))
    )
    table = np.zeros(layout.up4(outputs), layout.CHANNEL)
    table["shift"] = -1
    table[:outputs]["bias"], table[:outputs]["multiplier"], table[:outputs]["shift"] = (
        wrap_int32(bias),
        multiplier,
        shift,
    )
    if fast:
        right = -table["shift"]
        table["offset"] = (1 << (right - 1)) + p.output_zero_point * (1 << right)
    return layout.CONVOLUTION.pack(
        *source.window(window),
        p.input_zero_point,
        weight_zero_point,
        p.output_zero_point,
        p.act_min,
        p.act_max,
        depth_multiplier,
        layout.PACKINGS.index(packing),
        layout.FAST if fast else 0,
        source.constants.share(blob),
        len(blob),
        source.constants.add(table.tobytes()),
        len(table),
    )


def _dense_weights(source: SourceOperator, channels: int) -> npt.NDArray[np.int8]:
    """OHWI weights over all input channels; grouped ones get zeros outside their group."""
    weights = source.constant(1).astype(np.int8)
    outputs, height, width, depth = weights.shape
    if depth == channels:
        return weights
    groups = channels // depth
    dense = np.zeros((outputs, height, width, channels), np.int8)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, :, :, group * depth : (group + 1) * depth] = weights[rows]
    return dense


def _pack_dense(rows: npt.NDArray[np.int8], zero_point: int = 0) -> tuple[bytes, str]:
    """Weights (outputs, runs, run), runs and outputs zero-padded to multiples of 4, and their packing:
    ``paired4x4`` where both sums of a pair come out of it exactly, else ``block4x4``."""
    outputs, runs, run = rows.shape
    padded = np.zeros((layout.up4(outputs), runs, layout.up4(run)), np.int8)
    padded[:outputs, :, :run] = rows
    flat = padded.reshape(len(padded), -1)
    if zero_point == 0 and _can_be_paired(flat):
        return layout.pack_paired4x4(flat), "paired4x4"
    return layout.pack_block4x4(flat), "block4x4"


def _can_be_paired(rows: npt.NDArray[np.int8]) -> bool:
    """Whether every pair of rows fits into halfwords and no sum of an odd row, without its bias, needs more
    than 24 bits, whatever the inputs are."""
    even, odd = rows[0::2].astype(np.int64), rows[1::2].astype(np.int64)
    largest = np.abs(odd).sum(axis=1) * -np.iinfo(np.int8).min
    halfwords = 256 * odd + even
    return bool(np.all(largest < limits.PAIRED_SUM_LIMIT) and halfwords.min() >= np.iinfo(np.int16).min)
