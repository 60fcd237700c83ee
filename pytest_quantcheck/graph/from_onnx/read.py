"""Read an ONNX QDQ model into the integer graph: values, layouts, edges. Operators: ``onnx_rules.py``.

Every operator stands between DequantizeLinear and QuantizeLinear; together they are one integer operator.
The graph computes in NHWC and int8: tensors with spatial axes are transposed where an operator needs it,
uint8 ones are shifted by 128. Inputs and outputs keep the model's own layout and type. The arithmetic is
onnxruntime's (``numerics.float_scale``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.onnx import (
    attributes,
    constants,
    damage_told,
    graph_inputs,
    in_order,
    kind_of,
    opset,
    parse,
    value_type,
)
from pytest_quantcheck.graph.from_onnx.attributes import unread
from pytest_quantcheck.graph.model import (
    FloatEdge,
    Operator,
    Params,
    QuantGraph,
    Quantization,
    Rescale,
    Reshape,
    Slice,
    Table,
    Tensor,
    operator_index,
    row_major,
)
from pytest_quantcheck.numerics.affine import quantize

MAX_TENSOR_BYTES = 1 << 26
MIN_OPSET = 13  # the first whose DequantizeLinear has an axis, and whose Softmax has one axis
FUSED = ("Relu", "Clip")  # before a QuantizeLinear they are a clamp of its integers
SHIFT = 128  # from uint8 to int8

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """An integer activation: a tensor of the graph, int8, with its scale and zero point.

    ``channels_last`` tells that the model's NCHW tensor lies as NHWC (NCW as NWC). ``name`` is the model's.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    channels_last: bool = False


@dataclass(frozen=True)
class Origin:
    """Where an operator's output stands in the model: the tensor's ``name``, and how it lies in the graph."""

    operator: int
    kind: str
    name: str
    shape: tuple[int, ...]
    channels_last: bool
    shifted: bool  # uint8 in the model, int8 in the graph

    def in_graph(self, value: Array) -> Array:
        """The model's own value as it must stand in the graph."""
        moved = value.transpose(nhwc_order(value.ndim)) if self.channels_last else value
        shaped = np.ascontiguousarray(moved).reshape(self.shape)
        return (shaped ^ 0x80).view(np.int8) if self.shifted else shaped


@dataclass(frozen=True, eq=False)
class Constant:
    """An integer constant with its scales (one, or one per slice along ``axis``)."""

    data: Array
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int


@dataclass(frozen=True, eq=False)
class Target:
    """What an operator must produce: the model's integer tensor, with the clamp fused into it."""

    name: str
    scale: np.float32
    zero_point: int
    act_min: int = -128
    act_max: int = 127

    @property
    def whole(self) -> bool:
        return (self.act_min, self.act_max) == (-128, 127)


def read_onnx(data: bytes) -> QuantGraph:
    """The integer graph of a QDQ model with int8 or uint8 activations; int8, uint8 or float32 at its edges.

    Operators keep their index among the model's nodes; those put in between (TRANSPOSE, RESHAPE and
    QUANTIZE for layout and type, TABLE for a change of scale) count on behind them. Raises ``ModelError``
    or ``UnsupportedOperatorError``.
    """
    return _translate(data).graph(data)


def origins(data: bytes) -> tuple[Origin, ...]:
    """Where the outputs of the graph's operators stand in the model, for all that stand there."""
    return tuple(_translate(data).origins)


def _translate(data: bytes) -> Translation:
    model = parse(data)
    if opset(model) < MIN_OPSET:
        raise UnsupportedOperatorError(
            f"the model has operator set {opset(model)}, in which Softmax and Pad mean something else; "
            f"sets from {MIN_OPSET} on are read. Convert it with onnx.version_converter.convert_version("
            f"model, {MIN_OPSET}), or quantize the float model with quantcheck quantize"
        )
    with damage_told():
        translation = Translation(model.graph)
        translation.run()
    return translation


