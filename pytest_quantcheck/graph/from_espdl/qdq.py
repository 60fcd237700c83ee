"""An ``.espdl`` file as an ONNX QDQ model with power-of-two scales: the integers that it stands for.

Its images are NHWC; operators over images stand between two transpositions. The rounding rule is no part
of the file: several exponents for one layer's weights are those of the ESP32-P4, which rounds halves to even.
A file without Conv and Gemm tells no rounding and is read as that of the other chips, halves up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError, UnsupportedOperatorError
from pytest_quantcheck.formats.espdl import EspdlModel, EspdlNode, EspdlTensor, EspdlValue, parse
from pytest_quantcheck.formats.onnx import load_onnx
from pytest_quantcheck.graph.from_espdl.weights import bias_of, filter_of
from pytest_quantcheck.graph.from_onnx.read import DTYPE, ROUNDING
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.numerics.power_of_two import LARGEST_EXPONENT, SMALLEST_EXPONENT

OPSET, IR_VERSION = 21, 10
IMAGES = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool")
PLAIN = (
    *("Add", "Sub", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu"),
    *("Softmax", "Transpose", "Flatten", "Concat", "Identity"),
)
_OWN = ("activation", "quant_type", "kernel_shape_")  # attributes that ONNX does not have
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def qdq_of(data: bytes) -> bytes:
    """The bytes of the QDQ model. Raises ``ModelError``, ``UnsupportedOperatorError`` for an operator that
    is not translated.
    """
    model = parse(data)
    if not model.nodes or not model.inputs or not model.outputs:
        raise ModelError("the .espdl file has no operators, inputs or outputs")
    return _Builder(model).bytes()


def rounding_of(model: EspdlModel) -> str:
    """The rule of the chip that the weights' exponents tell."""
    filters = [t for node in model.nodes for t in _filters(model, node)]
    return (
        "half_even" if any(len(set(t.exponents)) > 1 or len(t.exponents) > 1 for t in filters) else "half_up"
    )


def _filters(model: EspdlModel, node: EspdlNode) -> list[EspdlTensor]:
    known = node.kind in ("Conv", "Gemm") and len(node.inputs) > 1
    return [model.constants[node.inputs[1]]] if known and node.inputs[1] in model.constants else []


