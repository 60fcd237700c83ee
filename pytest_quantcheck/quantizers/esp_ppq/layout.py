"""Images of an ``.espdl`` file are NHWC; a quantized ONNX model keeps the layout of its float model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import load_onnx, parse
from pytest_quantcheck.quantizers.onnx.rewrite import replace_nodes

_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_BEHIND = "__nhwc"


def as_source(
    artefact: bytes,
    inputs: Sequence[tuple[int, ...]],
    outputs: Sequence[tuple[int, ...]],
    metadata: dict[str, str],
) -> bytes:
    """A QDQ model with integer edges, with the shapes of its source at the edges, and other metadata.

    Raises ``QuantizationError`` where shapes are neither those of the source nor their NHWC form.
    """
    model = parse(artefact)
    edges = _Edges(model.graph)
    for info, shape in zip(model.graph.input, inputs, strict=True):
        edges.turn(info, shape, is_input=True)
    for info, shape in zip(model.graph.output, outputs, strict=True):
        edges.turn(info, shape, is_input=False)
    replace_nodes(model.graph, edges.nodes)
    del model.metadata_props[:]
    for key, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    return bytes(model.SerializeToString(deterministic=True))


class _Edges:
    def __init__(self, graph: Any) -> None:
        self.nodes = list(graph.node)
        self._make = load_onnx().helper.make_node

    def turn(self, info: Any, shape: tuple[int, ...], *, is_input: bool) -> None:
        """Give an edge the source's shape: a transposition between two quantizations by one scale."""
        has = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        if has == shape and len(shape) != 4:
            return
        if len(shape) != 4 or has != tuple(shape[axis] for axis in _TO_NHWC):
            raise QuantizationError(f"esp-ppq made {has} of '{info.name}', which has the shape {shape}")
        name, inner = info.name, f"{info.name}{_BEHIND}"
        scale, zero = self._quantization(name, is_input=is_input)
        for node in self.nodes:
            for names in (node.input, node.output):
                for place, each in enumerate(names):
                    if each == name:
                        names[place] = inner
        came, goes, order = (name, inner, _TO_NHWC) if is_input else (inner, name, _TO_NCHW)
        made = [
            self._make("DequantizeLinear", [came, scale, zero], [f"{name}{_BEHIND}_real"]),
            self._make("Transpose", [f"{name}{_BEHIND}_real"], [f"{name}{_BEHIND}_turned"], perm=order),
            self._make("QuantizeLinear", [f"{name}{_BEHIND}_turned", scale, zero], [goes]),
        ]
        self.nodes = [*made, *self.nodes] if is_input else [*self.nodes, *made]
        for dim, size in zip(info.type.tensor_type.shape.dim, shape, strict=True):
            dim.dim_value = size

    def _quantization(self, name: str, *, is_input: bool) -> tuple[str, str]:
        """The names of scale and zero point of an edge."""
        for node in self.nodes:
            if name in (node.input[:1] if is_input else node.output):
                return node.input[1], node.input[2]
        raise QuantizationError(f"esp-ppq left nothing that reads or makes '{name}'")