@dataclass
class Translation:
    """The graph under construction."""

    source: Any  # the GraphProto
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.source
        self.constants = constants(graph)
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.position = {node.output[0]: i for i, node in enumerate(graph.node) if node.output}
        self.values: dict[str, Value] = {}  # by the name of the integer tensor
        self.floats: dict[str, int] = {}  # float inputs of the model, by name
        self.real: dict[str, Value | Constant] = {}  # by the name of a DequantizeLinear's output
        self.unsigned: set[str] = set()
        self.done: set[str] = set()  # outputs of nodes that another one has taken in
        self._moved: dict[tuple[int, bool], Value] = {}
        self._inserted = len(graph.node)
        self._inputs: list[int] = []
        self._outputs: list[int] = []

    # --- the walk over the model -------------------------------------------------------------

    def run(self) -> None:
        """Translate inputs, nodes and outputs, in this order."""
        nodes = in_order(self.source)
        for info in graph_inputs(self.source):
            self._input(info)
        for node in nodes:
            self._check_attributes(node)
            self._node(node)
        for info in self.source.output:
            self._output(info)
        if not self.operators:
            raise ModelError("the model has no operators")

    def graph(self, data: bytes) -> QuantGraph:
        """What was translated."""
        return QuantGraph(
            tuple(self.tensors),
            tuple(self.operators),
            tuple(self._inputs),
            tuple(self._outputs),
            hashlib.sha256(data).hexdigest(),
            "ONNX",
            tuple(self.notes),
        )

    def _input(self, info: Any) -> None:
        shape, dtype = value_type(info)
        sizes = tuple(n for n in shape if isinstance(n, int) and n > 0)
        if len(sizes) != len(shape):
            raise UnsupportedOperatorError(f"input '{info.name}' has the shape {shape}; sizes must be known")
        if dtype == "float32":
            self.floats[info.name] = self.add(info.name, sizes, "float32")
            self._inputs.append(self.floats[info.name])
            return
        if dtype not in ("int8", "uint8"):
            raise UnsupportedOperatorError(f"input '{info.name}' is {dtype}; supported: int8, uint8, float32")
        if dtype == "uint8":
            self.unsigned.add(info.name)
        scale, zero_point, kind = self._reader_parameters(info.name)
        index = self.add(info.name, sizes, dtype, scale, zero_point)
        self._inputs.append(index)
        value = Value(index, info.name, sizes, scale, zero_point - (SHIFT if kind == "uint8" else 0))
        if kind == "uint8":
            value = self.insert(
                "QUANTIZE", value, sizes, Rescale(zero_point, value.zero_point, None, -128, 127)
            )
        self.values[info.name] = value

    def _reader_parameters(self, name: str) -> tuple[np.float32, int, str]:
        for node in self.readers.get(name, ()):
            if node.op_type == "DequantizeLinear":
                return self.parameters(node)
        raise UnsupportedOperatorError(
            f"the integer input '{name}' has no DequantizeLinear behind it: its scale is not known"
        )

    def _check_attributes(self, node: Any) -> None:
        from pytest_quantcheck.graph.from_onnx.rules import SUPPORTED

        if kind_of(node) in SUPPORTED and (told := unread(kind_of(node), attributes(node))):
            self.fail(node, told)

    def _node(self, node: Any) -> None:
        kind = kind_of(node)
        if kind == "Constant" or (node.output and node.output[0] in self.done):
            return
        if kind == "QuantizeLinear":
            self._quantize(node)
        elif kind == "DequantizeLinear":
            self._dequantize(node)
        else:
            from pytest_quantcheck.graph.from_onnx.rules import lower

            lower(self, node)

    def _quantize(self, node: Any) -> None:
        """Of a constant, at the model's own float input, or behind a DequantizeLinear: a change of scale."""
        name = node.input[0]
        if name in self.constants:
            self._quantize_constant(node)
            return
        target = self.target_of(node)
        if name in self.floats:
            index = self.floats[name]
            shape = self.tensors[index].shape
            edge = FloatEdge(float(target.scale), target.zero_point, "half_even")
            self.emit(node, "QUANTIZE", (index,), shape, target, edge)
            return
        value = self.real.get(name)
        if not isinstance(value, Value):
            self.fail(node, f"'{name}' is float and no input of the model; quantize the whole model")
        self.rescale(node, value, target)

    def _quantize_constant(self, node: Any) -> None:
        """Weights that the file holds as floats, with the QuantizeLinear that rounds them."""
        data, scales = self._constant(node, 0), self._constant(node, 1).reshape(-1)
        zeros = self._constant(node, 2).reshape(-1) if len(node.input) > 2 else np.zeros(1, np.uint8)
        axis = int(attributes(node).get("axis", 1)) if len(scales) > 1 else None
        self.constants[node.output[0]] = quantize(
            data, scales, zeros, zeros.dtype, axis, rounding="half_even"
        )

    def _dequantize(self, node: Any) -> None:
        name = node.input[0]
        if name in self.constants:
            axis = int(attributes(node).get("axis", 1))
            data, zeros = self.constants[name], np.zeros(1, np.int64)
            if len(node.input) > 2:
                zeros = self._constant(node, 2).reshape(-1).astype(np.int64)
            scales = self._constant(node, 1).reshape(-1).astype(np.float32)
            if data.dtype == np.uint8:
                data, zeros = (data ^ 0x80).view(np.int8), zeros - SHIFT
            self.real[node.output[0]] = Constant(data, scales, np.broadcast_to(zeros, scales.shape), axis)
        elif name in self.values:
            scale, zero_point, kind = self.parameters(node)
            value = self.values[name]
            zero_point -= SHIFT if kind == "uint8" else 0
            self.real[node.output[0]] = replace(value, scale=scale, zero_point=zero_point)
        else:
            self.fail(node, f"its input '{name}' is not known before it")

    def _output(self, info: Any) -> None:
        name = info.name
        if name in self.values:  # an integer output
            value = self.model_layout(self.values[name])
            if name in self.unsigned:
                zero = value.zero_point
                value = self.insert(
                    "QUANTIZE", value, value.shape, Rescale(zero, zero + SHIFT, None, 0, 255), dtype="uint8"
                )
        elif isinstance(found := self.real.get(name), Value):
            value = self.model_layout(found)
            index = self.position[name]
            edge = FloatEdge(float(value.scale), value.zero_point)
            out = self.add(name, value.shape, "float32")
            self.operators.append(Operator(index, "DEQUANTIZE", (value.index,), (out,), edge))
            self.origins.append(Origin(index, "DEQUANTIZE", name, value.shape, False, False))
            value = replace(value, index=out)
        else:
            raise UnsupportedOperatorError(f"output '{name}' is computed in float; quantize the whole model")
        self._check_declared(info, self.tensors[value.index])
        if value.index in (*self._inputs, *self._outputs):
            raise UnsupportedOperatorError(f"output '{name}' is an input or another output as it is")
        self._outputs.append(value.index)

    def _check_declared(self, info: Any, tensor: Tensor) -> None:
        """What the file says of an output must be what comes out; open sizes say nothing."""
        shape, dtype = value_type(info)
        sizes = shape if info.type.tensor_type.HasField("shape") else tensor.shape
        fits = len(sizes) == len(tensor.shape) and all(
            n == m or not isinstance(n, int) for n, m in zip(sizes, tensor.shape, strict=True)
        )
        if not fits or dtype != tensor.dtype.name:
            raise ModelError(
                f"output '{info.name}' is {dtype} {sizes} by the file, but its operators give "
                f"{tensor.dtype.name} {tensor.shape}; export the model again"
            )

    # --- what the rules use --------------------------------------------------------------------

    def fail(self, node: Any, reason: str) -> NoReturn:
        """An ``UnsupportedOperatorError`` that names the operator."""
        position = self.position.get(node.output[0], -1) if node.output else -1
        where = f"operator {position} ({kind_of(node)}{f' {node.name!r}' if node.name else ''})"
        raise UnsupportedOperatorError(f"{where}: {reason}")

    def _constant(self, node: Any, position: int) -> Array:
        name = node.input[position]
        if name not in self.constants:
            self.fail(node, f"its input '{name}' must be a constant")
        return self.constants[name]

    def constant_input(self, node: Any, position: int) -> Array | None:
        """A constant among the inputs, None when it is absent."""
        if len(node.input) <= position or not node.input[position]:
            return None
        return self._constant(node, position)

    def parameters(self, node: Any) -> tuple[np.float32, int, str]:
        """Scale, zero point and type of a QuantizeLinear or DequantizeLinear of a whole activation."""
        scale = self._constant(node, 1).reshape(-1)
        unsigned = node.op_type == "QuantizeLinear" or node.input[0] in self.unsigned
        zero = np.zeros(1, np.uint8 if unsigned else np.int8)
        if len(node.input) > 2 and node.input[2]:
            zero = self._constant(node, 2).reshape(-1)
        if len(scale) != 1 or len(zero) != 1:
            self.fail(node, f"an activation has {len(scale)} scales; one is allowed")
        if zero.dtype.name not in ("int8", "uint8"):
            self.fail(
                node, f"{zero.dtype.name} activations; int8 and uint8 run as integers, in onnxruntime too"
            )
        if scale.dtype.name != "float32" or not np.isfinite(scale[0]) or scale[0] <= 0:
            self.fail(node, f"its scale is {scale[0]} ({scale.dtype.name}); a positive float32 is allowed")
        return np.float32(scale[0]), int(zero[0]), zero.dtype.name

    def activation(self, node: Any, position: int) -> Value:
        """An input that must be an integer activation."""
        value = self.real.get(node.input[position]) if position < len(node.input) else None
        if not isinstance(value, Value):
            what = "a constant" if isinstance(value, Constant) else "not quantized"
            self.fail(node, f"its input {position} ('{node.input[position]}') is {what}")
        return value

    def weights(self, node: Any, position: int) -> Constant:
        """An input that must be an integer constant."""
        value = self.real.get(node.input[position]) if position < len(node.input) else None
        if not isinstance(value, Constant):
            self.fail(node, f"its input {position} must be a quantized constant")
        return value

    def target_of(self, quantizing: Any) -> Target:
        """The integer tensor that a QuantizeLinear makes."""
        scale, zero_point, kind = self.parameters(quantizing)
        name = quantizing.output[0]
        if kind == "uint8":
            self.unsigned.add(name)
            zero_point -= SHIFT
        return Target(name, scale, zero_point)

    def target(self, node: Any, output: int = 0) -> Target:
        """What follows an operator's output: its QuantizeLinear, and a clamp that stands in between."""
        low, high, clamps, name = -np.inf, np.inf, [], node.output[output]
        while True:
            readers = self.readers.get(name, [])
            if len(readers) != 1:
                self.fail(node, f"its output goes to {len(readers)} operators unquantized; one is allowed")
            (at,) = readers
            name = at.output[0]
            if kind_of(at) == "QuantizeLinear":
                break
            if kind_of(at) not in FUSED:
                self.fail(node, f"its output goes to {kind_of(at)} unquantized")
            low, high = self._narrowed(at, low, high)
            clamps.append(name)
        self.done.update((*clamps, name))
        target = self.target_of(at)
        bounds = np.asarray([low, high], np.float32)
        finite = np.where(np.isfinite(bounds), bounds, 0)
        steps = quantize(finite, target.scale, target.zero_point, np.int8, rounding="half_even")
        return replace(
            target,
            act_min=int(steps[0]) if np.isfinite(low) else -128,
            act_max=int(steps[1]) if np.isfinite(high) else 127,
        )

    def _narrowed(self, node: Any, low: float, high: float) -> tuple[float, float]:
        if kind_of(node) == "Relu":
            return max(low, 0.0), max(high, 0.0)
        least, most = self.clip_bounds(node)
        return min(max(low, least), most), min(max(high, least), most)

    def clip_bounds(self, node: Any) -> tuple[float, float]:
        """The bounds of a Clip, which must be constants."""
        least, most = (self.constant_input(node, i) for i in (1, 2))
        low = float(least.reshape(-1)[0]) if least is not None else -np.inf
        high = float(most.reshape(-1)[0]) if most is not None else np.inf
        return low, high

    def add(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: Any = None,
        zero_point: Any = 0,
        data: Array | None = None,
        axis: int = 0,
    ) -> int:
        """A tensor of the graph; returns its index."""
        check_size(name, shape)
        quantization = None
        if scale is not None:
            scales, zeros = (
                np.atleast_1d(np.asarray(scale, np.float32)),
                np.atleast_1d(np.asarray(zero_point)),
            )
            quantization = Quantization(scales, np.broadcast_to(zeros, scales.shape).astype(np.int64), axis)
        index = len(self.tensors)
        self.tensors.append(
            Tensor(index, name, tuple(int(n) for n in shape), np.dtype(dtype), quantization, data)
        )
        return index

    def emit(
        self,
        node: Any,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        target: Target,
        params: Params,
        channels_last: bool = False,
        output: int = 0,
    ) -> None:
        """The operator of a node; its output is the model's integer tensor ``target``."""
        out = self.add(target.name, shape, "int8", target.scale, target.zero_point)
        value = Value(out, target.name, tuple(shape), target.scale, target.zero_point, channels_last)
        position = operator_index(self.position[node.output[0]], output)
        self.operators.append(Operator(position, kind, tuple(inputs), (out,), params))
        self._origin(position, kind, value)
        self.values[target.name] = value

    def between(self, kind: str, inputs: Sequence[int], made: Value, params: Params) -> Value:
        """An operator whose result is no tensor of the model yet; returns ``made`` with its tensor."""
        out = self.add(made.name, made.shape, "int8", made.scale, made.zero_point)
        self.operators.append(Operator(self._inserted, kind, tuple(inputs), (out,), params))
        self._inserted += 1
        return replace(made, index=out)

    def insert(
        self, kind: str, value: Value, shape: Sequence[int], params: Params, *, dtype: str = "int8"
    ) -> Value:
        """An operator that stands nowhere in the model; the value stays the same tensor of the model."""
        zero_point = value.zero_point + (SHIFT if dtype == "uint8" else 0)
        out = self.add(value.name, shape, dtype, value.scale, zero_point)
        self.operators.append(Operator(self._inserted, kind, (value.index,), (out,), params))
        self._inserted += 1
        return replace(value, index=out, shape=tuple(shape))

    def _origin(self, position: int, kind: str, value: Value) -> None:
        shifted = value.name in self.unsigned
        self.origins.append(Origin(position, kind, value.name, value.shape, value.channels_last, shifted))

    def nhwc(self, value: Value) -> Value:
        """The value with its channels last."""
        rank = len(value.shape)
        if value.channels_last or rank not in (3, 4):
            return value
        return self._laid(value, nhwc_order(rank), True)

    def model_layout(self, value: Value) -> Value:
        """The value as it lies in the model."""
        if not value.channels_last:
            return value
        rank = len(value.shape)
        return self._laid(value, (0, rank - 1, *range(1, rank - 1)), False)

    def _laid(self, value: Value, order: tuple[int, ...], channels_last: bool) -> Value:
        key = (value.index, channels_last)
        if key not in self._moved:
            moved = replace(self.permuted(value, order), channels_last=channels_last)
            self._moved[key] = moved
        return replace(self._moved[key], scale=value.scale, zero_point=value.zero_point)

    def permuted(self, value: Value, order: Sequence[int]) -> Value:
        """The value transposed: by renaming the shape where no element moves."""
        shape = tuple(value.shape[axis] for axis in order)
        if moves_nothing(value.shape, order):
            return self.insert("RESHAPE", value, shape, Reshape())
        steps = row_major(value.shape)
        return self.insert("TRANSPOSE", value, shape, Slice(0, tuple(steps[axis] for axis in order)))

    def rescale(self, node: Any, value: Value, target: Target, output: int = 0) -> None:
        """A change of scale or clamp: DequantizeLinear and QuantizeLinear with nothing in between."""
        table = Table(np.clip(requantized(value, target), target.act_min, target.act_max))
        self.emit(node, "QUANTIZE", (value.index,), value.shape, target, table, value.channels_last, output)

    def rescaled(self, value: Value, target: Target) -> Value:
        """A value with the scale of ``target``, as an operator that stands nowhere in the model."""
        if (value.scale, value.zero_point) == (target.scale, target.zero_point):
            return value
        wanted = replace(value, scale=target.scale, zero_point=target.zero_point)
        return self.between("QUANTIZE", (value.index,), wanted, Table(requantized(value, target)))


