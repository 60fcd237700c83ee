"""Reading ``.tflite``: what is folded, what is refused and how, and that no damaged file does worse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantcheck import strategies
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.formats.tflite_writer import TfliteWriter, Value
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.from_tflite.read import read_tflite
from pytest_quantcheck.graph.from_tflite.rules import SUPPORTED
from pytest_quantcheck.graph.model import Reshape
from pytest_quantcheck.image.compile import compile_image
from pytest_quantcheck.image.read import read_image
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.tflm import TflmRunner

pytestmark = pytest.mark.host

Build = Callable[[TfliteWriter, Value], Value]


def network(build: Build, shape: tuple[int, ...] = (1, 4, 5, 2), dtype: str = "int8") -> bytes:
    writer = TfliteWriter()
    x = writer.tensor(shape, dtype, scale=0.1, zero_point=3, name="input")
    return writer.finish([x], [build(writer, x)])


def convolution(w: TfliteWriter, x: Value, **changes: object) -> Value:
    settings = {"weight_scale": 0.02, "scale": 1.0, **changes}
    return w.conv_2d(x, np.ones((3, 2, 2, 2), np.int8), np.zeros(3, np.int32), **settings)  # type: ignore[arg-type]


def raw_operator(kind: str, output: tuple[int, ...] = (1, 4, 5, 2), **options: int) -> Build:
    def build(w: TfliteWriter, x: Value) -> Value:
        out = w.tensor(output, scale=0.1, zero_point=3)
        w.operator(kind, [x], [out], **options)
        return out

    return build


def two_scales(w: TfliteWriter, x: Value) -> Value:
    out = w.tensor((1, 4, 5, 3), scale=1.0)
    weights = w.tensor((3, 1, 1, 2), scale=np.asarray([0.1, 0.2]), axis=3, data=np.ones((3, 1, 1, 2)))
    options = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    w.operator("CONV_2D", [x, weights], [out], FusedActivationFunction=0, **options)
    return out


def weights_with_zero_point(w: TfliteWriter, x: Value) -> Value:
    out = w.tensor((1, 4, 5, 3), scale=1.0)
    weights = w.tensor((3, 1, 1, 2), scale=0.1, zero_point=4, data=np.ones((3, 1, 1, 2)))
    options = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    w.operator("CONV_2D", [x, weights], [out], FusedActivationFunction=0, **options)
    return out


def from_a_constant_of_state(w: TfliteWriter, x: Value) -> Value:
    state = w.tensor(x.shape, scale=0.1, data=np.zeros(x.shape), variable=True)
    return w.add(x, state, scale=0.2)


def concatenation_of_two_scales(w: TfliteWriter, x: Value) -> Value:
    other = w.tensor(x.shape, scale=0.2, data=np.zeros(x.shape))
    return w.concatenation([x, other], 3)


def int16(build: Build, zero_point: int = 0) -> Build:
    """The operator on an int16 tensor that was quantized from the int8 input."""

    def inner(w: TfliteWriter, x: Value) -> Value:
        return build(w, w.quantize(x, scale=0.1, zero_point=zero_point, dtype="int16"))

    return inner


def wide_bias(w: TfliteWriter, x: Value) -> Value:
    bias = np.full(3, (1 << 46) + 1)
    return w.conv_2d(x, np.ones((3, 2, 2, 2), np.int8), bias, weight_scale=0.02, scale=1.0)


def weights_off_centre(w: TfliteWriter, x: Value) -> Value:
    weights = np.ones((3, 40), np.int8)
    return w.fully_connected(x, weights, None, weight_scale=0.1, weight_zero_point=1, scale=1.0)


def constants(kind: str, *values: list[int], **options: int) -> Build:
    """An operator with constants behind its activation."""

    def build(w: TfliteWriter, x: Value) -> Value:
        out = w.tensor(x.shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
        w.operator(kind, [x, *map(w.constant, values)], [out], **options)
        return out

    return build


def transposed(w: TfliteWriter, x: Value, size: tuple[int, int], padding: str) -> Value:
    weights = np.ones((3, 2, 2, 2), np.int8)
    how = {"weight_scale": 0.1, "scale": 0.1, "stride": (2, 2), "padding": padding}
    return w.transpose_conv(x, weights, None, size=size, **how)  # type: ignore[arg-type]


def transposed_relu(w: TfliteWriter, x: Value, zero_point: int) -> Value:
    size, weights = w.constant([1, 8, 10, 3]), w.tensor((3, 2, 2, 2), scale=0.1, data=np.ones((3, 2, 2, 2)))
    out = w.tensor((1, 8, 10, 3), scale=0.1, zero_point=zero_point)
    how = {"Padding": 0, "StrideH": 2, "StrideW": 2, "FusedActivationFunction": 1}
    w.operator("TRANSPOSE_CONV", [size, weights, x], [out], **how)
    return out


REFUSED: dict[str, tuple[Build, str]] = {
    "unknown operator": (
        raw_operator("SIN"),
        r"operator 0 \(SIN\): .*not supported; supported: CONV_2D",
    ),
    "state": (from_a_constant_of_state, r"operator 0 \(ADD\): tensor 1 .* is variable"),
    "scales along another axis": (two_scales, r"operator 0 \(CONV_2D\): .* along axis 3; it must be 0"),
    "weights with a zero point": (weights_with_zero_point, r"operator 0 \(CONV_2D\): .* symmetric"),
    "fused tanh": (
        lambda w, x: convolution(w, x, activation="TANH"),
        r"operator 0 \(CONV_2D\): fused activation 4 is not supported",
    ),
    "a ratio of scales beyond 32 bits": (
        lambda w, x: convolution(w, x, scale=1e-13),
        "does not fit its arithmetic",
    ),
    "a scale of zero": (lambda w, x: convolution(w, x, scale=0.0), "must be positive"),
    "a scale that is no number": (lambda w, x: convolution(w, x, scale=float("nan")), "must be positive"),
    "a zero point outside int8": (lambda w, x: convolution(w, x, zero_point=128), "zero point outside int8"),
    "a stride of zero": (
        raw_operator("MAX_POOL_2D", Padding=0, StrideH=0, StrideW=1, FilterHeight=1, FilterWidth=1),
        "must be at least 1",
    ),
    "an output of another size": (
        raw_operator(
            "MAX_POOL_2D", (1, 4, 4, 2), Padding=0, StrideH=1, StrideW=1, FilterHeight=2, FilterWidth=2
        ),
        r"operator 0 \(MAX_POOL_2D\): output size 4 along axis 2, .* give 5",
    ),
    "inputs of two scales": (concatenation_of_two_scales, r"operator 0 \(CONCATENATION\): tensor 1"),
    "int16 with a zero point": (
        int16(lambda w, x: w.relu6(x), zero_point=5),
        r"operator 0 \(QUANTIZE\): tensor 1 .* int16 with zero point 5; 0 is allowed",
    ),
    "an int32 bias for int16 activations": (
        int16(
            lambda w, x: w.fully_connected(x, np.ones((3, 40), np.int8), np.zeros(3), weight_scale=1, scale=1)
        ),
        r"operator 1 \(FULLY_CONNECTED\): .* is int32; allowed here: int64",
    ),
    "a bias beyond 47-bit sums": (int16(wide_bias), r"operator 1 \(CONV_2D\): .* 2\*\*46 is allowed"),
    "int16 activations and weights with a zero point": (int16(weights_off_centre), "they are symmetric"),
    "a ratio of scales beyond 48-bit sums": (
        int16(lambda w, x: w.conv_2d(x, np.ones((3, 2, 2, 2), np.int8), None, weight_scale=1, scale=1e-4)),
        "does not fit its arithmetic",
    ),
    "int16 softmax onto another scale": (int16(raw_operator("SOFTMAX", Beta=1)), "int8; allowed here: int16"),
    "a sigmoid of large steps": (
        lambda w, x: w.logistic(w.quantize(x, scale=3.0, zero_point=0, dtype="int16")),
        r"operator 1 \(LOGISTIC\): its input scale 3 is too large",
    ),
    "a sigmoid of tiny steps": (
        lambda w, x: w.tanh(w.quantize(x, scale=1e-9, zero_point=0)),
        r"operator 1 \(TANH\): its input scale 1e-09 is below",
    ),
    "a sigmoid onto another scale": (raw_operator("LOGISTIC"), "scale 1/256 and zero point -128"),
    "a sigmoid of steps that are next to nothing": (
        lambda w, _: w.logistic(w.tensor((1, 2), scale=2.0**-62, data=[1, 2])),
        r"operator 0 \(LOGISTIC\): its input scale 2.1684e-19 is below",
    ),
    "an int16 sigmoid of tiny steps": (
        lambda w, _: w.tanh(w.tensor((1, 2), "int16", scale=2.0**-51, data=[1, 2])),
        r"operator 0 \(TANH\): its input scale 4.44089e-16 is too small",
    ),
    "a window of padding": (
        lambda w, x: w.pool("MAX_POOL_2D", x, (30000, 30000), padding="SAME"),
        r"operator 0 \(MAX_POOL_2D\): its padded input has \d+ values; 67108864 are allowed",
    ),
    "a product of types": (
        lambda w, x: w.mul(x, w.quantize(x, scale=0.1, zero_point=0, dtype="int16"), scale=0.1),
        r"operator 1 \(MUL\): tensor 1 .* is int16; allowed here: int8",
    ),
    "softmax onto another scale": (raw_operator("SOFTMAX", Beta=1), "scale 1/256 and zero point -128"),
    "extrema of two scales": (
        lambda w, x: w.extremum("MINIMUM", x, w.tensor((1,), scale=0.2, data=[1])),
        r"operator 0 \(MINIMUM\): tensor 1 .* another scale",
    ),
    "prelu on int16": (
        int16(lambda w, x: w.prelu(x, w.tensor((1,), "int16", scale=0.2, data=[1]), scale=0.1)),
        r"operator 1 \(PRELU\): .* is int16; allowed here: int8",
    ),
    "a slope per channel of another number": (
        lambda w, x: w.prelu(x, w.tensor((3, 1, 1, 2), scale=0.1, data=np.ones((3, 1, 1, 2))), scale=0.1),
        r"operator 0 \(PRELU\): .* its inputs give \(3, 4, 5, 2\)",
    ),
    "a negative leak": (
        lambda w, x: w.leaky_relu(x, -0.5, scale=0.1),
        r"operator 0 \(LEAKY_RELU\): alpha is -0.5; a finite number from 0 on",
    ),
    "elu onto a far finer scale": (
        lambda w, x: w.function("ELU", x, scale=1e-9),
        r"operator 0 \(ELU\): its output scale 1e-09 is too small for its input scale 0.1",
    ),
    "root of values below 0": (
        lambda w, x: w.function("RSQRT", x, scale=0.1),
        r"operator 0 \(RSQRT\): its input's zero point is 3; -128 is allowed: no value below 0",
    ),
    "indices beyond the input": (
        lambda w, x: w.moved("GATHER_ND", x, (1, 5, 2), [[0, 4]]),
        r"operator 0 \(GATHER_ND\): its indices \[\[0, 4\]\] do not lie within \(1, 4\)",
    ),
    "indices of more axes than there are": (
        lambda w, x: w.moved("GATHER_ND", x, (1,), [[0, 0, 0, 0, 0]]),
        r"operator 0 \(GATHER_ND\): its indices have 5 columns; 1 to 4 are allowed",
    ),
    "a mirror longer than the image": (
        lambda w, x: w.moved("MIRROR_PAD", x, (1, 8, 5, 2), [[0, 0], [4, 0], [0, 0], [0, 0]], Mode=0),
        r"operator 0 \(MIRROR_PAD\): paddings .* are more than there is to mirror of \(1, 4, 5, 2\)",
    ),
    "a mirror of fewer axes": (
        lambda w, x: w.moved("MIRROR_PAD", x, (1, 4, 5, 3), [[0, 1]], Mode=1),
        r"operator 0 \(MIRROR_PAD\): paddings \[\[0, 1\]\] do not fit input",
    ),
    "tiles of fewer axes": (
        lambda w, x: w.moved("TILE", x, (1, 4, 5, 4), [2]),
        r"operator 0 \(TILE\): its multiples \[2\] do not fit input",
    ),
    "blocks that do not divide an image": (
        lambda w, x: w.moved("SPACE_TO_BATCH_ND", x, (4, 2, 2, 2), [2, 2], [[0, 0], [0, 0]]),
        r"operator 0 \(SPACE_TO_BATCH_ND\): \(4, 5, 2\) is no multiple of its blocks \(2, 2\)",
    ),
    "blocks that do not divide a batch": (
        lambda w, x: w.moved("BATCH_TO_SPACE_ND", x, (1, 8, 5, 2), [2, 1], [[0, 0], [0, 0]]),
        r"operator 0 \(BATCH_TO_SPACE_ND\): a batch of 1 is no multiple of its blocks \(2, 1\)",
    ),
    "blocks of other axes": (
        lambda w, x: w.moved("BATCH_TO_SPACE_ND", x, (1, 4, 5, 2), [1], [[0, 0]]),
        r"operator 0 \(BATCH_TO_SPACE_ND\): its blocks \(1,\) do not fit the 4 dimensions",
    ),
    "a crop of everything": (
        lambda w, x: w.moved("BATCH_TO_SPACE_ND", x, (1, 4, 5, 2), [1, 1], [[2, 2], [0, 0]]),
        r"operator 0 \(BATCH_TO_SPACE_ND\): cuts .* off \(4, 5, 2\), which leaves nothing",
    ),
    "gather behind the end": (
        lambda w, x: w.gather(x, [3, 4], 1),
        r"operator 0 \(GATHER\): its indices \[3, 4\] do not lie within axis 1 of \(1, 4, 5, 2\)",
    ),
    "gather from the end": (
        lambda w, x: w.gather(x, -1, 1),
        r"operator 0 \(GATHER\): its indices \[-1\] do not lie within axis 1",
    ),
    "broadcast of a longer axis": (
        lambda w, x: w.broadcast_to(x, (1, 4, 10, 2)),
        r"operator 0 \(BROADCAST_TO\): \(1, 4, 5, 2\) does not broadcast to \[1, 4, 10, 2\]",
    ),
    "broadcast to fewer axes": (
        lambda w, x: w.broadcast_to(x, (4, 5, 2)),
        r"operator 0 \(BROADCAST_TO\): \(1, 4, 5, 2\) does not broadcast to \[4, 5, 2\]",
    ),
    "a broadcast to five axes": (
        lambda w, x: w.broadcast_to(x, (2, 1, 4, 5, 2)),
        r"operator 0 \(BROADCAST_TO\): .* has 5 dimensions; 4 are supported",
    ),
    "a broadcast to five axes onto four": (
        constants("BROADCAST_TO", [1, 1, 4, 5, 2]),
        r"operator 0 \(BROADCAST_TO\): .* but its inputs give \(1, 1, 4, 5, 2\)",
    ),
    "matrices of five axes": (
        lambda w, x: w.batch_matmul(
            x, w.tensor((1, 1, 4, 2, 3), scale=0.1, data=np.ones((1, 1, 4, 2, 3))), scale=0.1
        ),
        r"operator 0 \(BATCH_MATMUL\): .* has 5 dimensions; 4 are supported",
    ),
    "reverse along two axes with one between": (
        lambda w, x: w.reverse(x, [1, 3]),
        r"operator 0 \(REVERSE_V2\): its axes are \[1, 3\]; neighbouring ones are allowed",
    ),
    "hard swish onto a far finer scale": (
        lambda w, x: w.function("HARD_SWISH", x, scale=1e-5),
        r"operator 0 \(HARD_SWISH\): its scales, 0.1 and 1e-05, do not fit",
    ),
    "a view with another scale": (
        raw_operator("SQUEEZE", (1, 4, 5, 3)),
        r"operator 0 \(SQUEEZE\): \(1, 4, 5, 2\) cannot become \(1, 4, 5, 3\)",
    ),
    "a permutation of other axes": (
        constants("TRANSPOSE", [0, 1, 1, 3]),
        r"operator 0 \(TRANSPOSE\): its permutation \[0, 1, 1, 3\] does not fit",
    ),
    "a slice with an ellipsis": (
        constants("STRIDED_SLICE", [0] * 4, [1] * 4, [1] * 4, EllipsisMask=2),
        r"operator 0 \(STRIDED_SLICE\): EllipsisMask 2 is not supported",
    ),
    "a slice of fewer axes": (
        constants("STRIDED_SLICE", [0], [1], [1]),
        r"operator 0 \(STRIDED_SLICE\): .* do not fit the 4 dimensions",
    ),
    "a slice of nothing": (
        constants("STRIDED_SLICE", [0, 3, 0, 0], [1, 2, 5, 2], [1] * 4),
        r"operator 0 \(STRIDED_SLICE\): takes nothing of axis 1",
    ),
    "a slice with a step of zero": (
        constants("STRIDED_SLICE", [0] * 4, [1] * 4, [1, 0, 1, 1]),
        r"operator 0 \(STRIDED_SLICE\): a stride is 0",
    ),
    "an index outside": (
        constants("STRIDED_SLICE", [0, 4, 0, 0], [1, 5, 5, 2], [1] * 4, ShrinkAxisMask=2),
        r"operator 0 \(STRIDED_SLICE\): index 4 lies outside axis 1",
    ),
    "a part of fewer axes": (
        constants("SLICE", [0], [1]),
        r"operator 0 \(SLICE\): its bounds \[0\] and \[1\] do not fit the 4 dimensions",
    ),
    "a part beyond the end": (
        constants("SLICE", [0, 3, 0, 0], [1, 2, 5, 2]),
        r"operator 0 \(SLICE\): \[1, 2, 5, 2\] elements from \[0, 3, 0, 0\] on do not lie within",
    ),
    "a part of nothing": (
        constants("SLICE", [0, 4, 0, 0], [1, -1, 5, 2]),
        r"operator 0 \(SLICE\): \[1, 0, 5, 2\] elements",
    ),
    "parts that are more than there is": (
        constants("SPLIT_V", [2, 3], [2], NumSplits=1),
        r"operator 0 \(SPLIT_V\): axis 2 of \(1, 4, 5, 2\) has no parts of \[2, 3\]",
    ),
    "two rests": (
        constants("SPLIT_V", [-1, -1], [2], NumSplits=1),
        r"operator 0 \(SPLIT_V\): axis 2 of \(1, 4, 5, 2\) has no parts of \[-1, -1\]",
    ),
    "channels that make no blocks": (
        raw_operator("DEPTH_TO_SPACE", (1, 8, 10, 1), BlockSize=2),
        r"operator 0 \(DEPTH_TO_SPACE\): 2 channels are no multiple of 2 \* 2",
    ),
    "an image that makes no blocks": (
        raw_operator("SPACE_TO_DEPTH", (1, 2, 2, 8), BlockSize=2),
        r"operator 0 \(SPACE_TO_DEPTH\): 4 x 5 is no multiple of 2",
    ),
    "blocks of nothing": (
        raw_operator("SPACE_TO_DEPTH", (1, 4, 5, 2), BlockSize=0),
        r"operator 0 \(SPACE_TO_DEPTH\): block size 0; from 1 on",
    ),
    "a largest value on another scale": (
        lambda w, x: w.mean(x, (1, 2), keep=True, scale=0.3, kind="REDUCE_MAX"),
        r"operator 0 \(REDUCE_MAX\): .* another scale or zero point",
    ),
    "places of 64 bits": (
        lambda w, x: w.arg_extreme("ARG_MAX", x, 3, "int64"),
        r"operator 0 \(ARG_MAX\): its output is int64; take output_type=tf.int32, or leave it to the",
    ),
    "places along an axis outside": (
        constants("ARG_MIN", [4], OutputType=2),
        r"operator 0 \(ARG_MIN\): .* is int8; allowed here: int32",
    ),
    "a norm onto another scale": (
        raw_operator("L2_NORMALIZATION", FusedActivationFunction=0),
        r"operator 0 \(L2_NORMALIZATION\): the output must have scale 1/128 and zero point 0",
    ),
    "a sum over an axis outside": (
        constants("SUM", [4], KeepDims=True),
        r"operator 0 \(SUM\): axes \[4\] lie outside the 4 dimensions",
    ),
    "a reciprocal root of int16": (
        int16(lambda w, x: w.function("RSQRT", x, scale=0.1)),
        r"operator 1 \(RSQRT\): .* is int16; allowed here: int8",
    ),
    "a root of values below 0": (
        lambda w, x: w.function("SQRT", x, scale=0.1),
        r"operator 0 \(SQRT\): its input's zero point is 3; -128 is allowed: no value below 0",
    ),
    "squares onto a scale that is next to nothing": (
        lambda w, x: w.add(x, x, scale=1e-20, kind="SQUARED_DIFFERENCE"),
        r"operator 0 \(SQUARED_DIFFERENCE\): the ratio of its scales, .* does not fit its arithmetic",
    ),
    "parts that are not equal": (
        lambda w, x: w.split(x, 2, 3)[0],
        r"operator 0 \(SPLIT\): axis 2 of \(1, 4, 5, 2\) has no 3 equal parts",
    ),
    "an axis of a stack outside": (
        raw_operator("PACK", (1, 1, 4, 5), Axis=5, ValuesCount=1),
        r"operator 0 \(PACK\): axis 5 lies outside",
    ),
    "too few outputs of a stack": (
        raw_operator("UNPACK", (1, 5, 2), Axis=1, Num=4),
        r"operator 0 \(UNPACK\): has 1 outputs, 4 are allowed",
    ),
    "a resize to another size than it says": (
        constants("RESIZE_BILINEAR", [8, 9], AlignCorners=False, HalfPixelCenters=False),
        r"operator 0 \(RESIZE_BILINEAR\): .* its inputs give \(1, 8, 9, 2\)",
    ),
    "a bilinear resize of int16": (
        int16(lambda w, x: w.resize("RESIZE_BILINEAR", x, (8, 9))),
        r"operator 1 \(RESIZE_BILINEAR\): .* is int16; allowed here: int8",
    ),
    "corners and centres at once": (
        lambda w, x: w.resize("RESIZE_BILINEAR", x, (8, 9), align_corners=True, half_pixel_centers=True),
        r"operator 0 \(RESIZE_BILINEAR\): AlignCorners and HalfPixelCenters exclude",
    ),
    "a resize so large that its steps are too coarse": (
        lambda w, x: w.resize("RESIZE_BILINEAR", x, (8192, 5)),
        r"operator 0 \(RESIZE_BILINEAR\): from .* lead beyond its input",
    ),
    "matrices that do not fit": (
        lambda w, x: w.batch_matmul(x, w.tensor((3, 2), scale=0.1, data=np.ones((3, 2))), scale=0.1),
        r"operator 0 \(BATCH_MATMUL\): matrices of \(5, 2\) and \(3, 2\) cannot be multiplied",
    ),
    "a transposed convolution of another size": (
        lambda w, x: transposed(w, x, (10, 10), "VALID"),
        r"operator 0 \(TRANSPOSE_CONV\): output size 4 along axis 1, .* give 5",
    ),
    "a transposed convolution whose ReLU cuts": (
        lambda w, x: transposed_relu(w, x, zero_point=-100),
        r"operator 0 \(TRANSPOSE_CONV\): its fused activation cuts .* quantize again",
    ),
    "a transposed convolution of int16": (
        int16(lambda w, x: transposed(w, x, (8, 10), "SAME")),
        r"operator 1 \(TRANSPOSE_CONV\): .* is int16; allowed here: int8",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_names_operator_and_reason(reason: str) -> None:
    build, message = REFUSED[reason]
    with pytest.raises(ModelError, match=message):
        read_tflite(network(build))


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((1, 2, 2, 2, 2), "int8", "5 dimensions; 4 are supported"),
        ((1, 4, 0, 2), "int8", "sizes must be known and positive"),
        ((1, 4, -1, 2), "int8", "sizes must be known and positive"),
        ((1, 4, 5, 2), "float16", "is float16; supported"),
        ((1, 4, 5, 2), "float32", "is float32; allowed here: int8, int16"),
        ((1, 4, 5, 2), "uint8", "is uint8; allowed here: int8, int16"),
        ((1, 60_000, 60_000, 1), "int8", "more than 67108864 bytes"),
    ],
)
def test_tensors_outside_the_supported_set_are_refused(
    shape: tuple[int, ...], dtype: str, message: str
) -> None:
    with pytest.raises(ModelError, match=rf"operator 0 \(RELU\): .*{message}"):
        read_tflite(network(lambda w, x: w.relu(x, scale=0.1, zero_point=0), shape, dtype))


def test_an_activation_must_be_computed_before_it_is_used() -> None:
    def backwards(w: TfliteWriter, x: Value) -> Value:
        late = w.tensor(x.shape, scale=0.1)
        out = w.relu(late, scale=0.1, zero_point=0)
        w.operator("RELU", [x], [late])
        return out

    with pytest.raises(ModelError, match="tensor 1 is used before it is computed"):
        read_tflite(network(backwards))


def test_an_activation_is_written_once() -> None:
    def twice(w: TfliteWriter, x: Value) -> Value:
        out = w.relu(x, scale=0.1, zero_point=0)
        w.operator("RELU", [x], [out])
        return out

    with pytest.raises(ModelError, match=r"operator 1 \(RELU\): tensor 1 is written twice"):
        read_tflite(network(twice))


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x00" * 100, b"\x1c\x00\x00\x00TFL3"])
def test_what_is_no_tflite_file_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_tflite(data)


def test_the_shape_operators_of_an_unknown_batch_size_fold_away() -> None:
    def flatten(w: TfliteWriter, x: Value) -> Value:
        shape, size, packed = w.tensor((4,), "int32"), w.tensor((), "int32"), w.tensor((2,), "int32")
        out = w.tensor((1, 40), scale=0.1, zero_point=3)
        w.operator("SHAPE", [x], [shape])
        ends = [w.constant([0]), w.constant([1]), w.constant([1])]
        w.operator("STRIDED_SLICE", [shape, *ends], [size], ShrinkAxisMask=1)
        w.operator("PACK", [size, w.constant(40)], [packed], Axis=0, ValuesCount=2)
        w.operator("RESHAPE", [x, packed], [out])
        return out

    graph = read_tflite(network(flatten))
    assert [(op.index, op.kind) for op in graph.operators] == [(3, "RESHAPE")]
    assert np.array_equal(graph.tensors[graph.operators[0].inputs[1]].data, [1, 40])
    assert len(graph.notes) == 3


def test_the_shape_arithmetic_before_a_transposed_convolution_folds_away() -> None:
    """Keras multiplies height and width by the strides, element by element."""

    def upsample(w: TfliteWriter, x: Value) -> Value:
        shape, packed = w.tensor((4,), "int32"), w.tensor((4,), "int32")
        w.operator("SHAPE", [x], [shape])
        sizes = []
        for axis, factor in enumerate((1, 2, 2)):
            size, scaled = w.tensor((), "int32"), w.tensor((), "int32")
            ends = [w.constant([axis]), w.constant([axis + 1]), w.constant([1])]
            w.operator("STRIDED_SLICE", [shape, *ends], [size], ShrinkAxisMask=1)
            w.operator("MUL", [size, w.constant(factor)], [scaled], FusedActivationFunction=0)
            sizes.append(scaled)
        w.operator("PACK", [*sizes, w.constant(3)], [packed], Axis=0, ValuesCount=4)
        out = w.tensor((1, 8, 10, 3), scale=0.1)
        weights = w.tensor((3, 2, 2, 2), scale=0.1, data=np.ones((3, 2, 2, 2)))
        w.operator("TRANSPOSE_CONV", [packed, weights, x], [out], Padding=0, StrideH=2, StrideW=2)
        return out

    graph = read_tflite(network(upsample))
    assert [(op.index, op.kind) for op in graph.operators] == [(8, "TRANSPOSE_CONV")]
    assert len(graph.notes) == 8


def test_a_transposed_convolution_takes_a_relu_that_its_range_implies() -> None:
    graph = read_tflite(network(lambda w, x: transposed_relu(w, x, zero_point=-128)))
    assert [op.kind for op in graph.operators] == ["TRANSPOSE_CONV"]


def test_the_shape_arithmetic_of_a_dense_layer_on_sequences_folds_away() -> None:
    """What TensorFlow writes for tensordot: gathered sizes, their products, a shape from both."""

    def dense(w: TfliteWriter, x: Value) -> Value:
        names = ("shape", "kept", "rows", "depth", "columns")
        shape, kept, rows, depth, columns = (
            w.tensor((n,) if n else (), "int32", name=name)
            for name, n in zip(names, (4, 3, 0, 1, 0), strict=True)
        )
        packed = w.tensor((2,), "int32")
        w.operator("SHAPE", [x], [shape])
        w.operator("GATHER", [shape, w.constant([0, 1, 2])], [kept], Axis=0)
        w.operator("REDUCE_PROD", [kept, w.constant([0])], [rows], KeepDims=False)
        w.operator("GATHER", [shape, w.constant([3])], [depth], Axis=0)
        w.operator("REDUCE_PROD", [depth, w.constant([0])], [columns], KeepDims=False)
        w.operator("PACK", [rows, columns], [packed], Axis=0, ValuesCount=2)
        out = w.tensor((20, 2), scale=0.1, zero_point=3)
        w.operator("RESHAPE", [x, packed], [out])
        return out

    graph = read_tflite(network(dense))
    assert [(op.index, op.kind) for op in graph.operators] == [(6, "RESHAPE")]
    assert np.array_equal(graph.tensors[graph.operators[0].inputs[1]].data, [20, 2])


def test_arithmetic_on_activations_and_with_activations_is_not_folded() -> None:
    def clipped(w: TfliteWriter, x: Value) -> Value:
        shape, doubled = w.tensor((4,), "int32"), w.tensor((4,), "int32")
        w.operator("SHAPE", [x], [shape])
        w.operator("MUL", [shape, w.constant([1, 1, 1, 1])], [doubled], FusedActivationFunction=1)
        out = w.tensor((1, 40), scale=0.1, zero_point=3)
        w.operator("RESHAPE", [x, doubled], [out])
        return out

    with pytest.raises(ModelError, match=r"operator 1 \(MUL\): .* is int32; allowed here: int8, int16"):
        read_tflite(network(clipped))


def test_moves_that_move_nothing_are_views() -> None:
    def still(w: TfliteWriter, x: Value) -> Value:
        x = w.transpose(x, (1, 0, 2, 3))
        x = w.strided_slice(x, [slice(None), 0, slice(None), slice(None)])
        (x,) = w.split(x, 0, 1)
        return w.renamed("EXPAND_DIMS", x, [0])

    graph = read_tflite(network(still))
    assert {type(op.params) for op in graph.operators} == {Reshape}
    assert {op.state for op in read_image(compile_image(graph).data).operators} == {"elided"}


def test_an_operator_with_several_outputs_stands_in_the_graph_once_for_each() -> None:
    graph = read_tflite(network(lambda w, x: w.pack(w.unpack(x, 3)[::-1], 3)))
    places = [(op.source, op.output, op.kind) for op in graph.operators]
    assert places == [(0, 0, "UNPACK"), (0, 1, "UNPACK"), (1, 0, "PACK")]
    x = np.arange(40, dtype=np.int8).reshape(1, 4, 5, 2)
    assert np.array_equal(execute.run(graph, [x])[graph.outputs[0]], x[..., ::-1])


def test_files_that_fill_only_the_old_operator_code_are_read() -> None:
    data = bytearray(network(lambda w, x: w.relu6(x)))
    code = tflite.Model.GetRootAs(data, 0).OperatorCodes(0)
    place = code._tab.Pos + code._tab.Offset(10)  # builtin_code
    assert data[place] == tflite.BuiltinOperator.RELU6
    data[place] = 0
    assert read_summary(bytes(data)).kinds == ("RELU6",)


def test_of_two_operator_codes_the_larger_one_counts_as_for_every_runtime() -> None:
    """TFLM and LiteRT run MEAN here; the tflite package says TRANSPOSE. Found by ``make hostile``."""
    data = bytearray(network(lambda w, x: w.transpose(x, (0, 2, 1, 3))))
    code = tflite.Model.GetRootAs(data, 0).OperatorCodes(0)
    data[code._tab.Pos + code._tab.Offset(10)] = tflite.BuiltinOperator.MEAN
    assert code.DeprecatedBuiltinCode() == tflite.BuiltinOperator.TRANSPOSE
    assert read_summary(bytes(data)).kinds == ("MEAN",)


def test_a_depth_multiplier_that_does_not_fit_the_weights_is_refused() -> None:
    """TFLM goes by the number, the others by the weights. Found by ``make hostile``."""
    data = bytearray(network(lambda w, x: depthwise(w, x)))
    options = tflite.DepthwiseConv2DOptions()
    table = tflite.Model.GetRootAs(data, 0).Subgraphs(0).Operators(0).BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    data[options._tab.Pos + options._tab.Offset(10)] = 2
    with pytest.raises(ModelError, match="DepthMultiplier is 2, which TFLM uses, but its weights say 1"):
        read_tflite(bytes(data))


def depthwise(w: TfliteWriter, x: Value) -> Value:
    weights, bias = np.ones((1, 2, 2, 2), np.int8), np.zeros(2, np.int32)
    return w.conv_2d(x, weights, bias, weight_scale=0.02, scale=1.0, depthwise=True)


def test_relu6_follows_tflm_and_says_so_where_the_scales_differ() -> None:
    def build(w: TfliteWriter, x: Value) -> Value:
        out = w.tensor(x.shape, scale=6 / 255, zero_point=-128)
        w.operator("RELU6", [x], [out])
        return out

    graph = read_tflite(network(build))
    largest = execute.run(graph, [np.full((1, 4, 5, 2), 127, np.int8)])[1]
    assert np.all(largest == 3 + 60)
    assert "TFLM's kernel does not" in graph.notes[0]


def test_a_summary_tells_of_models_that_cannot_run_here() -> None:
    summary = read_summary(network(raw_operator("LOGISTIC"), dtype="float32"))
    assert summary.kinds == ("LOGISTIC",)
    assert [(t.name, t.shape, t.dtype) for t in summary.input_tensors] == [("input", (1, 4, 5, 2), "float32")]
    assert summary.output_tensors[0].scales == np.float32(0.1)


def test_the_table_of_operators_in_the_docs_is_complete() -> None:
    listed: dict[str, bool] = {}
    text = (Path(__file__).parents[3] / "docs" / "operators.md").read_text(encoding="utf-8")
    for names, wide in re.findall(r"^\| ([A-Z0-9_, ]+) \| yes \| (yes|no) \|", text, re.MULTILINE):
        listed.update(dict.fromkeys(names.split(", "), wide == "yes"))
    assert listed == {kind: "int16" in strategies.layer_dtypes(kind) for kind in SUPPORTED}


def test_a_file_that_was_cut_short_is_told_with_its_size_and_what_to_do() -> None:
    data = network(raw_operator("RELU6"))
    with pytest.raises(ModelError, match="file of 100 bytes is damaged or cut short: copy it again"):
        read_tflite(data[:100])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    case=strategies.small_models(),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    length=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_a_damaged_file_is_a_model_error_or_another_valid_model(
    case: strategies.ModelCase, edits: list[tuple[float, int]], length: float
) -> None:
    data = bytearray(case.artefact)
    for place, value in edits:
        data[int(place * len(data))] = value
    try:
        graph = read_tflite(bytes(data[: int(length * len(data))]))
    except ModelError:
        return
    inputs = [np.zeros(graph.tensors[i].shape, graph.tensors[i].dtype) for i in graph.inputs]
    values = execute.run(graph, inputs)
    assert all(values[op.outputs[0]] is not None for op in graph.operators)


def tall_pool(padding: int) -> QuantizedModel:
    return QuantizedModel(
        "pool",
        network(lambda w, x: w.pool("MAX_POOL_2D", x, (2 * padding + 1, 1), padding="SAME"), (1, 1, 1, 1)),
    )


def wide_steps(stride: int) -> QuantizedModel:
    def build(w: TfliteWriter, x: Value) -> Value:
        weights = np.ones((1, 1, 1, 1), np.int8)
        return w.conv_2d(x, weights, np.zeros(1), weight_scale=0.9, scale=0.1, stride=(1, stride))

    return QuantizedModel("steps", network(build, (1, 1, stride + 1, 1)))


def many_times(multiplier: int) -> QuantizedModel:
    def build(w: TfliteWriter, x: Value) -> Value:
        weights, bias = np.ones((1, 1, 1, multiplier), np.int8), np.zeros(multiplier)
        return w.conv_2d(x, weights, bias, weight_scale=0.9, scale=0.1, depthwise=True)

    return QuantizedModel("times", network(build, (1, 1, 1, 1)))


@pytest.mark.parametrize("build", [tall_pool, wide_steps, many_times])
def test_what_tflm_holds_in_16_bits_is_exact_up_to_their_limit_and_refused_beyond(
    build: Callable[[int], QuantizedModel],
) -> None:
    """TFLM takes a padding of 32,768 as -32,768 and pools nothing at all; found by ``make hostile``."""
    model = build(32_767)
    shape = (3, *model.graph.tensors[model.graph.inputs[0]].shape[1:])
    vectors = Raw(np.random.default_rng(0).integers(-128, 128, shape, np.int8, endpoint=False))
    ours, theirs = (runner.run(model, vectors).outputs[0] for runner in (IntegerRunner(), TflmRunner()))
    assert np.array_equal(ours, theirs)
    with pytest.raises(ModelError, match=r"32768.* 16 bits|16 bits.*32767"):
        _ = build(32_768).graph
