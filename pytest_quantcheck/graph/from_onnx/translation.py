"""The graph under construction, and what the rules of operators ask of it and add to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.formats.onnx import constants, kind_of
from pytest_quantcheck.graph.from_onnx.values import (
    SHIFT,
    Arithmetic,
    Constant,
    Origin,
    Target,
    Value,
    are_powers_of_two,
    check_size,
    exponent_of,
    moves_nothing,
    nhwc_order,
    quantized,
    real_values,
)
from pytest_quantcheck.graph.model import (
    Operator,
    Params,
    QuantGraph,
    Quantization,
    Requantize,
    Rescale,
    Reshape,
    Slice,
    Table,
    Tensor,
    operator_index,
    row_major,
)
from pytest_quantcheck.numerics.affine import integer_range, quantize
from pytest_quantcheck.numerics.arrays import Array

FUSED = ("Relu", "Clip")  # before a QuantizeLinear they are a clamp of its integers


@dataclass
class Translation:
    """The graph under construction."""

    source: Any  # the GraphProto
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
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
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._moved: dict[tuple[int, bool], Value] = {}
        self._inserted = len(graph.node)

    def fail(self, node: Any, reason: str) -> NoReturn:
        """An ``UnsupportedOperatorError`` that names the operator."""
        position = self.position.get(node.output[0], -1) if node.output else -1
        where = f"operator {position} ({kind_of(node)}{f' {node.name!r}' if node.name else ''})"
        raise UnsupportedOperatorError(f"{where}: {reason}")

    def constant(self, node: Any, position: int) -> Array:
        """An input that must be a constant of the model as it is."""
        name = node.input[position]
        if name not in self.constants:
            self.fail(node, f"its input '{name}' must be a constant")
        return self.constants[name]

    def constant_input(self, node: Any, position: int) -> Array | None:
        """A constant among the inputs, None when it is absent."""
        if len(node.input) <= position or not node.input[position]:
            return None
        return self.constant(node, position)

    def parameters(self, node: Any) -> tuple[np.float32, int, str]:
        """Scale, zero point and type of a QuantizeLinear or DequantizeLinear of a whole activation."""
        scale = self.constant(node, 1).reshape(-1)
        unsigned = node.op_type == "QuantizeLinear" or node.input[0] in self.unsigned
        zero = np.zeros(1, np.uint8 if unsigned else np.int8)
        if len(node.input) > 2 and node.input[2]:
            zero = self.constant(node, 2).reshape(-1)
        if len(scale) != 1 or len(zero) != 1:
            self.fail(node, f"an activation has {len(scale)} scales; one is allowed")
        self._check_dtype(node, zero)
        if scale.dtype.name != "float32" or not np.isfinite(scale[0]) or scale[0] <= 0:
            self.fail(node, f"its scale is {scale[0]} ({scale.dtype.name}); a positive float32 is allowed")
        self.check_scales(node, scale)
        return np.float32(scale[0]), int(zero[0]), zero.dtype.name

    def _check_dtype(self, node: Any, zero: Array) -> None:
        if self.arithmetic.powers_of_two:
            if zero.dtype.name != self.arithmetic.dtype or zero.any():
                told = f"the model says that its activations are {self.arithmetic.dtype} without a zero point"
                self.fail(node, f"{zero.dtype.name} with the zero point {int(zero[0])}; {told}")
        elif zero.dtype.name not in ("int8", "uint8"):
            self.fail(
                node, f"{zero.dtype.name} activations; int8 and uint8 run as integers, in onnxruntime too"
            )

    def check_scales(self, node: Any, scales: Array) -> None:
        """Fail where scales must be powers of two and are not."""
        if self.arithmetic.powers_of_two and not are_powers_of_two(scales):
            self.fail(node, f"its scale {scales.reshape(-1)[0]} is no power of two, as the model says")

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
        dtype = self.arithmetic.dtype
        return Target(name, scale, zero_point, *integer_range(dtype), dtype)

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
        return self.clamped(target, low, high)

    def clamped(self, target: Target, low: float, high: float) -> Target:
        """The target with a clamp of real values, which may be infinite."""
        bounds = np.asarray([low, high], np.float32)
        finite = np.where(np.isfinite(bounds), bounds, 0)
        rounding = self.arithmetic.rounding
        steps = quantize(finite, target.scale, target.zero_point, target.dtype, rounding=rounding)
        return replace(
            target,
            act_min=max(int(steps[0]), target.act_min) if np.isfinite(low) else target.act_min,
            act_max=min(int(steps[1]), target.act_max) if np.isfinite(high) else target.act_max,
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
        dtype: str,
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
        out = self.add(target.name, shape, target.dtype, target.scale, target.zero_point)
        value = Value(out, target.name, tuple(shape), target.scale, target.zero_point, channels_last)
        position = operator_index(self.position[node.output[0]], output)
        self.operators.append(Operator(position, kind, tuple(inputs), (out,), params))
        self._add_origin(position, kind, value)
        self.values[target.name] = value

    def between(self, kind: str, inputs: Sequence[int], made: Value, params: Params) -> Value:
        """An operator whose result is no tensor of the model yet; returns ``made`` with its tensor."""
        out = self.add(made.name, made.shape, self.arithmetic.dtype, made.scale, made.zero_point)
        self.operators.append(Operator(self._inserted, kind, tuple(inputs), (out,), params))
        self._inserted += 1
        return replace(made, index=out)

    def insert(
        self, kind: str, value: Value, shape: Sequence[int], params: Params, *, dtype: str = ""
    ) -> Value:
        """An operator that stands nowhere in the model; the value stays the same tensor of the model."""
        zero_point = value.zero_point + (SHIFT if dtype == "uint8" else 0)
        out = self.add(value.name, shape, dtype or self.arithmetic.dtype, value.scale, zero_point)
        self.operators.append(Operator(self._inserted, kind, (value.index,), (out,), params))
        self._inserted += 1
        return replace(value, index=out, shape=tuple(shape))

    def _add_origin(self, position: int, kind: str, value: Value) -> None:
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
        change = self.change(value, target)
        self.emit(node, "QUANTIZE", (value.index,), value.shape, target, change, value.channels_last, output)

    def change(self, value: Value, target: Target) -> Params:
        """What takes a value to the scale and clamp of ``target``: of 8 bits all results, of 16 a shift."""
        if target.dtype == "int8":
            return Table(quantized(real_values(value), target, self.arithmetic.rounding))
        rule = self.shift(value.scale, target.scale)
        return Rescale(0, 0, rule, target.act_min, target.act_max)

    def shift(self, scale: npt.ArrayLike, output_scale: npt.ArrayLike, divisor: int = 1) -> Requantize:
        """From a scale that is a power of two to another one, and a division."""
        shift = np.atleast_1d(exponent_of(scale) - exponent_of(output_scale))
        return Requantize(np.full_like(shift, divisor), shift, self.arithmetic.rounding)

    def rescaled(self, value: Value, target: Target) -> Value:
        """A value with the scale of ``target``, as an operator that stands nowhere in the model."""
        if (value.scale, value.zero_point) == (target.scale, target.zero_point):
            return value
        wanted = replace(value, scale=target.scale, zero_point=target.zero_point)
        low, high = integer_range(target.dtype)
        whole = replace(target, act_min=low, act_max=high)
        return self.between("QUANTIZE", (value.index,), wanted, self.change(value, whole))

    def graph(self, data: bytes) -> QuantGraph:
        """What was translated."""
        return QuantGraph(
            tuple(self.tensors),
            tuple(self.operators),
            tuple(self.inputs),
            tuple(self.outputs),
            hashlib.sha256(data).hexdigest(),
            "ONNX",
            tuple(self.notes),
        )
