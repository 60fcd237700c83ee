"""``Network``: the layers of a ``.tflite`` file, batch norms folded into them, and the pairs among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.formats.tflite_weights import BIAS, CHANNEL_AXIS, WEIGHTS
from pytest_quantcheck.models.equalization.layer import LAYERS, NONE, RELU, RELU6, Layer, fused_activation
from pytest_quantcheck.models.equalization.pair import Pair
from pytest_quantcheck.models.rewriting.tree import Tree
from pytest_quantcheck.numerics.arrays import Array

# operators that f(s x) = s f(x) holds for, channel by channel, with s > 0
HOMOGENEOUS = ("RELU", "RELU6", "LEAKY_RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD", "RESHAPE")


class Network:
    """The operators of a file, its layers, and the pairs among them. ``left`` counts layers without one."""

    def __init__(self, content: bytes) -> None:
        self.tree = Tree(content)
        self.left: dict[str, list[str]] = {}
        self.folded = self._fold_all()
        self.layers = {
            index: layer
            for index, operator in enumerate(self.tree.graph.operators)
            if (layer := self._layer(index, operator)) is not None
        }
        self.pairs = [pair for layer in self.layers.values() if (pair := self._pair(layer)) is not None]

    def _uses(self, tensor: int) -> list[int]:
        """The operators that read a tensor, one entry for each of their inputs that is this tensor."""
        return [
            index
            for index, operator in enumerate(self.tree.graph.operators)
            for each in operator.inputs
            if each == tensor
        ]

    def _layer(self, index: int, operator: Any) -> Layer | None:
        """None for other operators, and for layers whose weights are computed or used elsewhere too."""
        kind = self.tree.kind(operator)
        if kind not in LAYERS:
            return None
        weights = self._float(operator, WEIGHTS)
        if weights is None or len(self._uses(operator.inputs[WEIGHTS])) > 1:
            why = "its weights are computed" if weights is None else "its weights are shared"
            self.left.setdefault(why, []).append(f"{kind} {index}")
            return None
        bias = self._float(operator, BIAS)
        if bias is None and self.tree.input(operator, BIAS) is not None:
            self.left.setdefault("its bias is computed", []).append(f"{kind} {index}")
            return None
        if bias is None:
            bias = np.zeros(weights.shape[CHANNEL_AXIS[kind]])
        return Layer(index, kind, operator, weights, bias)

    def _float(self, operator: Any, position: int) -> Array | None:
        tensor = self.tree.input(operator, position)
        if (
            tensor is None
            or tensor.sparsity is not None
            or tensor.type != self.tree.schema.TensorType.FLOAT32
        ):
            return None
        content = self.tree.constant(tensor, "<f4")
        return None if content is None else content.astype(np.float64)

    def _only_reader(self, tensor: int) -> Any:
        """The operator that alone reads a tensor; else in words why there is none."""
        if tensor in self.tree.graph.outputs:
            return "its output is an output of the network"
        uses = self._uses(tensor)
        return self.tree.graph.operators[uses[0]] if len(uses) == 1 else "its output has several readers"

    def _fold_all(self) -> int:
        """Fold MUL and ADD by constants behind layers; returns how many of them."""
        folded = 0
        for operator in list(self.tree.graph.operators):
            while self._fold(operator):
                folded += 1
        self.left.clear()  # the indices were those of before
        return folded

    def _fold(self, operator: Any) -> bool:
        """Fold the MUL or ADD behind one layer into it, as batch norms are: per channel or by one number."""
        if self.tree.kind(operator) not in LAYERS or fused_activation(operator) != NONE:
            return False
        after = self._only_reader(operator.outputs[0])
        kind = "" if isinstance(after, str) else self.tree.kind(after)
        layer = self._layer(0, operator) if kind in ("MUL", "ADD") else None
        if layer is None:
            return False
        position = 1 if after.inputs[0] == operator.outputs[0] else 0
        values, channels = self._float(after, position), len(layer.bias)
        if values is None or (values.size > 1 and {values.size, values.shape[-1]} != {channels}):
            return False
        values = np.broadcast_to(values.reshape(-1), channels)
        if kind == "MUL":
            layer.scale_outputs(values)
        else:
            layer.bias = layer.bias + values
        self._write(layer)
        operator.builtinOptions.fusedActivationFunction = after.builtinOptions.fusedActivationFunction
        operator.outputs = after.outputs
        self.tree.graph.operators = [each for each in self.tree.graph.operators if each is not after]
        return True

    def _pair(self, first: Layer) -> Pair | None:
        found = self._follow(first)
        if isinstance(found, str):
            self.left.setdefault(found, []).append(str(first))
            return None
        second, between = found
        channels = len(first.bias)
        dense = second.kind == "FULLY_CONNECTED"  # which may flatten its input
        width = second.weights.shape[1] if dense else int(self.tree.input(second.operator, 0).shape[-1])
        return Pair(
            first,
            second,
            between,
            width,
            first.activation == RELU6 or "RELU6" in between,
            np.ones(channels),
            np.zeros(channels),
            np.ones(channels, bool),
        )

    def _follow(self, first: Layer) -> tuple[Layer, tuple[str, ...]] | str:
        """The layer that alone reads ``first``, and the operators between; or in words why there is none."""
        if first.activation not in (NONE, RELU, RELU6):
            return "its activation is not homogeneous"
        tensor, between = int(first.operator.outputs[0]), list[str]()
        while True:
            reader = self._only_reader(tensor)
            if isinstance(reader, str):
                return reader
            kind = self.tree.kind(reader)
            if kind in LAYERS:
                index = next(i for i, each in enumerate(self.tree.graph.operators) if each is reader)
                ready = index in self.layers and reader.inputs[0] == tensor
                return (
                    (self.layers[index], tuple(between)) if ready else f"{kind} {index} cannot be rewritten"
                )
            if not self._keeps_channels(reader, kind, len(first.bias)):
                return f"{kind} follows"
            between += [kind, "RELU6"] if fused_activation(reader) == RELU6 else [kind]
            tensor = int(reader.outputs[0])

    def _keeps_channels(self, operator: Any, kind: str, channels: int) -> bool:
        """Whether an operator is homogeneous and its last axis still counts channels, perhaps repeatedly."""
        if kind not in HOMOGENEOUS or fused_activation(operator) not in (NONE, RELU, RELU6):
            return False
        source, sink = (self.tree.graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
        if kind in ("MEAN", "PAD"):
            how = self.tree.constant(self.tree.input(operator, 1), "<i4")
            last = len(source.shape) - 1
            if (
                how is None
                or (kind == "MEAN" and last in how % (last + 1))
                or (kind == "PAD" and how[last].any())
            ):
                return False
        return len(sink.shape) > 0 and sink.shape[-1] % channels == 0

    def write(self) -> bytes:
        """The file with the layers' present weights and biases."""
        for layer in self.layers.values():
            self._write(layer)
        return self.tree.bytes()

    def _write(self, layer: Layer) -> None:
        self._set(layer, WEIGHTS, layer.weights)
        if layer.bias.any() or self.tree.input(layer.operator, BIAS) is not None:
            self._set(layer, BIAS, layer.bias)

    def _set(self, layer: Layer, position: int, values: Array) -> None:
        """Give the layer a constant; a tensor that others read too, such as a bias of zeros, stays theirs."""
        operator, content = layer.operator, values.astype("<f4")
        tensor = self.tree.input(operator, position)
        present = None if tensor is None else self.tree.constant(tensor, "<f4")
        if present is not None and np.array_equal(present, content):
            return
        if tensor is None or len(self._uses(operator.inputs[position])) > 1:
            tensor = self.tree.schema.TensorT()
            output = self.tree.graph.tensors[operator.outputs[0]].name
            tensor.name, tensor.shape = output + b"_own_bias", np.array(content.shape, np.int32)
            tensor.type = self.tree.schema.TensorType.FLOAT32
            self.tree.model.buffers.append(self.tree.schema.BufferT())
            tensor.buffer = len(self.tree.model.buffers) - 1
            self.tree.graph.tensors.append(tensor)
            inputs = [int(i) for i in operator.inputs[:position]] + [len(self.tree.graph.tensors) - 1]
            operator.inputs = np.array(inputs, np.int32)
        self.tree.set_constant(tensor, content)
