"""The class of a model for ESP-DL 1.1 that uses its coefficients: members, constructor, build(), call()."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_quantcheck.errors import QuantizationError, UsageError
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.formats.onnx import attributes, graph_inputs, kind_of
from pytest_quantcheck.quantizers.espdl.exponents import CLAMPS, COMPUTING, Plan
from pytest_quantcheck.quantizers.espdl.layers import where
from pytest_quantcheck.workflows.espdl.coefficients import identifier, merged_activation, require_order
from pytest_quantcheck.workflows.espdl.setting import Setting
from pytest_quantcheck.workflows.espdl.table import Table

HEADERS = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Reshape": "reshape",
    "Relu": "relu",
    "MaxPool2D": "max_pool2d",
    "AvgPool2D": "avg_pool2d",
    "GlobalAveragePool2D": "global_avg_pool2d",
    "Add2D": "add2d",
    "Sub2D": "sub2d",
    "Mul2D": "mul2d",
}
_PAIRS = {"Add": "Add2D", "Sub": "Sub2D", "Mul": "Mul2D"}
_TO_NHWC = [0, 2, 3, 1]  # what ESP-DL has anyway
NOTE = """// Written by quantcheck for ESP-DL 1.1. Such classes were compiled against headers of the same
// names and signatures only, not with ESP-DL, and ran on no chip. Tensors are height, width, channel.
"""


@dataclass(frozen=True)
class Member:
    """A layer: its type, what its constructor takes, the tensors it reads and makes by their names."""

    name: str
    kind: str
    types: str
    arguments: str
    inputs: tuple[str, ...]
    output: str

    @property
    def type(self) -> str:
        """In C++."""
        return f"dl::layer::{self.kind}<{self.types}>"


def write_model_class(
    graph: Any, plan: Plan, table: Table, setting: Setting, folder: Path, coefficients: str, name: str
) -> Path:
    """Write ``coefficients_model.hpp`` with the class ``name``; returns its path.

    ``coefficients`` names the files of ``write_coefficients``. A tensor's memory is freed after the last
    layer that reads it. Raises ``QuantizationError`` for an operator whose layer is not known here,
    ``UsageError`` for a name that is no identifier of C++.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(
            f"the class name {name!r} is no identifier of C++; letters, digits and _ are allowed"
        )
    inputs = [info.name for info in graph_inputs(graph)]
    if len(inputs) != 1:
        raise QuantizationError(f"the model has {len(inputs)} inputs; a class is written for one")
    members = _Members(graph, plan, table, setting, coefficients).all()
    target = folder / f"{coefficients}_model.hpp"
    text = _text(members, inputs[0], plan.outputs, f"{setting.bit}_t", coefficients, name)
    write_whole(target, text.encode())
    return target


