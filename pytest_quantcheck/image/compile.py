"""The device image (firmware/SPEC.md): compile an integer graph into one, read one, patch one.

Compiling packs weights in the order the kernels read them, folds input zero points into biases and
plans the arena. Patching makes a known mistake on purpose, to see that it is found.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.errors import ImageError, UnsupportedOperatorError
from pytest_quantcheck.graph import execute
from pytest_quantcheck.graph.model import (
    Add,
    BatchMatMul,
    Concatenation,
    Convolution,
    Extremum,
    FloatEdge,
    FullyConnected,
    IntArray,
    Mean,
    Mul,
    Operator,
    Pad,
    Params,
    Pool,
    Prelu,
    QuantGraph,
    ReduceMax,
    Requantize,
    Rescale,
    Reshape,
    Resize,
    SigmoidInt16,
    Slice,
    Softmax,
    SoftmaxInt16,
    Table,
    Tensor,
    TransposedConvolution,
    Window,
    operator_index,
    row_major,
)
from pytest_quantcheck.image import arena
from pytest_quantcheck.numerics.fixed_point import reduced_multiplier, wrap_int32
from pytest_quantcheck.numerics.tables import exp_table, reciprocal_table, sigmoid_table

MAGIC = b"QCM1"
VERSION = 1
MAX_RANK = 5
DTYPES = ("int8", "uint8", "int16", "int32", "float32")
OPCODES = (
    "",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "MEAN",
    "PAD",
    "RESHAPE",
    "CONCATENATION",
    "SOFTMAX",
    "RESCALE",
    "QUANTIZE",
    "DEQUANTIZE",
    "MUL",
    "TABLE",
    "SOFTMAX_INT16",
    "SIGMOID_INT16",
    "SUB",
    "MINIMUM",
    "MAXIMUM",
    "PRELU",
    "SLICE",
    "RESIZE",
    "BATCH_MATMUL",
    "TRANSPOSE_CONV",
)
STATES = ("executed", "elided", "fused")
PACKINGS = ("", "block4x4", "planes", "plain")
ARENA, CONSTANT = 0, 1

_HEADER = struct.Struct("<4sHHII32sIHHHHIIIIIIIII")
_TENSOR = struct.Struct("<BBBBII5I")
_OPERATOR = struct.Struct("<BBHBBHIIIIII")
_CONV = struct.Struct("<8H5i7I")
_CHANNEL = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("shift", "<i4"), ("offset", "<i4")])
_WIDE_CHANNEL = np.dtype([("bias", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")])
_CRC_OFFSET, _CRC_START = 12, 16

_PRODUCT_LIMIT = 1 << 14  # |int8 * int8|
_PRODUCTS = 1 << 24  # in one sum
_FAST, _WIDE = 1, 2
_ADJ_X, _ADJ_Y = 1, 2
_RULE_SHIFTS = {"double": 0, "float": 128, "float_odd": 256}  # added to a shift, to tell the rule
_FAST_SHIFT = 20  # fast operators shift right by 1 to 20
_TABLE_ELEMENTS = 256  # from this many elements on, ADD and SUB use tables in scratch
_DEPTHWISE_GROUP = 4
_INT8_SUM = 1 << 22  # int8 values that a pool or MEAN takes together
_INT16_SUM = 1 << 15  # int16 values in one 32-bit sum of a pool or MEAN
_INT16_SOFTMAX = 1 << 16  # exponentials in one 32-bit sum
_INT16_PRODUCTS = 1 << 17  # products of two int16 in one sum of 47 bits
_LARGEST_BIAS = 1 << 46  # of 64 bits


@dataclass(frozen=True)
class DeviceImage:
    """An image with its identity and needs; sizes in bytes. ``sha256`` is over ``data``."""

    data: bytes
    sha256: bytes
    arena_bytes: int
    arena_lower_bound: int
    constants_bytes: int
    source_sha256: str


@dataclass(frozen=True)
class ImageTensor:
    """One tensor of an image; ``offset`` counts in the arena or in the constants."""

    dtype: str
    shape: tuple[int, ...]
    place: int
    offset: int
    bytes: int


@dataclass(frozen=True)
class ImageOperator:
    """One operator of an image. ``params`` is the raw parameter block."""

    opcode: str
    state: str
    source_index: int
    inputs: tuple[int, ...]
    output: int
    params: bytes
    params_offset: int  # in the file
    scratch_offset: int
    scratch_bytes: int


@dataclass(frozen=True)
class ImageDescription:
    """What an image says about itself; ``constants_offset`` counts in the file."""

    source_sha256: str
    arena_bytes: int
    tensors: tuple[ImageTensor, ...]
    operators: tuple[ImageOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants_offset: int
    constants_bytes: int


# --- compiling -------------------------------------------------------------------------------


def compile_image(graph: QuantGraph) -> DeviceImage:
    """Compile a graph; equal graphs give equal bytes.

    Raises ``UnsupportedOperatorError`` for what the engine cannot do and ``ImageError`` for what the
    format cannot hold.
    """
    constants = _Constants()
    lowered = [_lower(graph, op, constants) for op in graph.operators]
    plan = arena.plan(graph, [item.scratch for item in lowered])
    tensors = _Tensors(graph, plan, constants)
    lists = [tensors.index(t) for t in (*graph.inputs, *graph.outputs)]
    records, params = [], bytearray()
    for position, (op, item) in enumerate(zip(graph.operators, lowered, strict=True)):
        inputs = item.inputs
        records.append(
            _OPERATOR.pack(
                OPCODES.index(item.opcode),
                STATES.index("elided" if item.opcode == "RESHAPE" else "executed"),
                op.source,
                len(inputs),
                1,
                op.output,
                len(lists),
                len(params),
                len(item.params),
                plan.scratch[position],
                item.scratch,
                0,
            )
        )
        shapes = item.shapes or (None,) * len(inputs)
        lists.extend(tensors.index(t, shape) for t, shape in zip(inputs, shapes, strict=True))
        lists.append(tensors.index(op.outputs[0], item.output_shape))
        params += item.params
    _check_count("lists", len(lists), 1 << 16)
    data = _assemble(graph, plan.size, tensors.records, records, lists, bytes(params), constants.data)
    return DeviceImage(
        data,
        hashlib.sha256(data).digest(),
        plan.size,
        plan.lower_bound,
        len(constants.data),
        graph.source_sha256,
    )


def _assemble(
    graph: QuantGraph,
    arena_bytes: int,
    tensors: Sequence[bytes],
    operators: Sequence[bytes],
    lists: Sequence[int],
    params: bytes,
    constants: bytes,
) -> bytes:
    """Header and sections, one behind the other."""
    source = bytes.fromhex(graph.source_sha256)
    if len(source) != 32:
        raise ImageError(f"source_sha256 must be 64 hexadecimal digits, got {graph.source_sha256!r}")
    body = bytearray(_HEADER.size)
    offsets = []
    for section, alignment in (
        (b"".join(tensors), 4),
        (b"".join(operators), 4),
        (struct.pack(f"<{len(lists)}H", *lists), 4),
        (params, 4),
        (constants, 16),
    ):
        body += bytes(-len(body) % alignment)
        offsets.append(len(body))
        body += section
    body += bytes(-len(body) % 16)
    _HEADER.pack_into(
        body,
        0,
        MAGIC,
        VERSION,
        _HEADER.size,
        len(body),
        0,
        source,
        arena_bytes,
        _check_count("tensors", len(tensors), 1 << 16),
        _check_count("operators", len(operators), 1 << 16),
        len(graph.inputs),
        len(graph.outputs),
        offsets[0],
        offsets[1],
        offsets[2],
        len(lists),
        offsets[3],
        len(params),
        offsets[4],
        len(constants),
        0,
    )
    return _with_crc(body)


def _check_count(what: str, count: int, limit: int) -> int:
    if count >= limit:
        raise ImageError(f"the model has {count} {what}; an image holds fewer than {limit}")
    return count


def _with_crc(body: bytearray) -> bytes:
    struct.pack_into("<I", body, _CRC_OFFSET, zlib.crc32(body[_CRC_START:]))
    return bytes(body)


class _Constants:
    """The constants section under construction."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._known: dict[bytes, int] = {}

    def add(self, block: bytes) -> int:
        """The offset of a block of its own."""
        self._data += bytes(-len(self._data) % 16)
        offset = len(self._data)
        self._data += block
        return offset

    def share(self, block: bytes) -> int:
        """The offset of a block that operators with equal weights or operands have in common."""
        if block not in self._known:
            self._known[block] = self.add(block)
        return self._known[block]

    @property
    def data(self) -> bytes:
        return bytes(self._data)


