"""The integer graph: everything that decides an integer result, and nothing else.

Readers (``from_tflite``, ``from_onnx``) build it, ``execute.py`` runs it, ``image`` compiles it for a device.
All scales have been turned into integer multipliers and shifts here, so that every consumer
computes the same integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Union

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.graph.state import State
from pytest_quantcheck.numerics.arrays import Float32, IntArray
from pytest_quantcheck.numerics.rounding import Rounding


@dataclass(frozen=True, eq=False)
class Quantization:
    """``real = scale * (q - zero_point)``; one entry, or one per slice along ``axis``.

    ``scale`` is float32 and ``zero_point`` int64, both of shape (1,) or (channels,).
    """

    scale: Float32
    zero_point: IntArray
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        return len(self.scale) > 1

    @property
    def exponents(self) -> IntArray | None:
        """Where every scale is a power of two and there are no zero points: one, or one per channel."""
        fraction, exponent = np.frexp(self.scale.astype(np.float64))
        whole = bool((fraction == 0.5).all()) and not self.zero_point.any()
        return exponent.astype(np.int64) - 1 if whole else None


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph; ``data`` is None for activations. ``index`` counts in the source.

    ``kept``: which of the source's channels an activation has; None: all (``folding.py``).
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    quantization: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None
    kept: tuple[int, ...] | None = None

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def is_constant(self) -> bool:
        return self.data is not None


@dataclass(frozen=True, eq=False)
class Requantize:
    """``real multiplier = multiplier / 2**31 * 2**shift``, int32 each, one entry or one per channel.

    ``rounding`` names the rule: ``"double"`` is gemmlowp's (saturating rounding doubling high
    multiply, then rounding right shift), ``"single"`` rounds once, ``"reduced"`` rounds the multiplier
    to 16 bits first and applies it to 64-bit sums (int16 activations), ``"float"`` multiplies in float32
    with halves to even: the multiplier is a float32 then (``numerics.float_scale``). ``"float_odd"`` sends
    halves to odd: what rounding to even after adding an odd zero point comes to.

    ``"half_up"``, ``"half_even"`` and ``"floor"`` divide: ``x * 2**shift / multiplier`` rounded once by that
    rule, a multiplier being 1 or more. Scales that are powers of two need no other.
    """

    multiplier: IntArray
    shift: IntArray
    rounding: str = "double"


@dataclass(frozen=True)
class Window:
    """A sliding window over NHWC; bottom and right padding follow from the output's shape."""

    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0


@dataclass(frozen=True, eq=False)
class Convolution:
    """CONV_2D (weights OHWI) and DEPTHWISE_CONV_2D (weights 1HWC, C = inputs * depth_multiplier).

    CONV_2D weights with fewer input channels than the activation mean grouped convolution: group g of
    the output channels sees group g of the input channels. Accumulators are int32 and wrap, but int64
    for int16 activations unless ``requantize`` has the rule ``"double"``.
    Operator inputs: activation, weights, bias (index -1 when absent).
    """

    window: Window
    input_zero_point: int
    output_zero_point: int
    requantize: Requantize
    act_min: int
    act_max: int
    depth_multiplier: int = 0  # 0 for CONV_2D


@dataclass(frozen=True, eq=False)
class TransposedConvolution:
    """TRANSPOSE_CONV (weights OHWI): input cell (y, x) adds its products with kernel cell (i, j) to output
    cell ``(y * stride_h - pad_top + i, x * stride_w - pad_left + j)``. Accumulators are int32 and wrap.

    Operator inputs: activation, weights, bias (index -1 when absent).
    """

    window: Window
    input_zero_point: int
    output_zero_point: int
    requantize: Requantize
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class FullyConnected:
    """FULLY_CONNECTED, weights (outputs, depth); every leading axis of the input is a batch."""

    input_zero_point: int
    weight_zero_point: int
    output_zero_point: int
    requantize: Requantize
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class BatchMatMul:
    """BATCH_MATMUL of the last two axes, swapped first where ``adj_x`` or ``adj_y`` says so; the axes before
    them broadcast as in NumPy. Sums are int32; of int16 int64, with a reduced multiplier.
    """

    input1_zero_point: int
    input2_zero_point: int
    output_zero_point: int
    requantize: Requantize
    adj_x: bool
    adj_y: bool


