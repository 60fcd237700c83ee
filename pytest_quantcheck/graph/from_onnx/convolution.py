"""Conv and ConvTranspose."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import Attributes
from pytest_quantcheck.graph.from_onnx.factors import add_bias, check_symmetric, product_factor
from pytest_quantcheck.graph.from_onnx.translation import Translation
from pytest_quantcheck.graph.from_onnx.values import Constant
from pytest_quantcheck.graph.from_onnx.windows import as_image, emit_image, sliding_window, transposed_window
from pytest_quantcheck.graph.model import Convolution, TransposedConvolution
from pytest_quantcheck.numerics.arrays import Array


def conv(t: Translation, node: Any, given: Attributes) -> None:
    """Conv: CONV_2D, or DEPTHWISE_CONV_2D for several groups of one input channel each."""
    source, given = as_image(t, node, given)
    weights, cells = _kernel(t, node, given)
    outputs, depth, height, width = cells.shape
    groups, channels = int(given.get("group", 1)), source.shape[3]
    if groups * depth != channels or outputs % groups:
        t.fail(node, f"weights {weights.data.shape} in {groups} groups do not fit {channels} input channels")
    target = t.target(node)
    window, shape = sliding_window(t, node, given, source.shape, (height, width))
    check_symmetric(t, node, weights, outputs, 0)
    depthwise = depth == 1 and groups > 1
    layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    data = np.ascontiguousarray(cells.transpose(layout))
    axis = 3 if depthwise else 0
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, t.arithmetic.dtype, weights.scale, weights.zero_point, data, axis),
        *add_bias(t, node, 2, source.scale, weights, outputs),
    ]
    params = Convolution(
        window,
        source.zero_point,
        target.zero_point,
        product_factor(t, node, source.scale, weights.scale, target.scale),
        target.act_min,
        target.act_max,
        depth_multiplier=outputs // groups if depthwise else 0,
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    emit_image(t, node, kind, inputs, (source.shape[0], *shape, outputs), target, params)


def conv_transpose(t: Translation, node: Any, given: Attributes) -> None:
    """ConvTranspose: TRANSPOSE_CONV.

    Its weights are (inputs, outputs, height, width); ``pads`` are those of the convolution it transposes.
    Source: ONNX ``ConvTranspose``.
    """
    if t.arithmetic.dtype != "int8":
        t.fail(node, f"{t.arithmetic.dtype} is not supported; int8 is")
    source, given = as_image(t, node, given)
    weights, cells = _kernel(t, node, given)
    depth, outputs, height, width = cells.shape
    if given.get("group", 1) != 1 or tuple(given.get("dilations", (1, 1))) != (1, 1):
        t.fail(node, "groups and dilations other than 1 are not supported; quantize the float model here")
    if given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        t.fail(node, f"auto_pad {given['auto_pad']!r} is not supported; export it with pads")
    if depth != source.shape[3]:
        t.fail(node, f"weights {weights.data.shape} do not fit {source.shape[3]} input channels")
    check_symmetric(t, node, weights, outputs, 1)
    window, shape = transposed_window(t, node, given, source.shape, (height, width))
    target = t.target(node)
    data = np.ascontiguousarray(cells.transpose(1, 2, 3, 0))
    inputs = [
        source.index,
        t.add(node.input[1], data.shape, "int8", weights.scale, weights.zero_point, data, 0),
        *add_bias(t, node, 2, source.scale, weights, outputs),
    ]
    factor = product_factor(t, node, source.scale, weights.scale, target.scale)
    bounds = target.act_min, target.act_max
    params = TransposedConvolution(window, source.zero_point, target.zero_point, factor, *bounds)
    emit_image(t, node, "TRANSPOSE_CONV", inputs, (source.shape[0], *shape, outputs), target, params)


def _kernel(t: Translation, node: Any, given: Attributes) -> tuple[Constant, Array]:
    """The weights, and their integers with two spatial axes."""
    weights = t.weights(node, 1)
    data = weights.data
    cells = data.reshape(*data.shape[:2], 1, data.shape[2]) if data.ndim == 3 else data
    if cells.ndim != 4 or data.ndim != len(t.activation(node, 0).shape):
        t.fail(node, f"weights {data.shape} do not fit an input of {t.activation(node, 0).shape}")
    if tuple(given.get("kernel_shape", cells.shape[2:])) != cells.shape[2:]:
        t.fail(node, f"kernel_shape {given['kernel_shape']} is not that of its weights {data.shape}")
    return weights, cells