class _Tensors:
    """Tensor records in the order of first use."""

    def __init__(self, graph: QuantGraph, plan: arena.ArenaPlan, constants: _Constants) -> None:
        self._graph, self._plan, self._constants = graph, plan, constants
        self._index: dict[tuple[int, tuple[int, ...]], int] = {}
        self.records: list[bytes] = []

    def index(self, number: int, shape: tuple[int, ...] | None = None) -> int:
        """The record of a tensor, as if it had another shape where one is given."""
        tensor = self._graph.tensors[number]
        seen = tensor if shape is None else replace(tensor, shape=shape)
        if (number, seen.shape) not in self._index:
            self._index[number, seen.shape] = len(self.records)
            self.records.append(self._record(seen))
        return self._index[number, seen.shape]

    def _record(self, tensor: Tensor) -> bytes:
        if tensor.dtype.name not in DTYPES or len(tensor.shape) > MAX_RANK:
            raise ImageError(
                f"tensor {tensor.index} ({tensor.name}) is {tensor.dtype.name} with {len(tensor.shape)} "
                f"dimensions; an image holds {', '.join(DTYPES)} with at most {MAX_RANK}"
            )
        if tensor.data is not None:
            place, offset = CONSTANT, self._constants.share(_little_endian(tensor.data))
        elif tensor.index in self._plan.tensors:
            place, offset = ARENA, self._plan.tensors[tensor.index]
        else:
            raise ImageError(f"tensor {tensor.index} ({tensor.name}) is read but never written")
        shape = (*tensor.shape, *(0,) * (MAX_RANK - len(tensor.shape)))
        dtype = DTYPES.index(tensor.dtype.name)
        return _TENSOR.pack(dtype, len(tensor.shape), place, 0, offset, tensor.nbytes, *shape)


