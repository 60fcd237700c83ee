"""The coefficients of all layers as C++ for ESP-DL 1.1: filters, biases, activations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.errors import QuantizationError, UsageError
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.formats.filter_blocks import BLOCK_BYTES, blocked
from pytest_quantcheck.formats.onnx import attributes, kind_of
from pytest_quantcheck.numerics.arrays import Array, IntArray
from pytest_quantcheck.numerics.power_of_two import quantize
from pytest_quantcheck.quantizers.espdl.exponents import COMPUTING, Plan
from pytest_quantcheck.quantizers.espdl.layers import Layer, quantize_layer, where
from pytest_quantcheck.workflows.espdl.setting import Setting
from pytest_quantcheck.workflows.espdl.table import Table

BLOCKED = ("esp32s3",)  # chips whose order of elements is known
LINE = 16  # elements in one line of a file
NO_ORDER = (
    "// The order of elements for this chip is documented nowhere: filters lie as height, width, input\n"
    "// channel, output channel. Whether its kernels read them so was not tested.\n"
)


@dataclass(frozen=True)
class Source:
    """Lines of the ``.cpp`` and of the ``.hpp``."""

    definitions: str
    declarations: str


def write_coefficients(
    graph: Any, plan: Plan, table: Table, setting: Setting, folder: Path, name: str
) -> tuple[Path, Path]:
    """Write ``name.cpp`` and ``name.hpp``; returns both paths.

    Raises ``QuantizationError`` for a layer that ESP-DL 1.1 does not have, ``UsageError`` for a name that is
    no identifier of C++ or a folder that does not exist.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"the file name {name!r} becomes a namespace; letters, digits and _ are allowed")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    exponents = {each: table.of(each) for each in plan.quantized}
    parts, taken = [], set[str]()
    for node in graph.node:
        if kind_of(node) not in COMPUTING:
            continue
        layer = quantize_layer(node, plan, exponents, setting.rules, table.constants)
        title = identifier(node.name or node.output[0], taken)
        require_order(graph, node)
        parts.append(_filter(node, layer, title, setting))
        if layer.bias is not None:
            parts.append(_bias(layer, title, setting))
        parts += _activation(plan, node, title, setting)
    return _write(parts, folder, name, setting)


def _write(parts: Iterable[Source], folder: Path, name: str, setting: Setting) -> tuple[Path, Path]:
    note = "" if setting.target in BLOCKED else NO_ORDER
    definitions = "\n".join(part.definitions for part in parts)
    declarations = "\n".join(part.declarations for part in parts)
    cpp, hpp = folder / f"{name}.cpp", folder / f"{name}.hpp"
    body = f'#include "{name}.hpp"\n\nusing namespace dl;\n\n{note}namespace {name}\n{{\n{definitions}}}\n'
    write_whole(cpp, body.encode())
    includes = '#pragma once\n\n#include <stdint.h>\n#include "dl_constant.hpp"\n'
    write_whole(hpp, f"{includes}\nnamespace {name}\n{{\n{declarations}\n}}\n".encode())
    return cpp, hpp


def identifier(name: str, taken: set[str]) -> str:
    """A name for C++ that no other layer has."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    word = f"_{word}" if word[0].isdigit() else word
    while word in taken:
        word += "_"
    taken.add(word)
    return word


def require_order(graph: Any, node: Any) -> None:
    """ESP-DL flattens height, width, channel; a Gemm behind a Flatten of NCHW has its rows otherwise."""
    makers = {name: each for each in graph.node for name in each.output}
    maker = makers.get(node.input[0])
    if (
        kind_of(node) not in ("Gemm", "MatMul")
        or maker is None
        or kind_of(maker) not in ("Flatten", "Reshape")
    ):
        return
    before = makers.get(maker.input[0])
    while before is not None and kind_of(before) in ("Relu", "Clip", "LeakyRelu", "MaxPool", "Identity"):
        before = makers.get(before.input[0])
    if before is not None and kind_of(before) in ("Conv", "ConvTranspose", "AveragePool", "Concat"):
        raise QuantizationError(
            f"{where(node)} reads a flattened image with its channels outside, and ESP-DL flattens with them "
            "inside; put a Transpose to (N, H, W, C) before the Flatten and train or permute the weights so"
        )


def _filter(node: Any, layer: Layer, title: str, setting: Setting) -> Source:
    cells, depthwise = _cells(node, layer)
    block = BLOCK_BYTES // np.dtype(setting.bit).itemsize
    if setting.target not in BLOCKED:
        flat = cells.reshape(-1)
    else:
        order = (2, 0, 1, 3) if depthwise else (3, 0, 1, 2)
        flat = blocked(cells.transpose(order), block, side_by_side=depthwise)
    dilation = attributes(node).get("dilations", [1, 1]) if kind_of(node) == "Conv" else [1, 1]
    kind = f"{setting.bit}_t"
    element = _array(kind, f"{title}_filter_element", flat, aligned=True)
    shape = "{" + ", ".join(str(n) for n in cells.shape) + "}"
    spread = "{" + ", ".join(str(n) for n in dilation) + "}"
    if layer.exponents.ndim:
        each = _array("int8_t", f"{title}_filter_channel_exponent", layer.exponents)
        scale = f"{title}_filter_channel_exponent, {layer.exponents.size}"
        element += each
    else:
        scale = str(int(layer.exponents))
    made = f"{title}_filter({title}_filter_element, {scale}, {shape}, {spread})"
    return _getter("Filter", kind, title, "filter", element, made)


def _cells(node: Any, layer: Layer) -> tuple[Array, bool]:
    """Weights as height, width, input channel, output channel; a depthwise layer's have one output each."""
    if kind_of(node) in ("Gemm", "MatMul"):
        matrix = layer.weights.T if layer.axis == 0 else layer.weights
        return matrix.reshape(1, 1, *matrix.shape), False
    groups = int(attributes(node).get("group", 1))
    if kind_of(node) != "Conv" or layer.weights.ndim != 4:
        raise QuantizationError(f"{where(node)} is not a layer of ESP-DL 1.1; Conv over images and Gemm are")
    if groups == 1:
        return layer.weights.transpose(2, 3, 1, 0), False
    if layer.weights.shape[1] != 1 or groups != len(layer.weights):
        raise QuantizationError(
            f"{where(node)} has {groups} groups; ESP-DL 1.1 has one, or one for each channel"
        )
    return layer.weights.transpose(2, 3, 0, 1), True


