"""Operators of one value that TensorFlow's quantizers leave in float, as products and sums that they know.

Keras's normalizations are made of them: LayerNormalization of NEG, RMSNormalization of SQUARE.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.models.rewriting.tree import Tree

_REWRITTEN = ("NEG", "SQUARE", "ADD_N")


def as_products(content: bytes) -> bytes:
    """A float flatbuffer in which NEG is a product with -1, SQUARE one with itself, ADD_N sums of two: the
    same values. A file without any comes back as it is.
    """
    tree = Tree(content)
    if not {tree.kind(operator) for operator in tree.graph.operators}.intersection(_REWRITTEN):
        return content
    operators: list[Any] = []
    for operator in tree.graph.operators:
        inputs, kind = [int(i) for i in operator.inputs], tree.kind(operator)
        is_float = tree.input(operator, 0) is not None and (
            tree.input(operator, 0).type == tree.schema.TensorType.FLOAT32
        )
        if kind not in _REWRITTEN or not is_float or (kind == "ADD_N" and len(inputs) < 2):
            operators.append(operator)
        elif kind == "ADD_N":
            operators += _sums(tree, operator, inputs)
        else:
            other = inputs[0] if kind == "SQUARE" else _minus_one(tree)
            operators.append(_pair(tree, "MUL", [inputs[0], other], int(operator.outputs[0])))
    tree.graph.operators = operators
    _forget_unused(tree)
    return tree.bytes()


def _forget_unused(tree: Tree) -> None:
    """Operator codes that nobody has: TensorFlow's calibrator looks every one of them up."""
    used = sorted({operator.opcodeIndex for graph in tree.model.subgraphs for operator in graph.operators})
    places = {index: place for place, index in enumerate(used)}
    for graph in tree.model.subgraphs:
        for operator in graph.operators:
            operator.opcodeIndex = places[operator.opcodeIndex]
    tree.model.operatorCodes = [tree.model.operatorCodes[index] for index in used]


def _sums(tree: Tree, operator: Any, inputs: list[int]) -> list[Any]:
    made, total = [], inputs[0]
    for number, more in enumerate(inputs[1:], 2):
        output = int(operator.outputs[0])
        if number < len(inputs):
            output = _like(tree, output, f"sum_of_{number}")
        made.append(_pair(tree, "ADD", [total, more], output))
        total = output
    return made


def _pair(tree: Tree, kind: str, inputs: list[int], output: int) -> Any:
    """ADD or MUL without an activation."""
    made = tree.schema.OperatorT()
    made.opcodeIndex = tree.operator_code(kind, 1)
    made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    name = {"ADD": "AddOptions", "MUL": "MulOptions"}[kind]
    made.builtinOptionsType = getattr(tree.schema.BuiltinOptions, name)
    made.builtinOptions = getattr(tree.schema, f"{name}T")()
    return made


def _like(tree: Tree, index: int, name: str) -> int:
    """The index of a new activation that looks like another one."""
    old, tensor = tree.graph.tensors[index], tree.schema.TensorT()
    tensor.name = bytes(old.name) + f"/{name}".encode()
    tensor.shape, tensor.shapeSignature, tensor.type = old.shape, old.shapeSignature, old.type
    tensor.buffer = 0
    tree.graph.tensors.append(tensor)
    return len(tree.graph.tensors) - 1


def _minus_one(tree: Tree) -> int:
    """The index of a new constant."""
    tensor = tree.schema.TensorT()
    tensor.name = f"minus_one_{len(tree.graph.tensors)}".encode()
    tensor.shape, tensor.type = np.array([], np.int32), tree.schema.TensorType.FLOAT32
    tree.model.buffers.append(tree.schema.BufferT())
    tensor.buffer = len(tree.model.buffers) - 1
    tree.graph.tensors.append(tensor)
    tree.set_constant(tensor, np.array(-1, "<f4"))
    return len(tree.graph.tensors) - 1