@dataclass(frozen=True, eq=False)
class Add:
    """ADD, SUB and SQUARED_DIFFERENCE: both inputs shifted left, rescaled to a common scale, added or
    subtracted, the difference multiplied by itself where it is to be squared, rescaled to the output.

    Each ``Requantize`` holds one entry. Inputs broadcast as in NumPy.
    """

    left_shift: int
    input1_zero_point: int
    input2_zero_point: int
    output_zero_point: int
    input1: Requantize
    input2: Requantize
    output: Requantize
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class Mul:
    """MUL: ``clamp(requantize((x1 - zp1) * (x2 - zp2)) + zp)``. Inputs broadcast as in NumPy."""

    input1_zero_point: int
    input2_zero_point: int
    output_zero_point: int
    requantize: Requantize
    act_min: int
    act_max: int


@dataclass(frozen=True)
class Extremum:
    """MINIMUM and MAXIMUM of two inputs with one scale. Inputs broadcast as in NumPy."""


@dataclass(frozen=True, eq=False)
class Prelu:
    """PRELU, and LEAKY_RELU and ABS of int16: ``identity`` rescales inputs from zero on, ``slope`` the
    products of negative ones with the second input, which broadcasts as in NumPy.
    """

    input_zero_point: int
    slope_zero_point: int
    output_zero_point: int
    identity: Requantize
    slope: Requantize


@dataclass(frozen=True)
class Pool:
    """AVERAGE_POOL_2D and MAX_POOL_2D; the average counts only cells inside the input."""

    window: Window
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class Mean:
    """MEAN or SUM over ``axes``; for MEAN ``requantize`` contains 1 / number of reduced elements."""

    axes: tuple[int, ...]
    input_zero_point: int
    output_zero_point: int
    requantize: Requantize


@dataclass(frozen=True)
class ReduceMax:
    """REDUCE_MAX: the largest value over ``axes``, with one scale. Without axes the input itself."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class ArgExtremum:
    """ARG_MAX and ARG_MIN: where along ``axis`` the largest or smallest value is, as int32; of equal ones the
    first.
    """

    axis: int


@dataclass(frozen=True)
class L2Normalization:
    """L2_NORMALIZATION over the last axis, to the scale 1/128 without a zero point."""

    input_zero_point: int


@dataclass(frozen=True)
class Pad:
    """PAD / PADV2 with ``(before, after)`` per axis and one integer fill value."""

    paddings: tuple[tuple[int, int], ...]
    value: int


@dataclass(frozen=True)
class Reshape:
    """RESHAPE, SQUEEZE, EXPAND_DIMS and others that only rename the shape; the bytes do not change."""


@dataclass(frozen=True)
class Slice:
    """TRANSPOSE, SLICE, STRIDED_SLICE, GATHER, BROADCAST_TO, TILE, REVERSE_V2, DEPTH_TO_SPACE,
    SPACE_TO_DEPTH, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND and each output of SPLIT, SPLIT_V and UNPACK: a view
    of the input, copied.

    Output element ``(i, j, ...)`` is the input's element number ``offset + i * strides[0] +
    j * strides[1] + ...`` in row-major order, where the output is seen with ``shape``, or else its own.
    """

    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Concatenation:
    """CONCATENATION and PACK along ``axis`` of the output; TFLite gives all inputs the output's scale.

    Inputs of PACK lack that axis.
    """

    axis: int
    act_min: int
    act_max: int


@dataclass(frozen=True, eq=False)
class Resize:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR over NHWC; GATHER, GATHER_ND and MIRROR_PAD over an input
    that is seen with ``shape``.

    ``rows`` and ``columns`` have an entry ``(lower, weight)`` for each position of the output: it lies
    ``weight / 1024`` of the way from the input's position ``lower`` to the next one. Nearest neighbours have
    the weight 0.
    """

    rows: IntArray
    columns: IntArray
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Softmax:
    """SOFTMAX over the last axis, gemmlowp fixed point with 5 integer bits.

    The input is int8, the output int8 or int16. ``input_multiplier`` and ``input_left_shift`` hold
    beta * scale * 2**26; differences below ``diff_min`` give zero.
    """

    input_multiplier: int
    input_left_shift: int
    diff_min: int