def _bias(layer: Layer, title: str, setting: Setting) -> Source:
    assert layer.bias is not None
    kind = f"int{max(layer.bias_bits, 8 if setting.bit == 'int8' else 16)}_t"
    element = _array(kind, f"{title}_bias_element", layer.bias, aligned=True)
    size = f"{{{layer.bias.size},}}"
    if len(set(layer.bias_exponents.tolist())) > 1:
        element += _array("int8_t", f"{title}_bias_channel_exponent", layer.bias_exponents)
        scale = f"{title}_bias_channel_exponent, {layer.bias.size}"
    else:
        scale = str(int(layer.bias_exponents[0]))
    return _getter(
        "Bias", kind, title, "bias", element, f"{title}_bias({title}_bias_element, {scale}, {size})"
    )


def merged_activation(plan: Plan, node: Any) -> Any:
    """The Relu, LeakyRelu or Clip that alone reads a layer's result and becomes a part of it, or None."""
    readers = plan.readers.get(node.output[0], [])
    alone = len(readers) == 1 and node.output[0] not in plan.outputs
    return readers[0] if alone and kind_of(readers[0]) in ("Relu", "LeakyRelu", "Clip") else None


def _activation(plan: Plan, node: Any, title: str, setting: Setting) -> list[Source]:
    """The one directly behind a layer, where ESP-DL has it."""
    reader = merged_activation(plan, node)
    if reader is None:
        return []
    kind = f"{setting.bit}_t"
    if kind_of(reader) == "Relu":
        return [_getter("Activation", kind, title, "activation", "", f"{title}_activation(ReLU)")]
    if kind_of(reader) == "LeakyRelu":
        slope = np.asarray([attributes(reader).get("alpha", 0.01)], np.float32)
        exponent = setting.rules.exponent(slope)
        values = quantize(slope, exponent, setting.bit)
        element = _array(kind, f"{title}_activation_element", values)
        made = f"{title}_activation(LeakyReLU, {title}_activation_element, {exponent}, {{1,}})"
        return [_getter("Activation", kind, title, "activation", element, made)]
    if kind_of(reader) == "Clip":
        raise QuantizationError(
            f"{where(reader)} limits {where(node)}; ESP-DL 1.1 has ReLU and LeakyReLU. Train with ReLU"
        )
    return []


def _array(kind: str, name: str, values: Array | IntArray, *, aligned: bool = False) -> str:
    rows = [values[i : i + LINE].tolist() for i in range(0, values.size, LINE)]
    text = ",\n".join("    " + ", ".join(str(int(n)) for n in row) for row in rows)
    alignment = "__attribute__((aligned(16))) " if aligned else ""
    return f"const static {alignment}{kind} {name}[] = {{\n{text}}};\n"


def _getter(what: str, kind: str, title: str, part: str, element: str, made: str) -> Source:
    """The constant, and the function that gives its address."""
    function = f"{what}<{kind}> *get_{title}_{part}()"
    constant = f"const static {what}<{kind}> {made};\n"
    definition = f"{element}{constant}const {function} {{ return &{title}_{part}; }}\n"
    return Source(definition, f"const dl::{function};")
