"""An integer graph with power-of-two scales as the plain values of an ``.espdl`` file."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from pytest_quantcheck.errors import UnsupportedOperatorError
from pytest_quantcheck.formats.espdl import EspdlModel, EspdlNode, EspdlTensor, EspdlValue
from pytest_quantcheck.formats.filter_blocks import BLOCK_BYTES, blocked
from pytest_quantcheck.graph.model import (
    Concatenation,
    Convolution,
    FullyConnected,
    Mean,
    Operator,
    QuantGraph,
    Slice,
    Tensor,
    Window,
    row_major,
)
from pytest_quantcheck.numerics.arrays import Array, IntArray

NAMES = {
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "MAX_POOL_2D": "MaxPool",
    "MEAN": "GlobalAveragePool",
    "RESHAPE": "Reshape",
    "TRANSPOSE": "Transpose",
    "CONCATENATION": "Concat",
    "QUANTIZE": "RequantizeLinear",
    "CONV_2D": "Conv",
    "DEPTHWISE_CONV_2D": "Conv",
    "FULLY_CONNECTED": "Gemm",
}
_TO_NHWC = (0, 2, 3, 1)


def espdl_of(graph: QuantGraph, *, blocks: bool, per_channel: bool) -> EspdlModel:
    """The file without test vectors. ``blocks``: filters as the ESP32-S3 and P4 have them.

    ``per_channel``: an exponent for each output channel also where all are one, which tells the ESP32-P4's
    rounding. An image that is turned to NHWC first is an input in NHWC. Raises ``UnsupportedOperatorError``.
    """
    return _Lowering(graph, blocks, per_channel).model()


def permutation(params: Slice, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of a transposition; None of other views."""
    steps, left, found = row_major(source), list(range(len(source))), []
    if params.offset or params.shape is not None or len(source) != len(target):
        return None
    for size, stride in zip(target, params.strides, strict=True):
        fits = [a for a in left if source[a] == size and (steps[a] == stride or size == 1)]
        if not fits:
            return None
        left.remove(fits[0])
        found.append(fits[0])
    return tuple(found)


