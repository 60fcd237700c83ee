"""A ``.tflite`` file under construction: tensors and operators as they are asked for, sensible or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import tflite

from pytest_quantcheck.formats.detect import TFLITE_IDENTIFIER
from pytest_quantcheck.formats.tflite import OPTIONS
from pytest_quantcheck.numerics.arrays import Array

_SCHEMA_VERSION = 3
_VERSIONS = {"BROADCAST_TO": 3}  # LiteRT has no earlier one for 16 bits


@dataclass(frozen=True)
class Value:
    """A tensor of the file being written."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0  # 0: not quantized; per channel: the first entry
    zero_point: int = 0


@dataclass
class _Tensor:
    value: Value
    name: str
    scales: Array
    zero_points: Array
    axis: int
    data: bytes | None
    variable: bool


@dataclass
class _Operator:
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass
class TfliteFile:
    """Collects tensors and operators; ``finish`` returns the file. ``initializer`` is the second subgraph, "
    "which
    gives variables their first values.
    """

    description: str = "written by pytest-quantcheck"
    initializer: TfliteFile | None = None
    _tensors: list[_Tensor] = field(default_factory=list)
    _operators: list[_Operator] = field(default_factory=list)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the operators so far, in order."""
        return tuple(op.kind for op in self._operators)

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        *,
        scale: float | Array | None = None,
        zero_point: int | Array = 0,
        axis: int = 0,
        data: npt.ArrayLike | None = None,
        name: str = "",
        variable: bool = False,
    ) -> Value:
        """Add a tensor; arrays as ``scale`` and ``zero_point`` mean one entry per slice of ``axis``."""
        scales = np.zeros(0) if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        zeros = np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape)
        value = Value(
            len(self._tensors),
            tuple(int(n) for n in shape),
            dtype,
            float(scales[0]) if len(scales) else 0.0,
            int(zeros[0]) if len(scales) else 0,
        )
        content = None
        if data is not None:
            content = np.ascontiguousarray(data, np.dtype(dtype).newbyteorder("<")).tobytes()
        label = name or f"t{value.index}"
        self._tensors.append(_Tensor(value, label, scales, zeros, axis, content, variable))
        return value

    def constant(self, data: npt.ArrayLike, dtype: str = "int32") -> Value:
        """A constant without quantization, such as a shape or axes."""
        array = np.asarray(data, dtype)
        return self.tensor(array.shape, dtype, data=array)

    def operator(
        self, kind: str, inputs: Sequence[Value | None], outputs: Sequence[Value], **options: Any
    ) -> None:
        """Add an operator; ``options`` are named as in the schema (``StrideH=2``). None: absent input."""
        self._operators.append(
            _Operator(
                kind,
                tuple(-1 if value is None else value.index for value in inputs),
                tuple(value.index for value in outputs),
                options,
            )
        )

    def variable(
        self, name: str, initial: npt.ArrayLike, dtype: str = "int8", *, scale: float, zero_point: int = 0
    ) -> Value:
        """Add a variable, which begins with the integers ``initial``; returns its handle (VAR_HANDLE)."""
        if self.initializer is None:
            self.initializer = TfliteFile()
            self.operator("CALL_ONCE", [], [], InitSubgraphIndex=1)
        first = self.initializer
        value = np.asarray(initial, dtype)
        constant = first.tensor(value.shape, dtype, scale=scale, zero_point=zero_point, data=value)
        first.operator("ASSIGN_VARIABLE", [first.handle(name), constant], [])
        return self.handle(name)

    def handle(self, name: str) -> Value:
        """A handle of the variable ``name``."""
        handle = self.tensor((), "resource")
        self.operator("VAR_HANDLE", [], [handle], Container="", SharedName=name)
        return handle

    def read_variable(
        self, variable: Value, shape: Sequence[int], dtype: str = "int8", *, scale: float, zero_point: int = 0
    ) -> Value:
        """READ_VARIABLE by its handle."""
        out = self.tensor(shape, dtype, scale=scale, zero_point=zero_point)
        self.operator("READ_VARIABLE", [variable], [out])
        return out

    def assign_variable(self, variable: Value, x: Value) -> None:
        """ASSIGN_VARIABLE by its handle."""
        self.operator("ASSIGN_VARIABLE", [variable, x], [])

    def finish(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> bytes:
        """The ``.tflite`` file with a signature-free interface."""
        builder = flatbuffers.Builder(4096)
        parts = [(self, inputs, outputs)]
        parts += [(self.initializer, (), ())] if self.initializer is not None else []
        kinds = list(dict.fromkeys(op.kind for part, _, _ in parts for op in part._operators))
        contents = [b""]  # buffer 0 is empty by convention: the buffer of every activation
        contents += [t.data for part, _, _ in parts for t in part._tensors if t.data is not None]
        buffers = [_buffer(builder, content) for content in contents]
        places, graphs = iter(range(1, len(contents))), []
        for part, begins, ends in parts:
            tensors = [_tensor(builder, t, 0 if t.data is None else next(places)) for t in part._tensors]
            operators = [_operator(builder, op, kinds.index(op.kind)) for op in part._operators]
            graphs.append(_subgraph(builder, tensors, operators, begins, ends))
        codes = [_operator_code(builder, kind) for kind in kinds]
        description = builder.CreateString(self.description)
        vectors = [_offsets(builder, v) for v in (codes, graphs, buffers)]
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, _SCHEMA_VERSION)
        tflite.ModelAddOperatorCodes(builder, vectors[0])
        tflite.ModelAddSubgraphs(builder, vectors[1])
        tflite.ModelAddBuffers(builder, vectors[2])
        tflite.ModelAddDescription(builder, description)
        builder.Finish(tflite.ModelEnd(builder), file_identifier=TFLITE_IDENTIFIER)
        return bytes(builder.Output())

    def source(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> str:
        """Lines of Python that write the same file, ``artefact``, once more."""
        lines = []
        if self.initializer is not None:
            lines += [*self.initializer._lines(), "initializer = writer"]
        lines += self._lines()
        if self.initializer is not None:
            lines.append("writer.initializer = initializer")
        ends = (_names(value.index for value in values) for values in (inputs, outputs))
        return "\n".join([*lines, f"artefact = writer.finish({', '.join(ends)})"])

    def _lines(self) -> list[str]:
        lines = ["writer = TfliteWriter()"]
        lines += [f"t{tensor.value.index} = {_tensor_source(tensor)}" for tensor in self._tensors]
        for op in self._operators:
            options = "".join(f", {name}={value!r}" for name, value in op.options.items())
            lines.append(f"writer.operator({op.kind!r}, {_names(op.inputs)}, {_names(op.outputs)}{options})")
        return lines


def _names(indices: Iterable[int]) -> str:
    return f"[{', '.join('None' if index < 0 else f't{index}' for index in indices)}]"


def _tensor_source(tensor: _Tensor) -> str:
    value, arguments = tensor.value, {}
    if len(tensor.scales):
        scales, zeros = tensor.scales.tolist(), tensor.zero_points.tolist()
        arguments["scale"] = scales if len(scales) > 1 else scales[0]
        arguments["zero_point"] = zeros if len(set(zeros)) > 1 else zeros[0]
    if tensor.axis:
        arguments["axis"] = tensor.axis
    if tensor.data is not None:
        arguments["data"] = np.frombuffer(tensor.data, np.dtype(value.dtype).newbyteorder("<")).tolist()
    if tensor.name != f"t{value.index}":
        arguments["name"] = tensor.name
    if tensor.variable:
        arguments["variable"] = True
    told = "".join(f", {name}={argument!r}" for name, argument in arguments.items())
    return f"writer.tensor({value.shape!r}, {value.dtype!r}{told})"


def _offsets(builder: Any, items: Sequence[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())


def _buffer(builder: Any, content: bytes) -> int:
    data = 0
    if content:
        # TFLM reads weights in place and wants them aligned.
        builder.StartVector(1, len(content), 16)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
    tflite.BufferStart(builder)
    if content:
        tflite.BufferAddData(builder, data)
    return int(tflite.BufferEnd(builder))


def _vector(builder: Any, values: npt.ArrayLike, dtype: npt.DTypeLike) -> int:
    return int(builder.CreateNumpyVector(np.atleast_1d(np.asarray(values, dtype))))


def _tensor(builder: Any, tensor: _Tensor, buffer: int) -> int:
    name = builder.CreateString(tensor.name)
    shape = _vector(builder, tensor.value.shape, np.int32)
    quantization = 0
    if len(tensor.scales):
        scales = _vector(builder, tensor.scales, np.float32)
        zero_points = _vector(builder, tensor.zero_points, np.int64)
        tflite.QuantizationParametersStart(builder)
        tflite.QuantizationParametersAddScale(builder, scales)
        tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
        tflite.QuantizationParametersAddQuantizedDimension(builder, tensor.axis)
        quantization = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, getattr(tflite.TensorType, tensor.value.dtype.upper()))
    tflite.TensorAddBuffer(builder, buffer)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddIsVariable(builder, tensor.variable)
    if quantization:
        tflite.TensorAddQuantization(builder, quantization)
    tflite.TensorAddHasRank(builder, True)
    return int(tflite.TensorEnd(builder))


def _operator_code(builder: Any, kind: str) -> int:
    code = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(code, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, code)
    tflite.OperatorCodeAddVersion(builder, _VERSIONS.get(kind, 1))
    return int(tflite.OperatorCodeEnd(builder))


def _operator(builder: Any, op: _Operator, code: int) -> int:
    inputs = _vector(builder, op.inputs, np.int32)
    outputs = _vector(builder, op.outputs, np.int32)
    table, options = "", 0
    if op.kind in OPTIONS:
        table, _ = OPTIONS[op.kind]
        vectors = {name: _option(builder, value) for name, value in op.options.items()}
        getattr(tflite, f"{table}Start")(builder)
        for name, value in vectors.items():
            getattr(tflite, f"{table}Add{name}")(builder, value)
        options = getattr(tflite, f"{table}End")(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def _option(builder: Any, value: Any) -> Any:
    if isinstance(value, str):
        return builder.CreateString(value)
    return _vector(builder, value, np.int32) if isinstance(value, list) else value


def _subgraph(
    builder: Any,
    tensors: Sequence[int],
    operators: Sequence[int],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
) -> int:
    tensor_vector = _offsets(builder, tensors)
    operator_vector = _offsets(builder, operators)
    input_vector = _vector(builder, [value.index for value in inputs], np.int32)
    output_vector = _vector(builder, [value.index for value in outputs], np.int32)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensor_vector)
    tflite.SubGraphAddInputs(builder, input_vector)
    tflite.SubGraphAddOutputs(builder, output_vector)
    tflite.SubGraphAddOperators(builder, operator_vector)
    return int(tflite.SubGraphEnd(builder))