class _Members:
    def __init__(self, graph: Any, plan: Plan, table: Table, setting: Setting, coefficients: str) -> None:
        self.graph, self.plan, self.table, self.setting = graph, plan, table, setting
        self.coefficients = coefficients
        self.feature = f"{setting.bit}_t"
        self._same: dict[str, str] = {}  # tensors that are others in ESP-DL
        self._shapes = _shapes(graph)

    def all(self) -> list[Member]:
        """In the order in which they run."""
        found, taken = list[Member](), set[str]()
        layers = [node for node in self.graph.node if kind_of(node) in COMPUTING]
        titles = {node.output[0]: identifier(node.name or node.output[0], taken) for node in layers}
        for node in self.plan.nodes:
            if kind_of(node) == "Constant" or self._absorbed(node):
                continue
            require_order(self.graph, node)
            made = self._member(node, f"l{len(found) + 1}", titles.get(node.output[0], ""))
            found.append(made)
        if not found:
            raise QuantizationError("no class is written: the model has no layers")
        return found

    def _absorbed(self, node: Any) -> bool:
        """Activations that a layer contains, copies, and turns to what ESP-DL has anyway."""
        kind, source = kind_of(node), node.input[0]
        inside = kind in CLAMPS and source in self.plan.inside
        inside |= kind == "LeakyRelu" and source in self._leaky()
        turned = kind == "Transpose" and list(attributes(node).get("perm", [])) == _TO_NHWC
        if inside or turned or kind == "Identity":
            self._same[node.output[0]] = self._tensor(source)
            return True
        return False

    def _leaky(self) -> set[str]:
        """Results of layers whose leaky ReLU is a part of them."""
        layers = [node for node in self.graph.node if kind_of(node) in COMPUTING]
        merged = {node.output[0]: merged_activation(self.plan, node) for node in layers}
        return {name for name, reader in merged.items() if reader and kind_of(reader) == "LeakyRelu"}

    def _tensor(self, name: str) -> str:
        return self._same.get(name, name)

    def _member(self, node: Any, name: str, title: str) -> Member:
        kind = kind_of(node)
        inputs = tuple(self._tensor(each) for each in node.input if each not in self.plan.constants)
        given = attributes(node)
        exponent = self.table.of(self.plan.quantized_output(node))
        types, output = self.feature, node.output[0]
        if kind in COMPUTING:
            layer, types, arguments = self._computing(node, title, exponent)
        elif kind in ("Flatten", "Reshape"):
            layer, arguments = "Reshape", "{" + ", ".join(map(str, self._flat(node))) + "}"
        elif kind == "MaxPool":
            layer, arguments = "MaxPool2D", f"{_sizes(given['kernel_shape'])}, {self._window(node, given)}"
        elif kind == "AveragePool":
            window = self._window(node, given)
            layer, arguments = "AvgPool2D", f"{exponent}, {_sizes(given['kernel_shape'])}, {window}"
        elif kind == "GlobalAveragePool":
            layer, arguments = "GlobalAveragePool2D", str(exponent)
        elif kind == "Relu":
            layer, arguments = "Relu", ""
        elif kind in _PAIRS and len(inputs) == 2:
            layer, arguments = _PAIRS[kind], f"{exponent}, NULL"
        else:
            self._fail(node, f"its layer is not known; known: {', '.join(HEADERS)} of two activations")
        words = [arguments, f'"{name}"'] if arguments else [f'"{name}"']
        return Member(name, layer, types, ", ".join(words), inputs, output)

    def _computing(self, node: Any, title: str, exponent: int) -> tuple[str, str, str]:
        """Conv, depthwise Conv and Gemm: the document writes a Gemm as a convolution of 1 x 1."""
        dense = kind_of(node) in ("Gemm", "MatMul")
        given = attributes(node)
        has_bias = len(node.input) > 2 and bool(node.input[2])
        space = f"{self.coefficients}::"
        activation = merged_activation(self.plan, node)
        parts = [
            str(exponent),
            f"{space}get_{title}_filter()",
            f"{space}get_{title}_bias()" if has_bias else "NULL",
            f"{space}get_{title}_activation()" if activation is not None else "NULL",
            "PADDING_SAME_END, {}, 1, 1" if dense else self._window(node, given),
        ]
        wide = dense and self.setting.bit == "int8" and self.setting.granularity == "per-channel"
        types = f"{self.feature}, int16_t" if wide else self.feature
        depthwise = not dense and int(given.get("group", 1)) > 1
        return "DepthwiseConv2D" if depthwise else "Conv2D", types, ", ".join(parts)

    def _window(self, node: Any, given: Any) -> str:
        """Padding and strides, as the constructors take them."""
        if given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or given.get("ceil_mode", 0):
            self._fail(node, "auto_pad and ceil_mode are not written; give pads")
        pads, strides = list(given.get("pads", [0] * 4)), list(given.get("strides", [1, 1]))
        if len(pads) != 4 or len(strides) != 2:
            self._fail(node, "windows over images only are written")
        top, left, bottom, right = pads
        padding = (
            f"PADDING_NOT_SET, {{{top}, {bottom}, {left}, {right}}}" if any(pads) else "PADDING_VALID, {}"
        )
        return f"{padding}, {strides[0]}, {strides[1]}"

    def _flat(self, node: Any) -> list[int]:
        shape = self._shapes.get(node.output[0])
        if shape is None or len(shape) != 2:
            self._fail(node, "a reshape to one row only is written")
        return [1, 1, shape[1]]

    def _fail(self, node: Any, reason: str) -> NoReturn:
        raise QuantizationError(f"no class is written: {where(node)}: {reason}")


def _shapes(graph: Any) -> dict[str, list[int]]:
    """Of all tensors whose shapes ONNX infers."""
    from pytest_quantcheck.formats.onnx import load_onnx

    onnx = load_onnx()
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    known = onnx.shape_inference.infer_shapes(model).graph
    return {
        info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in (*known.value_info, *known.output)
    }


def _sizes(values: Sequence[int]) -> str:
    return "{" + ", ".join(str(int(n)) for n in values) + "}"


def _text(
    members: Sequence[Member], source: str, outputs: set[str], feature: str, coefficients: str, name: str
) -> str:
    makers = {member.output: member for member in members}
    # an output that is another tensor in ESP-DL is the layer's that makes it: the last one has it anyway
    kept = {member.name for member in members if member.output in outputs} or {members[-1].name}

    def tensor(what: str) -> str:
        return "input" if what == source else f"this->{makers[what].name}.get_output()"

    last = {each: member.name for member in members for each in member.inputs}
    builds, calls = [], []
    for member in members:
        given = ", ".join(tensor(each) for each in member.inputs)
        builds.append(f"        this->{member.name}.build({given});")
        calls.append(f"        this->{member.name}.call({given});")
        for each in dict.fromkeys(member.inputs):
            if last[each] == member.name and (each == source or makers[each].name not in kept):
                calls.append(f"        {tensor(each)}.free_element();")
        calls.append("")
    hidden = [f"    {each.type} {each.name};" for each in members if each.name not in kept]
    shown = [f"    {each.type} {each.name};" for each in members if each.name in kept]
    made = ",\n          ".join(f"{each.name}({each.type}({each.arguments}))" for each in members)
    headers = "\n".join(
        f'#include "dl_layer_{HEADERS[kind]}.hpp"' for kind in sorted({m.kind for m in members})
    )
    parts = [
        f'#pragma once\n\n#include <stdint.h>\n#include "dl_layer_model.hpp"\n{headers}\n',
        f'#include "{coefficients}.hpp"\n\n{NOTE}using namespace dl;\n\n',
        f"class {name} : public dl::Model<{feature}>\n{{\n",
        "private:\n" + "\n".join(hidden) + "\n\n" if hidden else "",
        "public:\n    // the result is that of get_output()\n" + "\n".join(shown) + "\n\n",
        f"    {name}()\n        : {made}\n    {{\n    }}\n\n",
        f"    void build(dl::Tensor<{feature}> &input)\n    {{\n" + "\n".join(builds) + "\n    }\n\n",
        f"    void call(dl::Tensor<{feature}> &input)\n    {{\n"
        + "\n".join(calls).rstrip()
        + "\n    }\n};\n",
    ]
    return "".join(parts)