def _little_endian(values: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


@dataclass(frozen=True)
class _Lowered:
    """What the compiler knows of one operator before the arena is planned."""

    opcode: str
    params: bytes
    inputs: tuple[int, ...]
    scratch: int = 0
    # of the inputs and the output, where the kernel sees others than their own
    shapes: tuple[tuple[int, ...], ...] = ()
    output_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class _Site:
    """One operator at the place where it is lowered."""

    graph: QuantGraph
    op: Operator
    constants: _Constants

    def fail(self, reason: str) -> NoReturn:
        raise UnsupportedOperatorError(f"operator {self.op.source} ({self.op.kind}): {reason}")

    @property
    def input(self) -> Tensor:
        return self.graph.tensors[self.op.inputs[0]]

    @property
    def output(self) -> Tensor:
        return self.graph.output_of(self.op)

    def constant(self, position: int) -> npt.NDArray[Any]:
        data = self.graph.tensors[self.op.inputs[position]].data
        if data is None:
            self.fail(f"input {position} must be a constant")
        return data

    def require_dtypes(self, *allowed: str, tensors: Sequence[Tensor] = ()) -> None:
        for tensor in tensors or (self.input, self.output):
            if tensor.dtype.name not in allowed:
                self.fail(
                    f"tensor {tensor.index} is {tensor.dtype.name}; the engine has {', '.join(allowed)}"
                )

    def one(self, requantize: Requantize) -> tuple[int, int]:
        """Multiplier and shift of a rule with one entry."""
        multiplier, shift = self.rules(requantize, 1)
        return int(multiplier[0]), int(shift[0])

    def rules(self, requantize: Requantize, channels: int) -> tuple[IntArray, IntArray]:
        """Multipliers and shifts, one per channel; a multiplier of 0 gets the shift -1."""
        if requantize.rounding not in _RULE_SHIFTS:
            allowed = ", ".join(_RULE_SHIFTS)
            self.fail(f"rounding {requantize.rounding!r} is not supported here; allowed: {allowed}")
        multiplier = np.broadcast_to(requantize.multiplier, channels)
        shift = np.where(multiplier == 0, -1, np.broadcast_to(requantize.shift, channels))
        if multiplier.min() < 0 or multiplier.max() >= 1 << 31 or shift.min() < -31 or shift.max() > 30:
            self.fail(f"multipliers {multiplier} with shifts {shift} do not fit the engine")
        return multiplier, shift + _RULE_SHIFTS[requantize.rounding]


def _activation_types(site: _Site) -> str:
    """The one type, int8 or int16, of an operator's activations."""
    tensors = [site.graph.tensors[t] for t in (*_activations(site), *site.op.outputs)]
    site.require_dtypes("int8", "int16", tensors=tensors)
    site.require_dtypes(site.output.dtype.name, tensors=tensors)
    return site.output.dtype.name


def _lower(graph: QuantGraph, op: Operator, constants: _Constants) -> _Lowered:
    site = _Site(graph, op, constants)
    rule = _RULES.get(type(op.params))
    if rule is None or len(op.outputs) != 1:
        site.fail(f"the engine has no kernel for {type(op.params).__name__} with {len(op.outputs)} outputs")
    return rule(site, op.params)


def _activations(site: _Site) -> tuple[int, ...]:
    return tuple(t for t in site.op.inputs if t >= 0)


# --- convolutions and fully connected layers -------------------------------------------------


def _pack_block4x4(rows: npt.NDArray[np.int8]) -> bytes:
    """Weights (outputs, runs, run) -> [outputs / 4][K / 4][4][4], runs and outputs zero-padded."""
    outputs, runs, run = rows.shape
    padded = np.zeros((_up4(outputs), runs, _up4(run)), np.int8)
    padded[:outputs, :, :run] = rows
    blocks = padded.reshape(_up4(outputs) // 4, 4, runs * _up4(run) // 4, 4)
    return blocks.transpose(0, 2, 1, 3).tobytes()


def _up4(value: int) -> int:
    return -(-value // 4) * 4


def _runs(window: Window, channels: int) -> tuple[int, int]:
    """How many runs a window has and how long one is; a run is contiguous in the input."""
    if window.dilation_w == 1:
        return window.kernel_h, window.kernel_w * channels
    return window.kernel_h * window.kernel_w, channels


def _column_scratch(column: int, run: int, pixels: int) -> int:
    return 2 * column * min(pixels, 2) + _up4(run)


def _dense_weights(site: _Site, channels: int) -> npt.NDArray[np.int8]:
    """OHWI weights over all input channels; grouped ones get zeros outside their group."""
    weights = site.constant(1).astype(np.int8)
    outputs, height, width, depth = weights.shape
    if depth == channels:
        return weights
    groups = channels // depth
    dense = np.zeros((outputs, height, width, channels), np.int8)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, :, :, group * depth : (group + 1) * depth] = weights[rows]
    return dense


def _wide(site: _Site, p: Convolution | FullyConnected, window: Window, depth_multiplier: int) -> _Lowered:
    """A layer on int16 activations: weights as in the source, biases of 64 bits, no scratch."""
    site.require_dtypes("int16")
    weights = site.constant(1).astype(np.int8)
    outputs = site.output.shape[-1]
    reduced = p.requantize.rounding == "reduced"
    table = np.zeros(outputs, _WIDE_CHANNEL)
    if len(site.op.inputs) > 2 and site.op.inputs[2] >= 0:
        table["bias"] = site.constant(2).reshape(-1)
    if reduced:
        table["multiplier"] = reduced_multiplier(p.requantize.multiplier)
        table["shift"] = 15 - p.requantize.shift
    else:
        table["multiplier"], table["shift"] = site.rules(p.requantize, outputs)
        table["bias"] = wrap_int32(table["bias"])
    if np.abs(table["bias"]).max() > _LARGEST_BIAS or weights.size // outputs >= _PRODUCTS:
        site.fail("its sums may leave 47 bits")
    blob = weights.tobytes()
    params = _CONV.pack(
        *_window_fields(site, window),
        0,
        0,
        0,
        p.act_min,
        p.act_max,
        depth_multiplier,
        PACKINGS.index("plain"),
        _WIDE if reduced else 0,
        site.constants.share(blob),
        len(blob),
        site.constants.add(table.tobytes()),
        len(table),
    )
    return _Lowered(site.op.kind, params, site.op.inputs[:1])


def _convolution(site: _Site, p: Convolution) -> _Lowered:
    if site.input.dtype == np.int16:
        return _wide(site, p, p.window, p.depth_multiplier)
    site.require_dtypes("int8")
    window, channels, output = p.window, site.input.shape[3], site.output
    if p.depth_multiplier:
        weights = site.constant(1).astype(np.int8)[0].transpose(2, 0, 1)
        blob, packing = weights.tobytes(), "planes"
        width = (output.shape[2] - 1) * window.stride_w + (window.kernel_w - 1) * window.dilation_w + 1
        rows = (window.kernel_h - 1) * window.dilation_h + 1
        scratch = 2 * _DEPTHWISE_GROUP * (rows * width + window.kernel_h * window.kernel_w)
    else:
        weights = _dense_weights(site, channels)
        runs, run = _runs(window, channels)
        blob, packing = _pack_block4x4(weights.reshape(len(weights), runs, run)), "block4x4"
        pixels = math.prod(output.shape[:3])
        scratch = _column_scratch(runs * _up4(run), run, pixels)
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    params = _conv_params(site, p, window, flat, blob, packing, p.depth_multiplier)
    return _Lowered(site.op.kind, params, site.op.inputs[:1], scratch)


def _fully_connected(site: _Site, p: FullyConnected) -> _Lowered:
    if site.input.dtype == np.int16:
        return _wide(site, p, Window(1, 1), 0)
    site.require_dtypes("int8")
    weights = site.constant(1).astype(np.int8)
    outputs, depth = weights.shape
    batches = site.output.nbytes // outputs
    blob = _pack_block4x4(weights.reshape(outputs, 1, depth))
    params = _conv_params(site, p, Window(1, 1), weights.astype(np.int64), blob, "block4x4", 0)
    scratch = 4 * _up4(depth) if batches > 1 else 0
    return _Lowered(site.op.kind, params, site.op.inputs[:1], scratch)


def _transposed_convolution(site: _Site, p: TransposedConvolution) -> _Lowered:
    """Weights as in the source. Output cells see different kernel cells, so that no bias can be folded."""
    site.require_dtypes("int8")
    weights = site.constant(1).astype(np.int8)
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    params = _conv_params(site, p, p.window, flat, weights.tobytes(), "plain", 0)
    return _Lowered("TRANSPOSE_CONV", params, site.op.inputs[:1])


def _conv_params(
    site: _Site,
    p: Convolution | TransposedConvolution | FullyConnected,
    window: Window,
    weights: IntArray,
    blob: bytes,
    packing: str,
    depth_multiplier: int,
) -> bytes:
    """The parameter block; ``weights`` is (outputs, products of one output)."""
    outputs, products = weights.shape
    weight_zero_point = p.weight_zero_point if isinstance(p, FullyConnected) else 0
    bias = np.zeros(outputs, np.int64)
    if len(site.op.inputs) > 2 and site.op.inputs[2] >= 0:
        bias = site.constant(2).reshape(-1).astype(np.int64)
    folded = not isinstance(p, TransposedConvolution)
    if folded:
        bias = bias - p.input_zero_point * (weights - weight_zero_point).sum(axis=1)
    multiplier, shift = site.rules(p.requantize, outputs)
    largest = products * _PRODUCT_LIMIT * (2 if weight_zero_point else 1) + int(np.abs(bias).max())
    if products >= _PRODUCTS:
        site.fail(f"{products} products make one output; the engine sums fewer than {_PRODUCTS}")
    fast = folded and largest < 1 << 30 and bool(np.all((shift < 0) & (shift >= -_FAST_SHIFT)))
    table = np.zeros(_up4(outputs), _CHANNEL)
    table["shift"] = -1
    table[:outputs]["bias"], table[:outputs]["multiplier"], table[:outputs]["shift"] = (
        wrap_int32(bias),
        multiplier,
        shift,
    )
    if fast:
        right = -table["shift"]
        table["offset"] = (1 << (right - 1)) + p.output_zero_point * (1 << right)
    return _CONV.pack(
        *_window_fields(site, window),
        p.input_zero_point,
        weight_zero_point,
        p.output_zero_point,
        p.act_min,
        p.act_max,
        depth_multiplier,
        PACKINGS.index(packing),
        _FAST if fast else 0,
        site.constants.share(blob),
        len(blob),
        site.constants.add(table.tobytes()),
        len(table),
    )


def _window_fields(site: _Site, w: Window) -> tuple[int, ...]:
    fields = (
        w.kernel_h,
        w.kernel_w,
        w.stride_h,
        w.stride_w,
        w.dilation_h,
        w.dilation_w,
        w.pad_top,
        w.pad_left,
    )
    if max(fields) >= 1 << 16:
        site.fail(f"{w} has a field of 65536 or more")
    return fields


# --- the other operators ---------------------------------------------------------------------


def _add(site: _Site, p: Add) -> _Lowered:
    dtype = _activation_types(site)
    params = struct.pack(
        "<I11i",
        p.left_shift,
        p.input1_zero_point,
        p.input2_zero_point,
        p.output_zero_point,
        *site.one(p.input1),
        *site.one(p.input2),
        *site.one(p.output),
        p.act_min,
        p.act_max,
    )
    equal = all(site.graph.tensors[t].shape == site.output.shape for t in site.op.inputs)
    fast = equal and -_FAST_SHIFT <= site.one(p.output)[1] < 0
    scratch = 2048 if fast and dtype == "int8" and site.output.nbytes >= _TABLE_ELEMENTS else 0
    return _Lowered(site.op.kind, params, _activations(site), scratch)


def _extremum(site: _Site, _: Extremum) -> _Lowered:
    _activation_types(site)
    return _Lowered(site.op.kind, b"", _activations(site))


def _prelu(site: _Site, p: Prelu) -> _Lowered:
    _activation_types(site)
    zeros = (p.input_zero_point, p.slope_zero_point, p.output_zero_point)
    params = struct.pack("<7i", *zeros, *site.one(p.identity), *site.one(p.slope))
    return _Lowered("PRELU", params, _activations(site))


def _mul(site: _Site, p: Mul) -> _Lowered:
    _activation_types(site)
    zeros = (p.input1_zero_point, p.input2_zero_point, p.output_zero_point)
    params = struct.pack("<7i", *zeros, *site.one(p.requantize), p.act_min, p.act_max)
    return _Lowered("MUL", params, _activations(site))


def _check_sum(site: _Site, dtype: str, count: int) -> None:
    most = {"int8": _INT8_SUM, "int16": _INT16_SUM}[dtype]
    if count >= most:
        site.fail(f"takes {count} {dtype} values together; fewer than {most} are allowed")


def _pool(site: _Site, p: Pool) -> _Lowered:
    site.require_dtypes("int8", "int16")
    _check_sum(site, site.input.dtype.name, p.window.kernel_h * p.window.kernel_w)
    params = struct.pack("<8H2i", *_window_fields(site, p.window), p.act_min, p.act_max)
    return _Lowered(site.op.kind, params, site.op.inputs[:1])


def _mean(site: _Site, p: Mean) -> _Lowered:
    site.require_dtypes("int8", "int16")
    _check_sum(site, site.input.dtype.name, math.prod(site.input.shape[axis] for axis in p.axes))
    axes = sum(1 << axis for axis in p.axes)
    rule = site.one(p.requantize)
    params = struct.pack("<I4i", axes, p.input_zero_point, p.output_zero_point, *rule)
    return _Lowered("MEAN", params, site.op.inputs[:1])


def _reduce_max(site: _Site, p: ReduceMax) -> _Lowered:
    """A pool over (axes before, first reduced axis, other reduced axes, axes behind)."""
    site.require_dtypes("int8")
    shape = site.input.shape
    first, behind = (p.axes[0], p.axes[-1] + 1) if p.axes else (0, 0)
    if any(shape[i] > 1 for i in range(first, behind) if i not in p.axes):
        site.fail(f"reduces the axes {p.axes} of {shape}; on a board they must be neighbours")
    parts = shape[:first], shape[first : min(first + 1, behind)], shape[first + 1 : behind], shape[behind:]
    outer, height, width, inner = map(math.prod, parts)
    if max(height, width) >= 1 << 16:
        site.fail(f"takes the largest of {max(height, width)} values along an axis; 65535 are allowed")
    _check_sum(site, "int8", height * width)
    window = _window_fields(site, Window(height, width))
    params = struct.pack("<8H2i", *window, -128, 127)
    return _Lowered(
        "MAX_POOL_2D",
        params,
        site.op.inputs[:1],
        shapes=((outer, height, width, inner),),
        output_shape=(outer, 1, 1, inner),
    )


def _pad(site: _Site, p: Pad) -> _Lowered:
    site.require_dtypes("int8", "uint8", "int16")
    before = [pair[0] for pair in p.paddings]
    params = struct.pack("<5Ii", *before, *(0,) * (MAX_RANK - len(before)), p.value)
    return _Lowered("PAD", params, site.op.inputs[:1])


def _reshape(site: _Site, _: Reshape) -> _Lowered:
    return _Lowered("RESHAPE", b"", site.op.inputs[:1])


def _slice(site: _Site, p: Slice) -> _Lowered:
    site.require_dtypes("int8", "uint8", "int16")
    shape = p.shape or site.output.shape
    # an axis of one position may have any stride: with the output's it is copied together with its neighbours
    steps = zip(shape, p.strides, row_major(shape), strict=True)
    strides = [stride if size > 1 else plain for size, stride, plain in steps]
    params = struct.pack("<I5i", p.offset, *strides, *(0,) * (MAX_RANK - len(shape)))
    return _Lowered("SLICE", params, site.op.inputs[:1], output_shape=p.shape)


def _concatenation(site: _Site, p: Concatenation) -> _Lowered:
    """Inputs of PACK are taken as if they had the new axis."""
    inputs = _activations(site)
    _activation_types(site)
    if len(inputs) > 255:
        site.fail(f"has {len(inputs)} inputs; at most 255 are allowed")
    params = struct.pack("<I2i", p.axis, p.act_min, p.act_max)
    shapes = [site.graph.tensors[t].shape for t in inputs]
    if len(shapes[0]) < len(site.output.shape):
        shapes = [(*shape[: p.axis], 1, *shape[p.axis :]) for shape in shapes]
    return _Lowered("CONCATENATION", params, inputs, shapes=tuple(shapes))


def _resize(site: _Site, p: Resize) -> _Lowered:
    site.require_dtypes("int8", "int16")
    tables = (p.rows.astype("<u2"), p.columns.astype("<u2"))
    offsets = [site.constants.share(table.tobytes()) for table in tables]
    return _Lowered("RESIZE", struct.pack("<2I", *offsets), site.op.inputs[:1])


def _batch_matmul(site: _Site, p: BatchMatMul) -> _Lowered:
    if _activation_types(site) == "int8":
        rule = site.one(p.requantize)
    else:
        products = site.input.shape[-2 if p.adj_x else -1]
        if products > _INT16_PRODUCTS:
            site.fail(f"{products} products make a sum that may leave 47 bits; {_INT16_PRODUCTS} at most")
        rule = (int(reduced_multiplier(p.requantize.multiplier)[0]), 15 - int(p.requantize.shift[0]))
    zeros = (p.input1_zero_point, p.input2_zero_point, p.output_zero_point)
    flags = p.adj_x * _ADJ_X + p.adj_y * _ADJ_Y
    params = struct.pack("<5iI", *zeros, *rule, flags)
    return _Lowered("BATCH_MATMUL", params, _activations(site))


def _softmax(site: _Site, p: Softmax) -> _Lowered:
    site.require_dtypes("int8", tensors=[site.input])
    site.require_dtypes("int8", "int16")
    if site.input.shape[-1] > 4095:
        site.fail(f"normalises {site.input.shape[-1]} values; at most 4095 fit its 12-bit sum")
    params = struct.pack("<iIi", p.input_multiplier, p.input_left_shift, p.diff_min)
    return _Lowered("SOFTMAX", params, site.op.inputs[:1])


def _softmax_int16(site: _Site, p: SoftmaxInt16) -> _Lowered:
    site.require_dtypes("int16")
    if site.input.shape[-1] >= _INT16_SOFTMAX:
        site.fail(f"normalises {site.input.shape[-1]} values; fewer than {_INT16_SOFTMAX} fit its 32-bit sum")
    tables = (exp_table(), reciprocal_table())
    offsets = [site.constants.share(table.astype("<i2").tobytes()) for table in tables]
    params = struct.pack("<2i2I", *site.one(p.requantize), *offsets)
    return _Lowered("SOFTMAX_INT16", params, site.op.inputs[:1])


def _table(site: _Site, _: Table | Rescale) -> _Lowered:
    """A function of one byte: all its results, in the order of the bytes."""
    site.require_dtypes("int8", "uint8")
    every = np.arange(256, dtype=np.uint8).view(site.input.dtype)
    offset = site.constants.share(execute.apply(site.op, site.output.dtype, every).tobytes())
    return _Lowered("TABLE", struct.pack("<I", offset), site.op.inputs[:1])


def _sigmoid_int16(site: _Site, p: SigmoidInt16) -> _Lowered:
    site.require_dtypes("int16")
    offset = site.constants.share(sigmoid_table().astype("<u2").tobytes())
    params = struct.pack("<2i2I", p.multiplier, p.shift, int(site.op.kind == "TANH"), offset)
    return _Lowered("SIGMOID_INT16", params, site.op.inputs[:1])


def _rescale(site: _Site, p: Rescale) -> _Lowered:
    site.require_dtypes("int8", "uint8", "int16")
    if site.input.dtype.itemsize == site.output.dtype.itemsize == 1:
        return _table(site, p)
    rule = (0, -1) if p.requantize is None else site.one(p.requantize)
    multiply = int(p.requantize is not None)
    params = struct.pack(
        "<4iI2i", p.input_zero_point, p.output_zero_point, *rule, multiply, p.act_min, p.act_max
    )
    return _Lowered("RESCALE", params, site.op.inputs[:1])


def _float_edge(site: _Site, p: FloatEdge) -> _Lowered:
    site.require_dtypes("int8", "uint8", "int16", "float32")
    half_even = site.op.kind == "QUANTIZE" and p.rounding == "half_even"
    scale = -p.scale if half_even else p.scale  # positive otherwise: its sign is free to tell
    return _Lowered(site.op.kind, struct.pack("<fi", scale, p.zero_point), site.op.inputs[:1])


_RULES: dict[type[Params], Callable[[_Site, Any], _Lowered]] = {
    Convolution: _convolution,
    TransposedConvolution: _transposed_convolution,
    FullyConnected: _fully_connected,
    BatchMatMul: _batch_matmul,
    Add: _add,
    Mul: _mul,
    Extremum: _extremum,
    Prelu: _prelu,
    Pool: _pool,
    Mean: _mean,
    ReduceMax: _reduce_max,
    Pad: _pad,
    Reshape: _reshape,
    Slice: _slice,
    Concatenation: _concatenation,
    Resize: _resize,
    Softmax: _softmax,
    SoftmaxInt16: _softmax_int16,
    Table: _table,
    SigmoidInt16: _sigmoid_int16,
    Rescale: _rescale,
    FloatEdge: _float_edge,
}


# --- reading and patching --------------------------------------------------------------------


def read_image(data: bytes) -> ImageDescription:
    """Read an image's tables. ``ImageError`` when it is not one or its CRC is wrong."""
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise ImageError(f"not a device image: it starts with {data[:4]!r}, an image with {MAGIC!r}")
    fields = _HEADER.unpack_from(data)
    version, header, size, crc, source, arena_bytes = fields[1:7]
    counts, at = fields[7:11], fields[11:19]
    if version != VERSION or header != _HEADER.size:
        raise ImageError(f"image format version {version} is not supported; this release reads {VERSION}")
    if size > len(data):
        raise ImageError(f"the image is cut off: {len(data)} of {size} bytes")
    if zlib.crc32(data[_CRC_START:size]) != crc:
        raise ImageError("the image is damaged: its CRC-32 does not match its content")
    tensors_at, operators_at, lists_at, lists_entries, params_at, _, constants_at, constants_bytes = at
    lists = struct.unpack_from(f"<{lists_entries}H", data, lists_at)
    tensors = (_TENSOR.unpack_from(data, tensors_at + i * _TENSOR.size) for i in range(counts[0]))
    operators = (_OPERATOR.unpack_from(data, operators_at + i * _OPERATOR.size) for i in range(counts[1]))
    return ImageDescription(
        source.hex(),
        arena_bytes,
        tuple(ImageTensor(DTYPES[t[0]], t[6 : 6 + t[1]], t[2], t[4], t[5]) for t in tensors),
        tuple(_operator_record(data, op, lists, params_at) for op in operators),
        lists[: counts[2]],
        lists[counts[2] : counts[2] + counts[3]],
        constants_at,
        constants_bytes,
    )


def _operator_record(
    data: bytes, fields: tuple[int, ...], lists: tuple[int, ...], params_at: int
) -> ImageOperator:
    (
        opcode,
        state,
        source_index,
        inputs,
        _,
        source_output,
        at,
        params,
        params_bytes,
        scratch,
        scratch_bytes,
        _,
    ) = fields
    start = params_at + params
    return ImageOperator(
        OPCODES[opcode],
        STATES[state],
        operator_index(source_index, source_output),
        lists[at : at + inputs],
        lists[at + inputs],
        data[start : start + params_bytes],
        start,
        scratch,
        scratch_bytes,
    )


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, eq=False)
class _Weights:
    """A weighted operator's constants: ``at[output, k]`` is the file offset of one weight, ``k`` counting
    kernel rows, columns and input channels as in the source."""

    at: npt.NDArray[np.int64]
    zero_point: int
    input_zero_point: int
    channels_at: int


def _weights(image: ImageDescription, op: ImageOperator) -> _Weights:
    fields = _CONV.unpack(op.params)
    window, packing, size, channels = Window(*fields[:8]), PACKINGS[fields[14]], fields[17], fields[19]
    source, output = image.tensors[op.inputs[0]], image.tensors[op.output]
    outputs = output.shape[-1]
    index = np.arange(size, dtype=np.int64)
    if packing == "planes" or (packing == "plain" and op.opcode != "DEPTHWISE_CONV_2D"):
        at = index.reshape(outputs, -1)
    elif packing == "plain":
        at = index.reshape(-1, outputs).T
    else:
        depth = source.bytes * outputs // output.bytes if op.opcode == "FULLY_CONNECTED" else source.shape[3]
        runs, run = _runs(window, depth)
        rows = index.reshape(channels // 4, -1, 4, 4).transpose(0, 2, 1, 3)
        at = rows.reshape(channels, runs, _up4(run))[:outputs, :, :run].reshape(outputs, -1)
    constants = image.constants_offset
    return _Weights(constants + fields[16] + at, fields[9], fields[8], constants + fields[18])


def _find(image: ImageDescription, source_index: int | None) -> ImageOperator:
    """The weighted operator with that source index, or the first one."""
    weighted = [op for op in image.operators if op.opcode in _WEIGHTED]
    for op in weighted:
        if source_index in (None, op.source_index):
            return op
    allowed = ", ".join(f"{op.source_index} ({op.opcode})" for op in weighted) or "none in this image"
    raise ImageError(f"operator {source_index} has no weights; operators with weights: {allowed}")


def patch_weight(
    data: bytes, source_index: int | None = None, *, output: int = 0, k: int = 0, delta: int = 1
) -> bytes:
    """The image with ``delta`` added to one weight, wrapping in int8; CRC refreshed.

    ``source_index`` names a weighted operator (default: the first). ``output`` is the output channel,
    ``k`` counts that channel's weights as in the source (kernel rows, columns, input channels).
    Operators with equal weights share them in the image and change together.
    """
    image = read_image(data)
    at = _weights(image, _find(image, source_index)).at
    if not 0 <= output < at.shape[0] or not 0 <= k < at.shape[1]:
        raise ImageError(
            f"weight ({output}, {k}) does not exist; the operator has {at.shape[0]} x {at.shape[1]}"
        )
    patched = bytearray(data)
    patched[at[output, k]] = (patched[at[output, k]] + delta) & 0xFF
    return _with_crc(patched)


def patch_input_zero_point(data: bytes, source_index: int | None = None, *, delta: int = 1) -> bytes:
    """The image as if one weighted operator's input zero point were ``delta`` larger; CRC refreshed.

    Changes the folded biases, ``-delta * sum of weights`` each, and the value of padding cells. This
    is the mistake of forgetting or misplacing a zero point.
    """
    image = read_image(data)
    op = _find(image, source_index)
    weights = _weights(image, op)
    if image.tensors[op.inputs[0]].dtype == "int16":
        raise ImageError(f"operator {op.source_index} ({op.opcode}) works on int16, which has no zero point")
    zero_point = weights.input_zero_point + delta
    if not -128 <= zero_point <= 127:
        raise ImageError(f"input zero point {weights.input_zero_point} plus {delta} leaves int8")
    patched = bytearray(data)
    struct.pack_into("<i", patched, op.params_offset + 16, zero_point)
    values = np.frombuffer(data, np.int8)[weights.at].astype(np.int64)
    sums = (values - weights.zero_point).sum(axis=1)
    table = np.frombuffer(data, _CHANNEL, len(sums), weights.channels_at).copy()
    table["bias"] = wrap_int32(table["bias"] - delta * sums)
    patched[weights.channels_at : weights.channels_at + table.nbytes] = table.tobytes()
    return _with_crc(patched)