class _Builder:
    def __init__(self, model: EspdlModel) -> None:
        self.model = model
        self._onnx = load_onnx()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.dtype = model.inputs[0].dtype
        if self.dtype not in ("int8", "int16"):
            raise UnsupportedOperatorError(
                f"its input is {self.dtype or 'of an unknown type'}; int8 and int16 are read"
            )
        self._real: dict[str, str] = {}
        self._count = 0

    def bytes(self) -> bytes:
        """The whole file."""
        helper, model = self._onnx.helper, self.model
        kind = self._onnx.TensorProto.INT8 if self.dtype == "int8" else self._onnx.TensorProto.INT16
        for value in model.inputs:
            self._dequantize(value.name, value.name)
        for node in model.nodes:
            self._node(node)
        infos = [
            [helper.make_tensor_value_info(value.name, kind, value.shape) for value in values]
            for values in (model.inputs, model.outputs)
        ]
        graph = helper.make_graph(self.nodes, "espdl", *infos, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        for key, text in ((ROUNDING, rounding_of(model)), (DTYPE, self.dtype)):
            entry = made.metadata_props.add()
            entry.key, entry.value = key, text
        return bytes(made.SerializeToString(deterministic=True))

    def _value(self, name: str) -> EspdlValue:
        if name not in self.model.values:
            raise ModelError(f"the .espdl file does not say what the tensor '{name}' is")
        value = self.model.values[name]
        if len(value.exponents) != 1 or not SMALLEST_EXPONENT <= value.exponents[0] <= LARGEST_EXPONENT:
            raise ModelError(f"the tensor '{name}' of the .espdl file has the exponents {value.exponents}")
        if value.dtype != self.dtype:
            told = value.dtype or "of an unknown type"
            raise UnsupportedOperatorError(
                f"the tensor '{name}' is {told} among {self.dtype} ones; one type is read"
            )
        return value

    def _name(self, wanted: str) -> str:
        self._count += 1
        return f"{wanted}__{self._count}"

    def _constant(self, wanted: str, values: Array) -> str:
        name = self._name(wanted)
        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def _op(
        self, kind: str, inputs: list[str], output: str, name: str = "", how: dict[str, Any] | None = None
    ) -> str:
        made = self._onnx.helper.make_node(kind, inputs, [output], name or self._name(kind))
        for key, given in sorted((how or {}).items()):
            try:
                made.attribute.append(self._onnx.helper.make_attribute(key, given))
            except (TypeError, ValueError) as error:
                raise ModelError(
                    f"operator {kind} '{made.name}' of the .espdl file: its attribute '{key}' is "
                    f"{given!r:.80}, of which ONNX knows no type"
                ) from error
        self.nodes.append(made)
        return output

    def _scale(self, name: str) -> list[str]:
        exponent = self._value(name).exponents[0]
        scale = self._constant("scale", np.asarray(2.0**exponent, np.float32))
        return [scale, self._constant("zero", np.zeros((), self.dtype))]

    def _dequantize(self, name: str, integer: str) -> None:
        self._real[name] = self._op("DequantizeLinear", [integer, *self._scale(name)], self._name(name))

    def _quantize(self, name: str, source: str) -> None:
        """The integers of a tensor, which is an output by its own name."""
        self._op("QuantizeLinear", [source, *self._scale(name)], name)
        self._dequantize(name, name)

    def _restored(self, values: Array, exponents: Array | tuple[int, ...], axis: int) -> str:
        given = np.asarray(exponents, np.int64)
        if not given.size or given.min() < SMALLEST_EXPONENT or given.max() > LARGEST_EXPONENT:
            raise ModelError(f"a constant of the .espdl file has the exponents {given[:8]}")
        scales = np.ldexp(np.float32(1), given).astype(np.float32)
        scales = scales.reshape(()) if scales.size == 1 else scales
        how: dict[str, Any] = {"axis": axis} if scales.ndim else {}
        zero = self._constant("zero", np.zeros(scales.shape, values.dtype))
        inputs = [self._constant("integers", values), self._constant("scale", scales), zero]
        return self._op("DequantizeLinear", inputs, self._name("constant"), how=how)

    def _node(self, node: EspdlNode) -> None:
        if len(node.outputs) != 1 or not node.inputs:
            self._fail(node, f"{len(node.outputs)} outputs; one is supported")
        how = {key: given for key, given in node.attributes.items() if key not in _OWN and given is not None}
        if node.kind == "Gemm":
            inputs = [self._input(node, 0), *self._weighted(node, dense=True)]
            made = self._op("Gemm", inputs, self._name(node.name), node.name)
        elif node.kind in IMAGES:
            turned = self._op("Transpose", [self._input(node, 0)], self._name("nchw"), how={"perm": _TO_NCHW})
            turned = self._again(node.inputs[0], turned)
            more = self._weighted(node, dense=False) if node.kind == "Conv" else []
            made = self._op(node.kind, [turned, *more], self._name(node.name), node.name, how)
            made = self._again(node.outputs[0], self._clamped(node, made))
            made = self._op("Transpose", [made], self._name("nhwc"), how={"perm": _TO_NHWC})
            self._quantize(node.outputs[0], made)
            return
        elif node.kind == "RequantizeLinear":
            made = self._input(node, 0)
        elif node.kind == "Reshape":
            shape = self._constant("shape", np.asarray(self._value(node.outputs[0]).shape, np.int64))
            made = self._op("Reshape", [self._input(node, 0), shape], self._name(node.name), node.name)
        elif node.kind in PLAIN:
            inputs = [self._input(node, i) for i in range(len(node.inputs))]
            made = self._op(node.kind, inputs, self._name(node.name), node.name, how)
        else:
            supported = ", ".join(("Gemm", "Reshape", "RequantizeLinear", *IMAGES, *PLAIN))
            self._fail(node, f"it is not supported; supported: {supported}")
        self._quantize(node.outputs[0], self._clamped(node, made))

    def _again(self, name: str, source: str) -> str:
        """Quantized on the scale of a tensor that merely lies otherwise."""
        scale = self._scale(name)
        integer = self._op("QuantizeLinear", [source, *scale], self._name("moved"))
        return self._op("DequantizeLinear", [integer, *scale], self._name("moved"))

    def _clamped(self, node: EspdlNode, made: str) -> str:
        """With the activation that is a part of the layer."""
        activation = node.attributes.get("activation", "Linear")
        if activation == "Linear":
            return made
        if activation != "Relu":
            self._fail(node, f"the activation {activation!r} is not supported; supported: Linear, Relu")
        return self._op("Relu", [made], self._name("relu"))

    def _input(self, node: EspdlNode, position: int) -> str:
        """An activation, or a constant; a sum's input is taken to the exponent of its output first."""
        name = node.inputs[position]
        if name in self.model.constants:
            tensor = self.model.constants[name]
            count = int(np.prod(tensor.shape, dtype=np.int64))
            return self._restored(tensor.data[:count].reshape(tensor.shape), tensor.exponents, 0)
        if name not in self._real:
            self._fail(node, f"its input '{name}' is not known before it")
        if node.kind in ("Add", "Sub"):
            wanted = self._value(node.outputs[0]).exponents
            if self._value(name).exponents != wanted:
                return self._again(node.outputs[0], self._real[name])
        return self._real[name]

    def _weighted(self, node: EspdlNode, *, dense: bool) -> list[str]:
        """Weights and bias of a Conv, or of a Gemm as a matrix (inputs, outputs)."""
        if len(node.inputs) < 2 or any(name not in self.model.constants for name in node.inputs[1:]):
            self._fail(node, "weights that are no constants are not supported")
        tensor = self.model.constants[node.inputs[1]]
        cells = filter_of(tensor)
        values = cells[:, :, 0, 0].T if dense else cells
        made = [self._restored(values, tensor.exponents, 1 if dense else 0)]
        if len(node.inputs) > 2:
            bias, exponents = bias_of(self.model.constants[node.inputs[2]], len(cells))
            made.append(self._restored(bias, exponents, 0))
        return made

    def _fail(self, node: EspdlNode, reason: str) -> Any:
        raise UnsupportedOperatorError(f"operator {node.kind} '{node.name}' of the .espdl file: {reason}")