class _Lowering:
    def __init__(self, graph: QuantGraph, blocks: bool, per_channel: bool) -> None:
        self.graph, self.blocks, self.per_channel = graph, blocks, per_channel
        self.nodes: list[EspdlNode] = []
        self.values: dict[str, EspdlValue] = {}
        self.constants: dict[str, EspdlTensor] = {}
        self.turned = turned_to_nhwc(graph)
        self._names: dict[int, str] = {}
        self.dtype = graph.tensors[graph.inputs[0]].dtype.name

    def model(self) -> EspdlModel:
        """All of it."""
        graph = self.graph
        inputs = tuple(self._value(self.turned.get(i, index)) for i, index in enumerate(graph.inputs))
        for op in graph.operators:
            if op.outputs[0] not in self.turned.values():
                self._operator(op)
        outputs = tuple(self._value(index) for index in graph.outputs)
        return EspdlModel(tuple(self.nodes), inputs, outputs, self.values, self.constants)

    def _name(self, tensor: Tensor) -> str:
        if tensor.index not in self._names:
            taken = {*self._names.values(), *self.constants}
            name = tensor.name
            self._names[tensor.index] = f"{name}__{tensor.index}" if name in taken else name
        return self._names[tensor.index]

    def _exponents(self, tensor: Tensor) -> IntArray:
        found = tensor.quantization.exponents if tensor.quantization is not None else None
        if found is None:
            raise UnsupportedOperatorError(
                f"the scale of tensor '{tensor.name}' is no power of two; quantize with quantizer='espdl'"
            )
        return found

    def _value(self, index: int) -> EspdlValue:
        tensor = self.graph.tensors[index]
        if tensor.dtype.name != self.dtype or self.dtype not in ("int8", "int16"):
            raise UnsupportedOperatorError(
                f"tensor '{tensor.name}' is {tensor.dtype.name}; int8 or int16 throughout are written "
                "(input_type and output_type of the scheme)"
            )
        exponents = tuple(int(n) for n in self._exponents(tensor))
        value = EspdlValue(self._name(tensor), tensor.shape, self.dtype, exponents)
        self.values[value.name] = value
        return value

    def _constant(
        self,
        name: str,
        data: Array,
        exponents: tuple[int, ...] = (0,),
        layout: str = "UNK",
        shape: tuple[int, ...] | None = None,
    ) -> str:
        while name in self.constants or name in self.values:
            name += "_"
        shape = data.shape if shape is None else shape
        self.constants[name] = EspdlTensor(name, shape, data.reshape(-1), exponents, layout)
        return name

    def _operator(self, op: Operator) -> None:
        if op.kind not in NAMES:
            self._fail(op, f"it is not written; what is: {', '.join(NAMES)}")
        out = self._value(op.outputs[0])
        kind = NAMES[op.kind]
        how: dict[str, Any] = {"quant_type": "S8" if self.dtype == "int8" else "S16"}
        inputs = [self._input(op, i) for i in op.inputs if i >= 0]
        if isinstance(op.params, Convolution) and op.params.depth_multiplier and len(op.inputs) == 2:
            kind, inputs = "AveragePool", inputs[:1]
            how |= _window(op.params.window, self.graph, op)
            self._require_ones(op)
        elif isinstance(op.params, (Convolution, FullyConnected)):
            inputs, more = self._layer(op)
            how |= more
        elif op.kind == "MAX_POOL_2D":
            how |= _window(op.params.window, self.graph, op)  # type: ignore[union-attr]
        elif isinstance(op.params, Slice):
            axes = permutation(op.params, self.graph.tensors[op.inputs[0]].shape, out.shape)
            if axes is None:
                self._fail(op, "the view is no transposition")
            how["perm"] = list(axes)
        elif isinstance(op.params, Mean):
            self._require_whole_image(op, op.params.axes, out.shape)
        elif isinstance(op.params, Concatenation):
            how["axis"] = op.params.axis
        elif kind == "Reshape":
            inputs.append(self._constant(f"{out.name}_shape", np.asarray(out.shape, np.int64)))
        elif kind == "RequantizeLinear":
            scale = np.asarray(2.0 ** out.exponents[0], np.float32)
            inputs.append(self._constant(f"{out.name}_scale", scale))
            inputs.append(self._constant(f"{out.name}_zero", np.zeros((), self.dtype)))
        self.nodes.append(EspdlNode(kind, f"{op.kind.lower()}_{op.index}", tuple(inputs), (out.name,), how))

    def _input(self, op: Operator, index: int) -> str:
        tensor = self.graph.tensors[index]
        if tensor.data is None:
            return self._value(index).name
        if isinstance(op.params, (Convolution, FullyConnected)):
            return ""
        exponents = tuple(int(n) for n in self._exponents(tensor))
        return self._constant(tensor.name, np.asarray(tensor.data), exponents)

    def _require_ones(self, op: Operator) -> None:
        data = self.graph.tensors[op.inputs[1]].data
        if data is None or (data != 1).any():
            self._fail(op, "a depthwise layer without a bias is not written")

    def _require_whole_image(self, op: Operator, axes: tuple[int, ...], target: tuple[int, ...]) -> None:
        source = self.graph.tensors[op.inputs[0]].shape
        if len(source) != 4 or axes != (1, 2) or target != (source[0], 1, 1, source[3]):
            self._fail(
                op,
                f"it takes the mean over the axes {axes} of {source} to {target}; GlobalAveragePool over "
                "height and width, behind a layer whose images are NHWC, is written",
            )

    def _layer(self, op: Operator) -> tuple[list[str], dict[str, Any]]:
        params: Any = op.params
        tensors = [self.graph.tensors[i] for i in op.inputs if i >= 0]
        weights = tensors[1]
        if weights.data is None or getattr(params, "depth_multiplier", 0) > 1:
            self._fail(op, "weights that are no constants, or several filters for a channel, are not written")
        limits = np.iinfo(self.dtype)
        clamp = (params.act_min, params.act_max)
        if clamp not in ((limits.min, limits.max), (0, limits.max)):
            self._fail(op, f"its results are limited to {clamp}; a Relu is written, or nothing")
        how: dict[str, Any] = {"activation": "Relu" if params.act_min == 0 else "Linear"}
        depthwise = bool(getattr(params, "depth_multiplier", 0))
        data = np.asarray(weights.data)
        if isinstance(params, Convolution):
            how |= _window(params.window, self.graph, op)
            depth = tensors[0].shape[3]
            how["group"] = depth if depthwise else depth // data.shape[3]
            if how["group"] > 1 and not depthwise:
                self._fail(op, f"{how['group']} groups; one, or one for each channel, is written")
        else:
            how["transB"] = 0
            data = data[:, None, None, :]
        cells = data.transpose(3, 1, 2, 0) if depthwise else data
        exponents = self._exponents(weights)
        channels = len(cells)
        if self.per_channel:
            exponents = np.broadcast_to(exponents, (channels,))
        names = [self._value(tensors[0].index).name, self._filter(weights.name, cells, depthwise, exponents)]
        if len(tensors) > 2:
            sums = exponents + int(self._exponents(tensors[0])[0])
            bias = np.asarray(tensors[2].data).astype("int32" if self.dtype == "int8" else "int64")
            names.append(self._constant(tensors[2].name, bias.reshape(-1), tuple(int(n) for n in sums)))
        return names, how

    def _filter(self, name: str, cells: Array, depthwise: bool, exponents: IntArray) -> str:
        outputs, height, width, inputs = cells.shape
        shape = (height, width, outputs, 1) if depthwise else (height, width, inputs, outputs)
        if self.blocks:
            block = BLOCK_BYTES // cells.itemsize
            layout = f"(N/{block})HWC{block}" + ("_UNALIGNED" if outputs % block else "")
            flat = blocked(cells, block, side_by_side=depthwise)
        elif depthwise:
            layout, flat = "HWCN", cells.transpose(1, 2, 0, 3)
        else:
            layout, flat = "NHWC", cells
        return self._constant(name, flat.reshape(-1), tuple(int(n) for n in exponents), layout, shape=shape)

    def _fail(self, op: Operator, reason: str) -> NoReturn:
        name = self.graph.output_of(op).name
        raise UnsupportedOperatorError(f"operator {op.kind} that makes '{name}', as .espdl: {reason}")


