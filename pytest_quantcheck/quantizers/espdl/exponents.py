"""Which tensors of a float ONNX graph are quantized, and which share an exponent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_quantcheck.formats.onnx import constants, graph_inputs, in_order, kind_of

# inputs and outputs of these have one exponent: they move, choose or limit integers
SHARING = (
    *("Concat", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Pad", "Resize"),
    *("MaxPool", "Relu", "Clip", "LeakyRelu", "Identity", "Dropout"),
)
ADDING = ("Add", "Sub")  # their inputs get the exponent of their output
COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
CLAMPS = ("Relu", "Clip")  # directly behind a computing operator they are part of it


class Plan:
    """The graph's look-ups, and the groups of tensors with one exponent."""

    def __init__(self, graph: Any) -> None:
        self.constants = constants(graph)
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {info.name for info in graph.output}
        self.nodes = in_order(graph)
        self.made = {name for node in graph.node for name in node.output if name}
        self.inside = {node.output[0] for node in graph.node if self._is_clamped(node)}
        inputs = [info.name for info in graph_inputs(graph)]
        made = [name for node in graph.node for name in node.output if name]
        self.quantized = [n for n in (*inputs, *made) if n not in self.inside and n not in self.constants]
        self._parent = {name: name for name in self.quantized}
        for node in graph.node:
            if kind_of(node) in SHARING:
                self._join(n for n in (*node.input, *node.output) if n in self._parent)

    def _is_clamped(self, node: Any) -> bool:
        """Whether the output is limited before it is quantized."""
        if kind_of(node) not in COMPUTING or node.output[0] in self.outputs:
            return False
        readers = self.readers.get(node.output[0], [])
        return len(readers) == 1 and kind_of(readers[0]) in CLAMPS

    def _join(self, names: Iterable[str]) -> None:
        roots = [self._root(name) for name in names]
        for root in roots[1:]:
            self._parent[self._root(root)] = self._root(roots[0])

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def quantized_output(self, node: Any) -> str:
        """The tensor that holds an operator's integers: behind its clamp where it has one."""
        name = str(node.output[0])
        return str(self.readers[name][0].output[0]) if name in self.inside else name

    def shared(self, exponents: Mapping[str, int]) -> dict[str, int]:
        """The largest exponent of its group for each tensor."""
        most: dict[str, int] = {}
        for name, exponent in exponents.items():
            root = self._root(name)
            most[root] = max(most.get(root, exponent), exponent)
        return {name: most[self._root(name)] for name in exponents}

    def aligned(self, exponents: Mapping[str, int]) -> dict[str, int]:
        """With what a sum alone reads on the sum's exponent already.

        Source: esp-ppq ``QuantAlignmentPass``. What shares its exponent, or has other readers, is rescaled
        at the sum instead.
        """
        changed = dict(exponents)
        members: dict[str, int] = {}
        for name in exponents:
            members[self._root(name)] = members.get(self._root(name), 0) + 1
        for node in reversed(self.nodes):
            if kind_of(node) not in ADDING:
                continue
            for name in node.input:
                alone = len(self.readers[name]) == 1 and name not in self.outputs and name in self.made
                if name in changed and alone and members[self._root(name)] == 1:
                    changed[name] = changed[self.quantized_output(node)]
        return changed
