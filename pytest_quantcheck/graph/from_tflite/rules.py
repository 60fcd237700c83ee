"""Which function finds the parameters of which operator.

The arithmetic is TFLM's; its sources are named where it is surprising.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_quantcheck.graph.from_tflite import (
    batches,
    convolution,
    elementwise,
    functions,
    lookup,
    matrix,
    movement,
    pooling,
    recurrent,
    rescale,
    resize,
    softmax,
    views,
)
from pytest_quantcheck.graph.from_tflite.operator import Step, TfliteOperator
from pytest_quantcheck.graph.model import Params

TFLM_SOFTMAX_LIMIT = 512  # its exponent of the sum must stay below 32 bits

_RULES: dict[str, Callable[[TfliteOperator], Params | tuple[Params, ...] | list[Step]]] = {
    "CONV_2D": lambda op: convolution.convolution(op, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda op: convolution.convolution(op, depthwise=True),
    "TRANSPOSE_CONV": convolution.transposed_convolution,
    "FULLY_CONNECTED": matrix.fully_connected,
    "BATCH_MATMUL": matrix.batch_matmul,
    "ADD": elementwise.add,
    "SUB": elementwise.add,
    "MUL": elementwise.mul,
    "SQUARED_DIFFERENCE": elementwise.squared_difference,
    "MINIMUM": elementwise.extremum,
    "MAXIMUM": elementwise.extremum,
    "PRELU": elementwise.prelu,
    "AVERAGE_POOL_2D": pooling.pool,
    "MAX_POOL_2D": pooling.pool,
    "MEAN": pooling.mean,
    "SUM": pooling.mean,
    "REDUCE_MAX": pooling.reduce_max,
    "REDUCE_MIN": pooling.reduce_min,
    "ARG_MAX": pooling.arg_extremum,
    "ARG_MIN": pooling.arg_extremum,
    "L2_NORMALIZATION": pooling.l2_normalization,
    "PAD": movement.pad,
    "PADV2": movement.pad,
    "MIRROR_PAD": views.mirror_pad,
    "RESHAPE": movement.reshape,
    "SQUEEZE": movement.reshape,
    "EXPAND_DIMS": movement.reshape,
    "READ_VARIABLE": movement.reshape,
    "TRANSPOSE": movement.transpose,
    "STRIDED_SLICE": movement.strided_slice,
    "SLICE": movement.plain_slice,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "DEPTH_TO_SPACE": movement.depth_to_space,
    "SPACE_TO_DEPTH": movement.space_to_depth,
    "UNPACK": movement.unpack,
    "SPACE_TO_BATCH_ND": batches.space_to_batch,
    "BATCH_TO_SPACE_ND": batches.batch_to_space,
    "GATHER": views.gather,
    "GATHER_ND": views.gather_nd,
    "BROADCAST_TO": views.broadcast_to,
    "TILE": views.tile,
    "REVERSE_V2": views.reverse,
    "PACK": movement.pack,
    "CONCATENATION": movement.concatenation,
    "RESIZE_NEAREST_NEIGHBOR": resize.resize,
    "RESIZE_BILINEAR": resize.resize,
    "SOFTMAX": softmax.softmax,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.lstm,
    "LOGISTIC": functions.sigmoid,
    "TANH": functions.sigmoid,
    "ABS": functions.absolute,
    "HARD_SWISH": functions.hard_swish,
    "LEAKY_RELU": functions.leaky_relu,
    "ELU": functions.elu,
    "GELU": lookup.gelu,
    "RSQRT": functions.rsqrt,
    "SQRT": lookup.square_root,
    "EXP": lookup.exponential,
    "LOG": lookup.logarithm,
    "RELU_N1_TO_1": lookup.clipped,
    "RELU_0_TO_1": lookup.clipped,
    "RELU": rescale.relu,
    "RELU6": rescale.relu6,
    "QUANTIZE": rescale.quantize,
    "DEQUANTIZE": rescale.dequantize,
}

SUPPORTED = tuple(_RULES)
NOT_IN_TFLM = frozenset(
    {"GELU", "SQRT", "EXP", "LOG", "RELU_N1_TO_1", "RELU_0_TO_1", "TILE", "SPACE_TO_BATCH_ND"}
)
"""Operators without an integer kernel in TFLM, or with one whose results depend on memory that it never sets;
their integers are those of LiteRT's reference kernels."""


def steps(op: TfliteOperator) -> Sequence[Step]:
    """What makes the outputs of one operator: one step for each, or several; ``UnsupportedOperatorError`` for
    what is outside the set."""
    rule = _RULES.get(op.summary.kind)
    if rule is None:
        op.fail(f"this operator is not supported; supported: {', '.join(SUPPORTED)}")
    made = rule(op)
    if isinstance(made, list):
        return made
    params = made if isinstance(made, tuple) else (made,)
    pairs = zip(params, op.outputs, strict=True)
    return [Step(op.summary.kind, each, op.inputs, output) for each, output in pairs]


def note(op: TfliteOperator) -> str:
    """What a user should know about an operator that runs, else empty."""
    kind, where = op.summary.kind, f"operator {op.summary.index} ({op.summary.kind})"
    if kind == "SPACE_TO_BATCH_ND":
        return f"{where}: TFLM pads with what lies in its memory, LiteRT and we with the zero point"
    if kind in NOT_IN_TFLM:
        return f"{where}: TFLM has no integer kernel for it; LiteRT's reference kernel is followed here"
    if kind in recurrent.KINDS:
        return (
            f"{where}: its states begin at zero here; TFLM and LiteRT go on with those of the last "
            "inference: reset the interpreter before each sample"
        )
    if kind == "RELU6" and op.per_tensor(op.input(0)) != op.per_tensor(op.output):
        return (
            f"{where}: input and output have different scales; LiteRT rescales, TFLM's kernel does not, "
            f"and its integers are followed here: expect wrong results"
        )
    if kind == "DEPTHWISE_CONV_2D" and len(op.inputs) == 3 and op.inputs[2] is None:
        return f"{where}: its bias is given as absent (-1), which crashes TFLM"
    if kind == "SOFTMAX" and op.dtype == "int8" and op.output.shape[-1] >= TFLM_SOFTMAX_LIMIT:
        return f"{where}: TFLM aborts where the sum of exponentials reaches {TFLM_SOFTMAX_LIMIT}"
    return ""


# where the activation, and behind it what else decides the result, stand among an operator's inputs
_PLACES = {"SPLIT": (1, 0), "TRANSPOSE_CONV": (2, 1, 3)}


def activation_first(kind: str, inputs: Sequence[int]) -> tuple[int, ...]:
    """An operator's inputs with the activation in front, as ``TfliteOperator`` and ``Operator`` have them."""
    places = _PLACES.get(kind, range(len(inputs)))
    return tuple(inputs[i] if i < len(inputs) else -1 for i in places)
