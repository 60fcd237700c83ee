"""Plain kernels with knobs, written apart from the interpreter: loops over cells, one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.graph.model import Convolution, FullyConnected, Operator, QuantGraph
from pytest_quantcheck.numerics.arrays import Array
from tests.catalogue.device import Kernel

Step = Callable[[Array], Array]


def same(x: Array) -> Array:
    return x


@dataclass
class Knobs:
    """``sums``: what becomes of the sums; ``scale``: sums and multipliers to steps; ``narrow``: steps with
    zero point to int8. ``pad``: the integer around the picture (None: the zero point)."""

    pad: int | None = None
    bias: Step = same
    weights: Step = same
    sums: Step = same
    scale: Callable[[Array, Any], Array] | None = None
    narrow: Callable[[Array, Any], Array] | None = None
    dilation: int | None = None


def fixed(sums: Array, rule: Any) -> Array:
    """gemmlowp's two roundings, with Python's integers."""
    multiplier = np.broadcast_to(rule.multiplier, sums.shape[-1:])
    shift = np.broadcast_to(rule.shift, sums.shape[-1:])
    out = np.empty(sums.shape, np.int64)
    for place in np.ndindex(sums.shape):
        m, s = int(multiplier[place[-1]]), int(shift[place[-1]])
        x = int(sums[place]) << max(s, 0)
        high = (x * m + (1 << 30)) >> 31
        right = max(-s, 0)
        rest = high & ((1 << right) - 1)
        up = rest > (((1 << right) - 1) >> 1) + (high < 0)
        out[place] = (high >> right) + up
    return out


def saturated(values: Array, p: Any) -> Array:
    return np.clip(values, p.act_min, p.act_max).astype(np.int8)


def kernel(graph: QuantGraph, op: Operator, knobs: Knobs) -> Kernel:
    """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with ``knobs``."""
    p = op.params
    assert isinstance(p, (Convolution, FullyConnected))
    weights = knobs.weights(np.array(graph.tensors[op.inputs[1]].data).astype(np.int64))
    bias = np.zeros(graph.output_of(op).shape[-1], np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = np.array(graph.tensors[op.inputs[2]].data).astype(np.int64).reshape(-1)
    bias = knobs.bias(bias)
    shape = graph.output_of(op).shape

    def run(inputs: tuple[Array, ...], right: Array) -> Array:
        x = inputs[0].astype(np.int64)
        if isinstance(p, FullyConnected):
            sums = (x.reshape(-1, weights.shape[1]) - p.input_zero_point) @ (weights - p.weight_zero_point).T
        else:
            sums = _window_sums(x, weights, p, shape, knobs)
        sums = knobs.sums(sums + bias)
        steps = (knobs.scale or fixed)(sums, p.requantize) + p.output_zero_point
        return (knobs.narrow or saturated)(steps, p).reshape(right.shape)

    return run


def _window_sums(x: Array, weights: Array, p: Convolution, shape: tuple[int, ...], knobs: Knobs) -> Array:
    w = p.window
    dh, dw = (knobs.dilation, knobs.dilation) if knobs.dilation else (w.dilation_h, w.dilation_w)
    pad = p.input_zero_point if knobs.pad is None else knobs.pad
    sums = np.zeros(shape, np.int64)
    _, height, width, channels = x.shape
    for oy in range(shape[1]):
        for ox in range(shape[2]):
            for ky in range(w.kernel_h):
                for kx in range(w.kernel_w):
                    y = oy * w.stride_h - w.pad_top + ky * dh
                    c = ox * w.stride_w - w.pad_left + kx * dw
                    inside = 0 <= y < height and 0 <= c < width
                    cell = x[0, y, c] if inside else np.full(channels, pad)
                    cell = cell - p.input_zero_point
                    if p.depth_multiplier:
                        sums[0, oy, ox] += np.repeat(cell, p.depth_multiplier) * weights[0, ky, kx]
                    else:
                        sums[0, oy, ox] += weights[:, ky, kx] @ cell
    return sums
