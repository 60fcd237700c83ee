"""Build small quantized ``.tflite`` files without TensorFlow, in milliseconds.

For tests and for conformance shapes: the caller chooses every scale, weight and option; shapes of
outputs follow. What is written is exactly what was asked for, sensible or not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tflite

from pytest_quantcheck.formats.tflite_file import TfliteFile, Value
from pytest_quantcheck.numerics.arrays import Array

__all__ = ["Pair", "TfliteWriter", "Value", "window_output"]

Pair = tuple[int, int]


def window_output(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Output size of a sliding window along one axis; ``padding`` is ``SAME`` or ``VALID``."""
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - reach) // stride + 1


class TfliteWriter(TfliteFile):
    """A file with a method for each kind of operator, which adds one, computes its output's shape and returns
    the output. The general way is ``tensor`` and ``operator``.
    """

    def conv_2d(
        self,
        x: Value,
        weights: Array,
        bias: Array | None,
        *,
        weight_scale: float | Array,
        scale: float,
        zero_point: int = 0,
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        depthwise: bool = False,
    ) -> Value:
        """CONV_2D (weights OHWI), or DEPTHWISE_CONV_2D (weights 1HWC) with ``depthwise``."""
        axis = 3 if depthwise else 0
        inputs = [x, self.tensor(weights.shape, scale=weight_scale, axis=axis, data=weights)]
        if bias is not None:  # where it is absent as -1, TFLM's depthwise kernel crashes
            inputs.append(self._bias(bias, x, weight_scale))
        height, width = (
            window_output(x.shape[1 + i], weights.shape[1 + i], stride[i], dilation[i], padding)
            for i in (0, 1)
        )
        shape = (x.shape[0], height, width, weights.shape[axis])
        out = self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)
        options = {
            **_window_options(stride, padding, activation),
            "DilationHFactor": dilation[0],
            "DilationWFactor": dilation[1],
        }
        if depthwise:
            options["DepthMultiplier"] = weights.shape[3] // x.shape[3]
        self.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, [out], **options)
        return out

    def transpose_conv(
        self,
        x: Value,
        weights: Array,
        bias: Array | None,
        *,
        size: Pair,
        weight_scale: float | Array,
        scale: float,
        zero_point: int = 0,
        stride: Pair = (1, 1),
        padding: str = "SAME",
    ) -> Value:
        """TRANSPOSE_CONV (weights OHWI) to a picture of ``size``."""
        kernel = self.tensor(weights.shape, scale=weight_scale, axis=0, data=weights)
        shape = (x.shape[0], *size, weights.shape[0])
        out = self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)
        inputs = [self.constant(list(shape)), kernel, x]
        if bias is not None:
            inputs.append(self._bias(bias, x, weight_scale))
        self.operator("TRANSPOSE_CONV", inputs, [out], **_window_options(stride, padding, "NONE"))
        return out

    def batch_matmul(
        self,
        a: Value,
        b: Value,
        *,
        scale: float,
        zero_point: int = 0,
        adj_x: bool = False,
        adj_y: bool = False,
    ) -> Value:
        """BATCH_MATMUL; ``adj_x`` and ``adj_y`` swap the last two axes first."""
        rows, columns = a.shape[-1 if adj_x else -2], b.shape[-2 if adj_y else -1]
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), rows, columns)
        out = self.tensor(shape, a.dtype, scale=scale, zero_point=zero_point)
        self.operator("BATCH_MATMUL", [a, b], [out], AdjX=adj_x, AdjY=adj_y)
        return out

    def fully_connected(
        self,
        x: Value,
        weights: Array,
        bias: Array | None,
        *,
        weight_scale: float | Array,
        weight_zero_point: int = 0,
        scale: float,
        zero_point: int = 0,
        activation: str = "NONE",
    ) -> Value:
        """FULLY_CONNECTED with weights (outputs, depth) on the flattened input."""
        kernel = self.tensor(weights.shape, scale=weight_scale, zero_point=weight_zero_point, data=weights)
        batches = int(np.prod(x.shape)) // weights.shape[1]
        out = self.tensor((batches, weights.shape[0]), x.dtype, scale=scale, zero_point=zero_point)
        inputs = [x, kernel, None if bias is None else self._bias(bias, x, weight_scale)]
        self.operator("FULLY_CONNECTED", inputs, [out], FusedActivationFunction=_activation(activation))
        return out

    def add(
        self,
        a: Value,
        b: Value,
        *,
        scale: float,
        zero_point: int = 0,
        activation: str = "NONE",
        kind: str = "ADD",
    ) -> Value:
        """ADD, SUB or SQUARED_DIFFERENCE with NumPy's broadcasting; the last has no activation.

        int16 scales are taken as they are; without the option LiteRT has a rule of its own for powers
        of two.
        """
        shape = np.broadcast_shapes(a.shape, b.shape)
        out = self.tensor(shape, a.dtype, scale=scale, zero_point=zero_point)
        options = {"FusedActivationFunction": _activation(activation), "PotScaleInt16": False}
        if a.dtype != "int16":
            del options["PotScaleInt16"]
        self.operator(kind, [a, b], [out], **({} if kind == "SQUARED_DIFFERENCE" else options))
        return out

    def mul(
        self, a: Value, b: Value, *, scale: float, zero_point: int = 0, activation: str = "NONE"
    ) -> Value:
        """MUL with NumPy's broadcasting."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        out = self.tensor(shape, a.dtype, scale=scale, zero_point=zero_point)
        self.operator("MUL", [a, b], [out], FusedActivationFunction=_activation(activation))
        return out

    def extremum(self, kind: str, a: Value, b: Value) -> Value:
        """MINIMUM or MAXIMUM of values with one scale, with NumPy's broadcasting."""
        out = self._like(a, np.broadcast_shapes(a.shape, b.shape))
        self.operator(kind, [a, b], [out])
        return out

    def prelu(self, x: Value, slope: Value, *, scale: float, zero_point: int = 0) -> Value:
        """PRELU; ``slope`` broadcasts to ``x``."""
        out = self.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator("PRELU", [x, slope], [out])
        return out

    def pool(
        self,
        kind: str,
        x: Value,
        kernel: Pair,
        *,
        stride: Pair = (1, 1),
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> Value:
        """AVERAGE_POOL_2D or MAX_POOL_2D."""
        height, width = (window_output(x.shape[1 + i], kernel[i], stride[i], 1, padding) for i in (0, 1))
        out = self._like(x, (x.shape[0], height, width, x.shape[3]))
        options = {"FilterHeight": kernel[0], "FilterWidth": kernel[1]}
        self.operator(kind, [x], [out], **options, **_window_options(stride, padding, activation))
        return out

    def mean(
        self,
        x: Value,
        axes: Sequence[int],
        *,
        keep: bool,
        scale: float,
        zero_point: int = 0,
        kind: str = "MEAN",
    ) -> Value:
        """MEAN or SUM over ``axes``."""
        shape = _reduced(x.shape, axes, keep)
        out = self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator(kind, [x, self.constant(list(axes))], [out], KeepDims=keep)
        return out

    def reduce_extreme(self, kind: str, x: Value, axes: Sequence[int], *, keep: bool) -> Value:
        """REDUCE_MAX or REDUCE_MIN over ``axes``."""
        out = self._like(x, _reduced(x.shape, axes, keep))
        self.operator(kind, [x, self.constant(list(axes))], [out], KeepDims=keep)
        return out

    def arg_extreme(self, kind: str, x: Value, axis: int, dtype: str = "int32") -> Value:
        """ARG_MAX or ARG_MIN along ``axis``."""
        out = self.tensor(_reduced(x.shape, [axis], False), dtype)
        kinds = {"int32": tflite.TensorType.INT32, "int64": tflite.TensorType.INT64}
        self.operator(kind, [x, self.constant(axis)], [out], OutputType=kinds[dtype])
        return out

    def l2_normalization(self, x: Value) -> Value:
        """L2_NORMALIZATION over the last axis with the output scale that TFLite prescribes."""
        out = self.tensor(x.shape, scale=2.0**-7)
        self.operator("L2_NORMALIZATION", [x], [out], FusedActivationFunction=_activation("NONE"))
        return out

    def moved(
        self, kind: str, x: Value, shape: Sequence[int], *constants: npt.ArrayLike, **options: int
    ) -> Value:
        """An operator that moves elements to an output of ``shape``, with ``constants`` behind its input."""
        out = self._like(x, shape)
        self.operator(kind, [x, *map(self.constant, constants)], [out], **options)
        return out

    def pad(self, x: Value, paddings: Sequence[Pair], value: int | None = None) -> Value:
        """PAD, or PADV2 with a fill ``value`` of the input's type."""
        out = self._like(
            x, [n + before + after for n, (before, after) in zip(x.shape, paddings, strict=True)]
        )
        inputs = [x, self.constant([list(pair) for pair in paddings])]
        if value is not None:
            inputs.append(self.tensor((), x.dtype, scale=x.scale, zero_point=x.zero_point, data=value))
        self.operator("PAD" if value is None else "PADV2", inputs, [out])
        return out

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """RESHAPE with its shape as a constant input."""
        out = self._like(x, shape)
        self.operator("RESHAPE", [x, self.constant(list(shape))], [out])
        return out

    def renamed(self, kind: str, x: Value, axes: Sequence[int]) -> Value:
        """SQUEEZE of axes of size 1, or EXPAND_DIMS by one axis."""
        if kind == "EXPAND_DIMS":
            out = self._like(x, np.expand_dims(np.empty(x.shape, np.bool_), axes[0]).shape)
            self.operator(kind, [x, self.constant(axes[0])], [out])
            return out
        gone = [axis % len(x.shape) for axis in axes]
        out = self._like(x, [n for axis, n in enumerate(x.shape) if axis not in gone])
        self.operator(kind, [x], [out], SqueezeDims=list(axes))
        return out

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """TRANSPOSE with its permutation as a constant input."""
        out = self._like(x, [x.shape[axis] for axis in order])
        self.operator("TRANSPOSE", [x, self.constant(list(order))], [out])
        return out

    def strided_slice(self, x: Value, bounds: Sequence[slice | int]) -> Value:
        """STRIDED_SLICE with a slice or an index for every axis, as NumPy has them."""
        out = self._like(x, np.empty(x.shape, np.bool_)[tuple(bounds)].shape)
        begin, end, step, masks = [], [], [], {"BeginMask": 0, "EndMask": 0, "ShrinkAxisMask": 0}
        for axis, bound in enumerate(bounds):
            where = bound if isinstance(bound, slice) else slice(bound, bound + 1)
            masks["BeginMask"] |= (where.start is None) << axis
            masks["EndMask"] |= (where.stop is None) << axis
            masks["ShrinkAxisMask"] |= (not isinstance(bound, slice)) << axis
            begin.append(where.start or 0)
            end.append(where.stop or 0)
            step.append(1 if where.step is None else where.step)
        inputs = [x, *(self.constant(values) for values in (begin, end, step))]
        self.operator("STRIDED_SLICE", inputs, [out], **masks)
        return out

    def split(self, x: Value, axis: int, count: int) -> list[Value]:
        """SPLIT into equal parts."""
        shape = list(x.shape)
        shape[axis] //= count
        outs = [self._like(x, shape) for _ in range(count)]
        self.operator("SPLIT", [self.constant(axis), x], outs, NumSplits=count)
        return outs

    def slice(self, x: Value, begin: Sequence[int], size: Sequence[int]) -> Value:
        """SLICE; a size of -1 reaches to the end."""
        out = self._like(x, [n - b if s == -1 else s for n, b, s in zip(x.shape, begin, size, strict=True)])
        self.operator("SLICE", [x, self.constant(list(begin)), self.constant(list(size))], [out])
        return out

    def split_v(self, x: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
        """SPLIT_V into parts of these sizes; -1 is the rest."""
        axis %= len(x.shape)
        rest = x.shape[axis] - sum(size for size in sizes if size != -1)
        shapes = ((*x.shape[:axis], rest if n == -1 else n, *x.shape[axis + 1 :]) for n in sizes)
        outs = [self._like(x, shape) for shape in shapes]
        inputs = [x, self.constant(list(sizes)), self.constant(axis)]
        self.operator("SPLIT_V", inputs, outs, NumSplits=len(outs))
        return outs

    def blocks(self, kind: str, x: Value, block: int) -> Value:
        """DEPTH_TO_SPACE or SPACE_TO_DEPTH."""
        n, height, width, channels = x.shape
        shape = (
            (n, height * block, width * block, channels // block**2)
            if kind == "DEPTH_TO_SPACE"
            else (n, height // block, width // block, channels * block**2)
        )
        out = self._like(x, shape)
        self.operator(kind, [x], [out], BlockSize=block)
        return out

    def gather(self, x: Value, indices: int | Sequence[int], axis: int) -> Value:
        """GATHER of constant ``indices`` along ``axis``; a single number takes the axis away."""
        axis %= len(x.shape)
        kept = () if isinstance(indices, int) else (len(indices),)
        out = self._like(x, (*x.shape[:axis], *kept, *x.shape[axis + 1 :]))
        self.operator("GATHER", [x, self.constant(indices)], [out], Axis=axis)
        return out

    def broadcast_to(self, x: Value, shape: Sequence[int]) -> Value:
        """BROADCAST_TO."""
        out = self._like(x, shape)
        self.operator("BROADCAST_TO", [x, self.constant(list(shape))], [out])
        return out

    def reverse(self, x: Value, axes: Sequence[int]) -> Value:
        """REVERSE_V2 along ``axes``."""
        out = self._like(x, x.shape)
        self.operator("REVERSE_V2", [x, self.constant(list(axes))], [out])
        return out

    def unpack(self, x: Value, axis: int) -> list[Value]:
        """UNPACK along ``axis``."""
        axis %= len(x.shape)
        outs = [self._like(x, [*x.shape[:axis], *x.shape[axis + 1 :]]) for _ in range(x.shape[axis])]
        self.operator("UNPACK", [x], outs, Axis=axis, Num=len(outs))
        return outs

    def pack(self, values: Sequence[Value], axis: int) -> Value:
        """PACK of values that share one scale."""
        shape = values[0].shape
        place = axis % (len(shape) + 1)
        out = self._like(values[0], [*shape[:place], len(values), *shape[place:]])
        self.operator("PACK", values, [out], Axis=axis, ValuesCount=len(values))
        return out

    def resize(
        self,
        kind: str,
        x: Value,
        size: Pair,
        *,
        align_corners: bool = False,
        half_pixel_centers: bool = False,
    ) -> Value:
        """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR."""
        out = self._like(x, (x.shape[0], *size, x.shape[3]))
        options = {"AlignCorners": align_corners, "HalfPixelCenters": half_pixel_centers}
        self.operator(kind, [x, self.constant(list(size))], [out], **options)
        return out

    def concatenation(self, values: Sequence[Value], axis: int) -> Value:
        """CONCATENATION of values that share one scale."""
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        out = self._like(values[0], shape)
        self.operator("CONCATENATION", values, [out], Axis=axis, FusedActivationFunction=_activation("NONE"))
        return out

    def softmax(self, x: Value, beta: float = 1.0, dtype: str | None = None) -> Value:
        """SOFTMAX over the last axis with the output scale that TFLite prescribes; ``dtype="int16"`` also
        from int8."""
        if x.dtype == "int8" and dtype == "int16":
            out = self.tensor(x.shape, dtype, scale=2.0**-16, zero_point=-(2**15))
        else:
            out = self._below_one(x, 8)
        self.operator("SOFTMAX", [x], [out], Beta=beta)
        return out

    def logistic(self, x: Value) -> Value:
        """LOGISTIC with the output scale that TFLite prescribes."""
        out = self._below_one(x, 8)
        self.operator("LOGISTIC", [x], [out])
        return out

    def tanh(self, x: Value) -> Value:
        """TANH with the output scale that TFLite prescribes."""
        out = self._below_one(x, 7)
        self.operator("TANH", [x], [out])
        return out

    def relu(self, x: Value, *, scale: float, zero_point: int) -> Value:
        """RELU as an operator of its own, with a scale of its own."""
        out = self.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator("RELU", [x], [out])
        return out

    def function(self, kind: str, x: Value, *, scale: float, zero_point: int = 0, **options: bool) -> Value:
        """A function of one value with a scale of its own, such as ABS, ELU, GELU or HARD_SWISH."""
        out = self.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator(kind, [x], [out], **options)
        return out

    def leaky_relu(self, x: Value, alpha: float, *, scale: float, zero_point: int = 0) -> Value:
        """LEAKY_RELU."""
        out = self.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator("LEAKY_RELU", [x], [out], Alpha=alpha)
        return out

    def relu6(self, x: Value) -> Value:
        """RELU6 as an operator of its own; it keeps the input's scale."""
        out = self._like(x, x.shape)
        self.operator("RELU6", [x], [out])
        return out

    def quantize(self, x: Value, *, scale: float, zero_point: int, dtype: str = "int8") -> Value:
        """QUANTIZE from float32 or from another integer scale or type."""
        out = self.tensor(x.shape, dtype, scale=scale, zero_point=zero_point)
        self.operator("QUANTIZE", [x], [out])
        return out

    def dequantize(self, x: Value) -> Value:
        """DEQUANTIZE to float32."""
        out = self.tensor(x.shape, "float32")
        self.operator("DEQUANTIZE", [x], [out])
        return out

    def lstm(
        self,
        x: Value,
        weights: Sequence[Array],
        recurrent: Sequence[Array],
        biases: Sequence[Array],
        *,
        weight_scales: Sequence[float],
        recurrent_scales: Sequence[float],
        scale: float,
        zero_point: int = 0,
        cell_scale: float = 2.0**-12,
        cell_clip: float = 0.0,
        time_major: bool = False,
    ) -> Value:
        """UNIDIRECTIONAL_SEQUENCE_LSTM of (1, steps, features), or (steps, 1, features) with ``time_major``.
        Weights (units, features), recurrent ones (units, units): of the gates input, forget, cell, output."""
        units = len(biases[0])
        inputs: list[Value | None] = [x]
        for arrays, scales in ((weights, weight_scales), (recurrent, recurrent_scales)):
            inputs += [self.tensor(w.shape, scale=s, data=w) for w, s in zip(arrays, scales, strict=True)]
        values = zip(biases, weight_scales, strict=True)
        inputs += [*[None] * 3, *(self._bias(bias, x, each) for bias, each in values)]
        hidden = self.tensor((1, units), x.dtype, scale=scale, zero_point=zero_point, variable=True)
        inputs += [None, None, hidden, self.tensor((1, units), "int16", scale=cell_scale, variable=True)]
        out = self.tensor((*x.shape[:2], units), x.dtype, scale=scale, zero_point=zero_point)
        options = {"FusedActivationFunction": _activation("TANH"), "CellClip": cell_clip}
        inputs += [None] * 4  # no layer norms
        self.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [out], TimeMajor=time_major, **options)
        return out

    def _like(self, x: Value, shape: Sequence[int]) -> Value:
        scale = x.scale if x.scale else None
        return self.tensor(shape, x.dtype, scale=scale, zero_point=x.zero_point)

    def _below_one(self, x: Value, fraction_bits: int) -> Value:
        """An output for values from 0 (8 fraction bits) or -1 (7) to 1, int16 with all its bits."""
        if x.dtype == "int16":
            return self.tensor(x.shape, "int16", scale=2.0**-15)
        zero_point = -128 if fraction_bits == 8 else 0
        return self.tensor(x.shape, scale=2.0**-fraction_bits, zero_point=zero_point)

    def _bias(self, bias: Array, x: Value, weight_scale: float | Array) -> Value:
        """An int32 bias; int64 where int64 is given next to int16 activations."""
        scale = np.float32(x.scale) * np.asarray(weight_scale, np.float32)
        dtype = "int64" if x.dtype == "int16" and bias.dtype == np.int64 else "int32"
        return self.tensor(bias.shape, dtype, scale=scale, data=bias)


def _activation(name: str) -> int:
    return int(getattr(tflite.ActivationFunctionType, name))


def _reduced(shape: Sequence[int], axes: Sequence[int], keep: bool) -> list[int]:
    reduced = {axis % len(shape) for axis in axes}
    return [1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced]


def _window_options(stride: Pair, padding: str, activation: str) -> dict[str, int]:
    return {
        "Padding": getattr(tflite.Padding, padding),
        "StrideH": stride[0],
        "StrideW": stride[1],
        "FusedActivationFunction": _activation(activation),
    }
