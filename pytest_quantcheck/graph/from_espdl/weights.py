"""Filters and biases of ``.espdl`` files back in ONNX's order."""

from __future__ import annotations

import re

import numpy as np

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.espdl import EspdlTensor
from pytest_quantcheck.formats.filter_blocks import unblocked
from pytest_quantcheck.numerics.arrays import Array, IntArray

_BLOCKED = re.compile(r"\(N/(8|16)\)HWC(?:8|16)(?:_UNALIGNED)?")


def filter_of(tensor: EspdlTensor) -> Array:
    """Integers as (outputs, inputs of one output, height, width).

    The file states (height, width, inputs, outputs), of depthwise filters (height, width, channels, 1).
    Blocked layouts have the outputs in blocks, those that fill none behind them: one by one, but of
    depthwise filters side by side. Raises ``UnsupportedOperatorError`` for another layout.
    """
    if len(tensor.shape) != 4:
        raise ModelError(f"filter '{tensor.name}' has the shape {tensor.shape}; four axes are expected")
    height, width, inputs, outputs = tensor.shape
    count = height * width * inputs * outputs
    flat = tensor.data[:count]
    blocks = _BLOCKED.fullmatch(tensor.layout)
    if blocks:
        depthwise = outputs == 1 and inputs > 1
        if depthwise:  # the channels are in blocks
            inputs, outputs = 1, inputs
        cells = unblocked(flat, (outputs, height, width, inputs), int(blocks[1]), depthwise)
    elif tensor.layout == "NHWC":
        cells = flat.reshape(outputs, height, width, inputs)
    elif tensor.layout == "HWCN":
        cells = flat.reshape(height, width, inputs * outputs, 1).transpose(2, 0, 1, 3)
    else:
        told = "supported: (N/16)HWC16, (N/8)HWC8, NHWC, HWCN"
        raise UnsupportedOperatorError(f"filter '{tensor.name}' has the layout {tensor.layout!r}; {told}")
    return np.ascontiguousarray(cells.transpose(0, 3, 1, 2))


def bias_of(tensor: EspdlTensor, channels: int) -> tuple[Array, IntArray]:
    """A bias as int32 with an exponent for each channel: wider ones must end in zero bits."""
    values = tensor.data[:channels].astype(np.int64)
    if len(values) != channels or len(tensor.exponents) not in (1, channels):
        raise ModelError(
            f"bias '{tensor.name}' has {len(values)} values and {len(tensor.exponents)} exponents"
        )
    length = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    more = np.maximum(length - 31, 0)
    if np.any(values >> more << more != values):
        raise UnsupportedOperatorError(f"bias '{tensor.name}' has more than 31 bits that are not 0")
    exponents = np.broadcast_to(np.asarray(tensor.exponents, np.int64), (channels,))
    return (values >> more).astype(np.int32), exponents + more