def turned_to_nhwc(graph: QuantGraph) -> dict[int, int]:
    """Inputs that nothing reads but a transposition to NHWC, by position: the tensor behind it."""
    found = {}
    for number, index in enumerate(graph.inputs):
        readers = [op for op in graph.operators if index in op.inputs]
        if len(readers) != 1 or index in graph.outputs or not isinstance(readers[0].params, Slice):
            continue
        target = graph.output_of(readers[0])
        if permutation(readers[0].params, graph.tensors[index].shape, target.shape) == _TO_NHWC:
            found[number] = target.index
    return found


def _window(window: Window, graph: QuantGraph, op: Operator) -> dict[str, Any]:
    """ONNX's attributes, with the padding below and at the right that the shapes need."""
    source, target = graph.tensors[op.inputs[0]].shape, graph.output_of(op).shape
    pads = []
    for axis, kernel, stride, dilation, before in (
        (1, window.kernel_h, window.stride_h, window.dilation_h, window.pad_top),
        (2, window.kernel_w, window.stride_w, window.dilation_w, window.pad_left),
    ):
        reach = (target[axis] - 1) * stride + (kernel - 1) * dilation + 1
        pads.append((before, max(reach - before - source[axis], 0)))
    how: dict[str, Any] = {
        "kernel_shape": [window.kernel_h, window.kernel_w],
        "strides": [window.stride_h, window.stride_w],
        "pads": [pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
    }
    if (window.dilation_h, window.dilation_w) != (1, 1):
        how["dilations"] = [window.dilation_h, window.dilation_w]
    return how
