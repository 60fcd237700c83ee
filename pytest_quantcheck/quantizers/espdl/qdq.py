"""A float ONNX graph with exponents becomes a QDQ model whose scales are powers of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import attributes, kind_of, load_onnx
from pytest_quantcheck.graph.from_onnx.read import DTYPE, ROUNDING
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.power_of_two import dequantize, quantize
from pytest_quantcheck.quantizers.espdl.exponents import ADDING, COMPUTING, Plan
from pytest_quantcheck.quantizers.espdl.layers import Rules, quantize_layer
from pytest_quantcheck.quantizers.espdl.options import EspdlOptions
from pytest_quantcheck.quantizers.onnx.rewrite import replace_nodes

TARGET, GENERATION = "quantcheck.target", "quantcheck.generation"  # metadata of the artefact


class Builder:
    """The graph while it is rewritten, node by node."""

    def __init__(
        self,
        graph: Any,
        plan: Plan,
        exponents: Mapping[str, int],
        rules: Rules,
        fixed: Mapping[str, IntArray] | None = None,
    ) -> None:
        self.graph, self.plan, self.exponents, self.rules = graph, plan, exponents, rules
        self.fixed = fixed or {}  # exponents of weights and biases that are known already
        self.chosen: dict[str, IntArray] = {}  # those of all weights and biases, in the end
        self.nodes: list[Any] = []
        self._onnx = load_onnx()
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self._taken |= {each.name for each in (*graph.initializer, *graph.input)}
        self._real: dict[str, str] = {}  # float tensor -> what its readers read
        self._integer: dict[str, str] = {}

    def build(self) -> None:
        """Rewrite the graph in place."""
        for info in self.graph.input:
            if info.name in self.exponents:
                self._quantize(info.name, info.name)
        for node in list(self.graph.node):
            if kind_of(node) != "Constant":
                self._node(node)
        replace_nodes(self.graph, self.nodes)
        used = {name for node in self.nodes for name in node.input}
        kept = [each for each in self.graph.initializer if each.name in used]
        kept = [type(each).FromString(each.SerializeToString()) for each in kept]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        del self.graph.value_info[:]

    def _name(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def _add(self, kind: str, inputs: list[str], output: str, **how: Any) -> str:
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [output], f"{output}_{kind}", **how))
        return output

    def _constant(self, wanted: str, values: Array) -> str:
        name = self._name(wanted)
        self.graph.initializer.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        self.plan.constants[name] = values
        return name

    def _parameters(self, name: str, exponent: int) -> list[str]:
        """Scale and zero point of an activation."""
        scale = self._constant(f"{name}_scale", np.asarray(2.0**exponent, np.float32))
        return [scale, self._constant(f"{name}_zero", np.zeros((), self.rules.dtype))]

    def _quantize(self, name: str, source: str) -> None:
        """The integer tensor of ``name`` from ``source``, and the float one for its readers."""
        scale, zero = self._parameters(name, self.exponents[name])
        integer = self._add("QuantizeLinear", [source, scale, zero], self._name(f"{name}_q"))
        self._integer[name] = integer
        real = name if name in self.plan.outputs else self._name(f"{name}_dq")
        self._real[name] = self._add("DequantizeLinear", [integer, scale, zero], real)

    def _node(self, node: Any) -> None:
        copy = type(node).FromString(node.SerializeToString())
        kind = kind_of(node)
        if kind in COMPUTING:
            self._layer(copy, node)
        elif kind in (*ADDING, "Mul", "PRelu"):
            copy.input[:] = [self._operand(node, name) for name in node.input]
        else:
            copy.input[:] = [self._real.get(name, name) for name in node.input]
        if kind == "LeakyRelu":
            self._slope(copy)
        outputs = list(copy.output)
        copy.output[:] = [
            self._name(f"{name}_real") if name in self.plan.outputs else name for name in outputs
        ]
        self.nodes.append(copy)
        for name, made in zip(outputs, copy.output, strict=True):
            if name in self.exponents:
                self._quantize(name, made)

    def _operand(self, node: Any, name: str) -> str:
        """An input of an operator with two: a constant as integers, a sum's on the scale of its output."""
        adding = kind_of(node) in ADDING
        wanted = self.exponents.get(node.output[0], 0)
        if name in self.plan.constants and name not in self._real:
            values = self.plan.constants[name]
            exponent = wanted if adding else self.rules.exponent(values)
            integers = quantize(values, exponent, self.rules.dtype, rounding=self.rules.weights)
            return self._restored(name, integers, np.asarray(exponent))
        if adding and name in self.exponents and self.exponents[name] != wanted:
            scale, zero = self._parameters(name, wanted)
            integer = self._add("QuantizeLinear", [self._real[name], scale, zero], self._name(f"{name}_q"))
            return self._add("DequantizeLinear", [integer, scale, zero], self._name(f"{name}_dq"))
        return self._real.get(name, name)

    def _restored(self, name: str, integers: Array, exponents: IntArray, axis: int = 0) -> str:
        """The float tensor that an integer constant stands for."""
        scales = np.ldexp(np.float32(1), exponents).astype(np.float32)
        how = {} if scales.ndim == 0 else {"axis": axis}
        inputs = [self._constant(f"{name}_q", integers), self._constant(f"{name}_scale", scales)]
        inputs.append(self._constant(f"{name}_zero", np.zeros(scales.shape, integers.dtype)))
        return self._add("DequantizeLinear", inputs, self._name(f"{name}_dq"), **how)

    def _slope(self, node: Any) -> None:
        """The nearest slope that is an integer times a power of two."""
        slope = np.asarray(attributes(node).get("alpha", 0.01), np.float32)
        exponent = self.rules.exponent(slope)
        near = dequantize(quantize(slope, exponent, self.rules.dtype, rounding=self.rules.weights), exponent)
        del node.attribute[:]
        node.attribute.append(self._onnx.helper.make_attribute("alpha", float(near)))

    def _layer(self, copy: Any, node: Any) -> None:
        """Weights and bias of a Conv, Gemm or MatMul."""
        layer = quantize_layer(node, self.plan, self.exponents, self.rules, self.fixed)
        self.chosen[node.input[1]] = layer.exponents
        weights = self._restored(node.input[1], layer.weights, layer.exponents, layer.axis)
        copy.input[:] = [self._real[node.input[0]], weights]
        if layer.bias is not None:
            self.chosen[node.input[2]] = layer.bias_exponents
            # a float32 has 24 digits, so that 32 bits and an exponent hold it
            length = np.frexp(np.abs(layer.bias).astype(np.float64))[1].astype(np.int64)
            more = np.maximum(length - 31, 0)
            values = (layer.bias >> more).astype(np.int32)
            copy.input.append(self._restored(node.input[2], values, layer.bias_exponents + more))


def say(model: Any, rules: Rules, options: EspdlOptions) -> None:
    """Write into the artefact what decides its integers beside its scales."""
    del model.metadata_props[:]
    said = {
        ROUNDING: rules.sums,
        DTYPE: rules.dtype,
        TARGET: options.target,
        GENERATION: str(options.generation),
    }
    for key, value in said.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