@dataclass(frozen=True, eq=False)
class SoftmaxInt16:
    """SOFTMAX over the last axis for int16, with interpolated tables of exp(x) and 1 / (1 + x).

    ``requantize`` takes differences to steps of 10 / 65535, the range of the first table.
    """

    requantize: Requantize


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one int8: ``values[x + 128]`` belongs to x. 256 entries.

    LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, ELU, GELU, ABS, SQRT, RSQRT, EXP, LOG, RELU_N1_TO_1, RELU_0_TO_1.
    """

    values: IntArray


@dataclass(frozen=True)
class SigmoidInt16:
    """LOGISTIC and TANH for int16, with one interpolated table of the logistic function.

    The input in the table's steps is ``(x * multiplier + half) >> shift``, rounded half up.
    """

    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class Lstm:
    """UNIDIRECTIONAL_SEQUENCE_LSTM of one sequence, whose states begin at zero (``graph.recurrent``).

    Gates stand in the order input, forget, cell, output. Operator inputs: the activation, then of each gate
    the weights of the activation, those of the hidden state, the biases. ``of_input`` and ``of_hidden`` have
    an entry for each gate; ``tanh`` is that of the cell state. ``cell_clip`` None: no limit.
    """

    input_zero_point: int
    hidden_zero_point: int
    of_input: Requantize
    of_hidden: Requantize
    forget: Requantize
    update: Requantize
    output: Requantize
    tanh: SigmoidInt16
    cell_clip: int | None


@dataclass(frozen=True, eq=False)
class Rescale:
    """RELU, RELU6 and integer QUANTIZE: ``q_out = clamp(requantize(q_in - zp_in) + zp_out)``.

    ``requantize`` is None where the source and destination scales are equal and the operator
    only adds ``output_zero_point - input_zero_point``.
    """

    input_zero_point: int
    output_zero_point: int
    requantize: Requantize | None
    act_min: int
    act_max: int


@dataclass(frozen=True)
class FloatEdge:
    """QUANTIZE from float32 or DEQUANTIZE to float32 at the edge of the model.

    Quantizing divides in float32 and rounds half away from zero, as TFLM does, or half to even
    (``rounding``), as onnxruntime does.
    """

    scale: float
    zero_point: int
    rounding: Rounding = "half_away"


Params = Union[
    Convolution,
    TransposedConvolution,
    FullyConnected,
    BatchMatMul,
    Add,
    Mul,
    Extremum,
    Prelu,
    Pool,
    Mean,
    ReduceMax,
    ArgExtremum,
    L2Normalization,
    Pad,
    Reshape,
    Slice,
    Concatenation,
    Resize,
    Softmax,
    SoftmaxInt16,
    Table,
    SigmoidInt16,
    Lstm,
    Rescale,
    FloatEdge,
]


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator. ``kind`` is TFLite's name (``CONV_2D``).

    ``inputs`` and ``outputs`` are positions in ``QuantGraph.tensors``; -1 means absent. The activation
    comes first. What has several outputs in the source (SPLIT, UNPACK) stands in the graph once for each
    of them. ``index`` tells them apart: see ``operator_index``.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Params

    @property
    def source(self) -> int:
        """Its number in the source graph."""
        return source_of(self.index)

    @property
    def output(self) -> int:
        """Which of the source operator's outputs it makes."""
        return output_of(self.index)


_OUTPUT_SHIFT = 16


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements from one position to the next along each axis."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def operator_index(source: int, output: int = 0) -> int:
    """What names an operator of the graph in records and on the link.

    The number of its operator in the source, below 65536, and above that which of its outputs it makes.
    """
    return source | output << _OUTPUT_SHIFT


def source_of(index: int) -> int:
    """The number in the source of what ``operator_index`` named."""
    return index & ((1 << _OUTPUT_SHIFT) - 1)


def output_of(index: int) -> int:
    """The output of what ``operator_index`` named."""
    return index >> _OUTPUT_SHIFT


@dataclass(frozen=True, eq=False)
class QuantGraph:
    """A quantized network: ``tensors[i].index == i``; operators stand in execution order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    source_sha256: str
    description: str = ""
    notes: tuple[str, ...] = field(default=())
    states: tuple[State, ...] = ()

    def output_of(self, operator: Operator) -> Tensor:
        """The (single) output tensor of an operator."""
        return self.tensors[operator.outputs[0]]
