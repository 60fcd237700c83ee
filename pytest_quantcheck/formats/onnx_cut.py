"""What needs no network is cut off an ``.onnx`` file: constant outputs, such as the anchors of a detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.onnx import (
    attributes,
    damage_told,
    in_order,
    kind_of,
    load_onnx,
    parse,
    value_type,
)
from pytest_quantcheck.numerics.arrays import Array

MOST_VALUES = 1 << 22
"""In a constant and in what makes it: a damaged file must not ask for all the memory."""
FOLDED = frozenset(
    [
        "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear", "Div", "Expand",
        "Gather", "Identity", "Mul", "QuantizeLinear", "Reshape", "Slice", "Squeeze", "Sub", "Tile",
        "Transpose", "Unsqueeze",
    ]
)  # fmt: skip
"""The operators that exporters leave between constants and an output."""


def cut_constant_outputs(content: bytes) -> tuple[bytes, dict[int, Array]]:
    """``content`` without the outputs that follow from no input, and their values by their old position.

    Some output is left. A known shape is a constant. Raises ``ModelError`` for damaged files.
    """
    with damage_told():
        graph = parse(content).graph
        if not _constant_outputs(graph, _Known(graph, strict=False)):
            return content, {}
        model = load_onnx().shape_inference.infer_shapes(parse(content), data_prop=True)
        known = _Known(model.graph, strict=True)
        places = _constant_outputs(model.graph, known)
        if not places or len(places) == len(model.graph.output):
            return content, {}
        values = known.values(model, [model.graph.output[place].name for place in places])
        model = parse(content)
        for place in reversed(places):
            del model.graph.output[place]
        return bytes(model.SerializeToString(deterministic=True)), dict(zip(places, values, strict=True))


def _constant_outputs(graph: Any, known: _Known) -> list[int]:
    return [place for place, info in enumerate(graph.output) if info.name in known.names]


class _Known:
    """The tensors of a graph that follow from no input; ``strict``: only those of a known, moderate size."""

    def __init__(self, graph: Any, *, strict: bool) -> None:
        self._sizes: dict[str, tuple[int | str, ...]] = {}
        for info in (*graph.input, *graph.output, *graph.value_info):
            self._sizes[info.name] = value_type(info)[0]
        self.names = {tensor.name for tensor in graph.initializer}
        self._nodes: list[Any] = []
        for node in in_order(graph):
            if self._follows(node, strict):
                self._nodes.append(node)
                self.names.update(node.output)

    def _follows(self, node: Any, strict: bool) -> bool:
        if kind_of(node) == "Shape":
            return not strict or _is_closed(self._sizes.get(node.input[0]))
        if kind_of(node) not in FOLDED or not self.names.issuperset(filter(None, node.input)):
            return False
        sizes = [self._sizes.get(name) for name in node.output]
        return not strict or kind_of(node) == "Constant" or all(map(_is_moderate, sizes))

    def values(self, model: Any, names: Sequence[str]) -> list[Array]:
        """What these tensors hold, by ONNX's own reference implementation, node by node.

        Raises ``ModelError`` for one that has more values than its file declares and than are moderate.
        """
        from onnx.reference import ReferenceEvaluator

        onnx_ = load_onnx()
        held = {each.name: onnx_.numpy_helper.to_array(each) for each in model.graph.initializer}
        for node in self._nodes:
            if kind_of(node) == "Shape":
                held[node.output[0]] = self._shape(node)
                continue
            given = {name: held[name] for name in node.input if name}
            if (count := _values_made(kind_of(node), list(given.values()))) > MOST_VALUES:
                raise ModelError(
                    f"the constant {node.output[0]!r} ({kind_of(node)}) has {count:,} values, and the file "
                    f"declares fewer: at most {MOST_VALUES:,} are computed"
                )
            edges = [
                [onnx_.helper.make_empty_tensor_value_info(name) for name in some]
                for some in (given, node.output)
            ]
            graph = onnx_.helper.make_graph([node], "constants", *edges)
            part = onnx_.helper.make_model(
                graph,
                opset_imports=model.opset_import,
                ir_version=model.ir_version,
                functions=model.functions,
            )
            made = ReferenceEvaluator(part).run(None, given)
            held.update(zip(node.output, made, strict=True))
        return [np.asarray(held[name]) for name in names]

    def _shape(self, node: Any) -> Array:
        limits = attributes(node)
        return np.asarray(self._sizes[node.input[0]][limits.get("start", 0) : limits.get("end")], np.int64)


def _is_closed(size: tuple[int | str, ...] | None) -> bool:
    return size is not None and all(isinstance(n, int) and n >= 0 for n in size)


def _is_moderate(size: tuple[int | str, ...] | None) -> bool:
    return _is_closed(size) and math.prod(n for n in size or () if isinstance(n, int)) <= MOST_VALUES


def _values_made(kind: str, inputs: list[Array]) -> int:
    """How many values an operator of ``FOLDED`` makes at most."""
    if not inputs:
        return 0
    sizes = [each.size for each in inputs]
    if kind == "ConstantOfShape":
        return _product(inputs[0])
    if kind in ("Expand", "Tile") and len(inputs) > 1:
        return sizes[0] * _product(inputs[1])
    if kind == "Gather":
        return math.prod(sizes)
    if kind in ("Add", "Div", "Mul", "Sub"):
        return math.prod(np.broadcast_shapes(*(each.shape for each in inputs)))
    return sum(sizes)


def _product(sizes: Array) -> int:
    return math.prod(int(n) for n in sizes.reshape(-1))