def check_size(name: str, shape: Sequence[int]) -> None:
    """Raises ``ModelError`` for a tensor without elements, or with more than can be meant."""
    if min(shape, default=1) < 1 or math.prod(int(n) for n in shape) > MAX_TENSOR_BYTES:
        raise ModelError(
            f"tensor '{name}' has the shape {tuple(shape)}; from 1 to {MAX_TENSOR_BYTES} elements are allowed"
        )


def nhwc_order(rank: int) -> tuple[int, ...]:
    """Where the model's axes stand when the second one has gone behind the others: NHWC of NCHW."""
    return (0, *range(2, rank), 1)


def moves_nothing(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether a transposition keeps the order of all axes longer than 1."""
    long = [axis for axis in order if shape[axis] > 1]
    return long == sorted(long)


def real_values(value: Value) -> npt.NDArray[np.float32]:
    """What DequantizeLinear makes of -128 to 127: one float32 product each."""
    steps = np.arange(-128, 128) - value.zero_point
    return (steps.astype(np.float32) * value.scale).astype(np.float32)


def requantized(value: Value, target: Target) -> npt.NDArray[np.int64]:
    """All 256 results of DequantizeLinear and QuantizeLinear in float32, halves to even."""
    return quantized(real_values(value), target)


def quantized(x: npt.NDArray[np.float32], target: Target) -> npt.NDArray[np.int64]:
    """What QuantizeLinear makes of float32 values, as int8 whatever the model's type."""
    integers = quantize(x, target.scale, target.zero_point, np.int8, rounding="half_even")
    return integers.astype(np.int64)
