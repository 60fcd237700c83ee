"""Integer inputs and outputs of a QDQ model: the QuantizeLinear and DequantizeLinear at its edges go away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_quantcheck.errors import QuantizationError
from pytest_quantcheck.formats.onnx import graph_inputs
from pytest_quantcheck.quantizers.onnx.rewrite import replace_nodes


def fold_edges(graph: Any, *, inputs: bool, outputs: bool) -> None:
    """Give the inputs the type behind their QuantizeLinear, the outputs that before their DequantizeLinear.

    Changes ``graph`` in place, in time linear in its size. Raises ``QuantizationError`` where the quantizer
    put something else at an edge.
    """
    edges = _Edges(graph)
    if inputs:
        for info in graph_inputs(graph):
            edges.fold_input(info)
    if outputs:
        for info in graph.output:
            edges.fold_output(info)
    replace_nodes(graph, [node for node in edges.nodes if id(node) not in edges.gone])


class _Edges:
    """The graph with its look-ups, which follow the changes."""

    def __init__(self, graph: Any) -> None:
        self.nodes = list(graph.node)
        self.gone: set[int] = set()
        self.kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
        self.fixed = {info.name for info in (*graph_inputs(graph), *graph.output)}
        self.makers: dict[str, list[Any]] = {}
        self.readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for names, known in ((node.output, self.makers), (node.input, self.readers)):
                for name in dict.fromkeys(names):
                    known.setdefault(name, []).append(node)

    def fold_input(self, info: Any) -> None:
        """What reads the integers behind the QuantizeLinear reads the input."""
        users = self.readers.get(info.name, [])
        if len(users) != 1 or users[0].op_type != "QuantizeLinear":
            raise QuantizationError(_not_folded("input", info.name, users))
        (node,) = users
        self._retype(info, node)
        self.gone.add(id(node))
        self.readers[info.name] = []
        self._rename(node.output[0], info.name)

    def fold_output(self, info: Any) -> None:
        """The integers before the DequantizeLinear become the output."""
        makers, readers = self.makers.get(info.name, []), self.readers.get(info.name, [])
        if len(makers) != 1 or makers[0].op_type != "DequantizeLinear":
            raise QuantizationError(_not_folded("output", info.name, makers))
        (node,) = makers
        integer = node.input[0]
        if integer in self.fixed:
            raise QuantizationError(
                f"output '{info.name}' cannot become an integer: its integers are those of '{integer}', an "
                f"input or another output. Ask for output_type=float32, or leave '{info.name}' out"
            )
        self._retype(info, node)
        self.makers[info.name] = []
        if readers:  # they go on with the real values, by another name
            real = f"{info.name}_DequantizeLinear_Output"
            node.output[0] = real
            self._rename(info.name, real)
        else:
            self.gone.add(id(node))
        self._rename(integer, info.name)

    def _retype(self, info: Any, node: Any) -> None:
        """The type is that of the zero point."""
        info.type.tensor_type.elem_type = self.kinds[node.input[2]]

    def _rename(self, old: str, new: str) -> None:
        """Give a tensor another name wherever it is read or written."""
        for known, side in ((self.readers, "input"), (self.makers, "output")):
            nodes = known.pop(old, [])
            for node in nodes:
                names = getattr(node, side)
                names[:] = [new if name == old else name for name in names]
            known.setdefault(new, []).extend(nodes)


def _not_folded(side: str, name: str, nodes: Sequence[Any]) -> str:
    kinds = ", ".join(node.op_type for node in nodes) or "nothing"
    return (
        f"{side} '{name}' cannot become an integer: onnxruntime put no quantization of its own there, but "
        f"{kinds}. Ask for {side}_type=float32, or replace the operator by one that it quantizes"
    )
