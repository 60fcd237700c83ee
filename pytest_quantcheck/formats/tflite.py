"""A ``.tflite`` file as plain values, without judging what it asks for.

Everything that can go wrong in a damaged, truncated or hostile flatbuffer ends here as ``ModelError``;
what comes out is bounded in size and safe to look at. Whether it can run is for ``graph.from_tflite`` to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.detect import is_tflite
from pytest_quantcheck.formats.summary import OperatorSummary, Summary, TensorSummary
from pytest_quantcheck.numerics.arrays import Array

MAX_ITEMS = 10_000  # tensors, operators, buffers, operator codes
MAX_LIST = 1_024  # inputs or outputs of one operator
MAX_RANK = 8
MAX_NAME = 512
MAX_INITIALIZERS = 8  # TensorFlow writes one


def read_tflite_summary(data: bytes) -> Summary:
    """Read a ``.tflite`` file, quantized or float, supported or not.

    Raises ``ModelError`` for anything that is not an intact TFLite flatbuffer.
    """
    if not is_tflite(data):
        raise ModelError(f"not a .tflite file: {len(data)} bytes without the identifier TFL3 at offset 4")
    try:
        return _read_model(bytes(data))
    except ModelError:
        raise
    except Exception as error:
        # The schema code follows offsets blindly; damaged ones surface as struct.error, IndexError,
        # TypeError, UnicodeDecodeError, ... depending on where they lead.
        raise damaged(data, error) from error


def damaged(data: bytes, error: Exception) -> ModelError:
    """What to say of a ``.tflite`` file in which following an offset led to ``error``."""
    return ModelError(
        f"the .tflite file of {len(data)} bytes is damaged or cut short: copy it again, or convert the model "
        f"again ({type(error).__name__}: {error})"
    )


def _read_model(data: bytes) -> Summary:
    model = tflite.Model.GetRootAs(data, 0)
    if model.Version() != 3:
        raise ModelError(f"TFLite schema version {model.Version()} is not known; 3 is")
    subgraphs = _length(model.SubgraphsLength(), "subgraphs", MAX_ITEMS)
    if subgraphs == 0:
        raise ModelError("the .tflite file has no subgraph")
    buffers = [_buffer(model.Buffers(i)) for i in range(_length(model.BuffersLength(), "buffers"))]
    kinds = [_kind(model.OperatorCodes(i)) for i in range(_length(model.OperatorCodesLength(), "codes"))]
    summary = _subgraph(model, 0, buffers, kinds, subgraphs)
    called = {
        int(op.options["InitSubgraphIndex"])
        for op in summary.operators
        if op.kind == "CALL_ONCE" and op.options
    }
    _length(len(called), "subgraphs that CALL_ONCE names", MAX_INITIALIZERS)
    for number in called:
        if not 0 < number < subgraphs:
            raise ModelError(f"CALL_ONCE names subgraph {number}, but there are {subgraphs}")
    first = {number: _subgraph(model, number, buffers, kinds, 1) for number in sorted(called)}
    return replace(summary, initializers=first)


def _subgraph(
    model: Any, number: int, buffers: list[npt.NDArray[np.uint8] | None], kinds: list[str], subgraphs: int
) -> Summary:
    graph = model.Subgraphs(number)
    tensors = tuple(
        _tensor(i, graph.Tensors(i), buffers) for i in range(_length(graph.TensorsLength(), "tensors"))
    )
    operators = tuple(
        _operator(i, graph.Operators(i), kinds, len(tensors))
        for i in range(_length(graph.OperatorsLength(), "operators"))
    )
    return Summary(
        operators,
        tensors,
        _indices(graph.InputsAsNumpy(), len(tensors), "the graph's inputs"),
        _indices(graph.OutputsAsNumpy(), len(tensors), "the graph's outputs"),
        subgraphs,
        _text(model.Description()),
    )


def _length(value: int, what: str, limit: int = MAX_ITEMS) -> int:
    if not 0 <= value <= limit:
        raise ModelError(f"the .tflite file claims {value} {what}; at most {limit} are read")
    return value


def _text(raw: bytes | None) -> str:
    return (raw or b"")[:MAX_NAME].decode("utf-8", "replace")


def _array(raw: Any, dtype: npt.DTypeLike, limit: int, what: str) -> Array:
    """A vector of the file; flatbuffers returns the number 0 when it is absent."""
    if isinstance(raw, int):
        return np.zeros(0, dtype)
    _length(len(raw), what, limit)
    return np.asarray(raw).astype(dtype)


def _indices(raw: Any, tensors: int, what: str, lowest: int = 0) -> tuple[int, ...]:
    found = tuple(int(i) for i in _array(raw, np.int64, MAX_LIST, what))
    for i in found:
        if not lowest <= i < tensors:
            raise ModelError(f"{what} name tensor {i}, but there are {tensors} tensors")
    return found


def _buffer(buffer: Any) -> npt.NDArray[np.uint8] | None:
    if buffer.Offset() > 1:
        raise ModelError("buffers outside the flatbuffer (models above 2 GB) are not read")
    data = buffer.DataAsNumpy()
    return None if isinstance(data, int) or len(data) == 0 else data


def _kind(code: Any) -> str:
    # Files from before 2020 fill the deprecated 8-bit field only; later ones fill both, and where they differ
    # runtimes take the larger one (GetBuiltinCode in schema_utils.cc). BuiltinCode() hides small numbers.
    place = code._tab.Offset(10)
    start = code._tab.Pos + place
    new = int.from_bytes(code._tab.Bytes[start : start + 4], "little", signed=True) if place else 0
    number = max(new, code.DeprecatedBuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM:{_text(code.CustomCode())}"
    return str(tflite.BUILTIN_OPCODE2NAME.get(number, f"OPERATOR_{number}"))


def _tensor(index: int, tensor: Any, buffers: list[npt.NDArray[np.uint8] | None]) -> TensorSummary:
    if not 0 <= tensor.Buffer() < len(buffers):
        raise ModelError(f"tensor {index} names buffer {tensor.Buffer()}, but there are {len(buffers)}")
    quantization = tensor.Quantization()
    scales = np.zeros(0, np.float32)
    zero_points = np.zeros(0, np.int64)
    axis = 0
    if quantization is not None:
        scales = _array(quantization.ScaleAsNumpy(), np.float32, 1 << 20, "scales")
        zero_points = _array(quantization.ZeroPointAsNumpy(), np.int64, 1 << 20, "zero points")
        axis = quantization.QuantizedDimension()
    return TensorSummary(
        index,
        _text(tensor.Name()),
        tuple(int(d) for d in _array(tensor.ShapeAsNumpy(), np.int64, MAX_RANK, "dimensions")),
        _TYPE_NAMES.get(tensor.Type(), f"type {tensor.Type()}"),
        scales,
        zero_points,
        axis,
        buffers[tensor.Buffer()],
        bool(tensor.IsVariable()),
        tensor.Sparsity() is not None,
    )


def _operator(index: int, operator: Any, kinds: list[str], tensors: int) -> OperatorSummary:
    if operator.OpcodeIndex() >= len(kinds):
        raise ModelError(f"operator {index} has code {operator.OpcodeIndex()}, but there are {len(kinds)}")
    kind = kinds[operator.OpcodeIndex()]
    return OperatorSummary(
        index,
        kind,
        _indices(operator.InputsAsNumpy(), tensors, f"operator {index} ({kind}): inputs", -1),
        _indices(operator.OutputsAsNumpy(), tensors, f"operator {index} ({kind}): outputs"),
        _options(index, kind, operator),
    )


def _options(index: int, kind: str, operator: Any) -> Mapping[str, Any] | None:
    if kind not in OPTIONS:
        return {}
    name, fields = OPTIONS[kind]
    number = operator.BuiltinOptionsType()
    table = operator.BuiltinOptions()
    if number == tflite.BuiltinOptions.NONE or table is None:
        return None
    if number != getattr(tflite.BuiltinOptions, name):
        raise ModelError(f"operator {index} ({kind}) carries options of another operator (type {number})")
    options = getattr(tflite, name)()
    options.Init(table.Bytes, table.Pos)
    return {field: getattr(options, field)() for field in fields}


def _type_names() -> Iterator[tuple[int, str]]:
    for name, number in vars(tflite.TensorType).items():
        if isinstance(number, int):
            yield number, name.lower()


_TYPE_NAMES = dict(_type_names())

_CONVOLUTION = (
    "Padding",
    "StrideH",
    "StrideW",
    "DilationHFactor",
    "DilationWFactor",
    "FusedActivationFunction",
)
_POOL = ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction")
_RESIZE = ("AlignCorners", "HalfPixelCenters")
_SLICE_MASKS = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset")

# operator kind -> (option table, its fields that decide a result), by their names in schema.fbs
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CONV_2D": ("Conv2DOptions", _CONVOLUTION),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_CONVOLUTION, "DepthMultiplier")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat", "KeepNumDims")),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "SUB": ("SubOptions", ("FusedActivationFunction",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", ("KeepDims",)),
    "SUM": ("ReducerOptions", ("KeepDims",)),
    "REDUCE_MAX": ("ReducerOptions", ("KeepDims",)),
    "REDUCE_MIN": ("ReducerOptions", ("KeepDims",)),
    "ARG_MAX": ("ArgMaxOptions", ("OutputType",)),
    "ARG_MIN": ("ArgMinOptions", ("OutputType",)),
    "L2_NORMALIZATION": ("L2NormOptions", ("FusedActivationFunction",)),
    "MIRROR_PAD": ("MirrorPadOptions", ("Mode",)),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "SOFTMAX": ("SoftmaxOptions", ("Beta",)),
    "STRIDED_SLICE": ("StridedSliceOptions", _SLICE_MASKS),
    "PACK": ("PackOptions", ("Axis", "ValuesCount")),
    "SQUEEZE": ("SqueezeOptions", ()),
    "TRANSPOSE_CONV": (
        "TransposeConvOptions",
        ("Padding", "StrideH", "StrideW", "FusedActivationFunction"),
    ),
    "BATCH_MATMUL": ("BatchMatMulOptions", ("AdjX", "AdjY")),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "UNPACK": ("UnpackOptions", ("Axis", "Num")),
    "SPLIT": ("SplitOptions", ("NumSplits",)),
    "SPLIT_V": ("SplitVOptions", ("NumSplits",)),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("BlockSize",)),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", ("BlockSize",)),
    "GATHER": ("GatherOptions", ("Axis", "BatchDims")),
    "REVERSE_V2": ("ReverseV2Options", ()),
    "GELU": ("GeluOptions", ("Approximate",)),
    "REDUCE_PROD": ("ReducerOptions", ("KeepDims",)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        ("FusedActivationFunction", "CellClip", "ProjClip", "TimeMajor"),
    ),
    "CALL_ONCE": ("CallOnceOptions", ("InitSubgraphIndex",)),
    "VAR_HANDLE": ("VarHandleOptions", ("Container", "SharedName")),
}
