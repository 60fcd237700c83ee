"""SPLIT with outputs that nobody uses, as the first step of a recurrent layer has it, written as slices.

Such an output gets a scale of its own. Where that differs, TensorFlow's quantizer leaves the whole SPLIT in
float, for some samples and not for others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.models.rewriting.tree import Tree


def used_parts(content: bytes) -> bytes:
    """A float flatbuffer in which a SLICE makes each used part of such a SPLIT: the same values, moved.

    A file without one comes back as it is.
    """
    tree = Tree(content)
    used = {int(i) for operator in tree.graph.operators for i in operator.inputs}
    used |= {int(i) for i in tree.graph.outputs}
    operators: list[Any] = []
    for operator in tree.graph.operators:
        outputs = [int(i) for i in operator.outputs]
        partly = tree.kind(operator) == "SPLIT" and not used.issuperset(outputs)
        slices = _slices(tree, operator, used) if partly else []
        operators += slices or [operator]
    if len(operators) == len(tree.graph.operators) and all(
        new is old for new, old in zip(operators, tree.graph.operators, strict=True)
    ):
        return content
    tree.graph.operators = operators
    return tree.bytes()


def _slices(tree: Tree, operator: Any, used: set[int]) -> list[Any]:
    """One SLICE for each used output; none where the axis is no constant or sizes are open."""
    axis_of = tree.constant(tree.input(operator, 0), "<i4")
    shape = [int(n) for n in tree.input(operator, 1).shape]
    count = len(operator.outputs)
    if axis_of is None or axis_of.size != 1 or min(shape, default=0) < 1:
        return []
    axis = int(axis_of.reshape(-1)[0])
    if not -len(shape) <= axis < len(shape) or shape[axis] % count:
        return []
    made, size = [], list(shape)
    size[axis] = shape[axis] // count
    for number, output in enumerate(int(i) for i in operator.outputs):
        if output not in used:
            continue
        begin = [0] * len(shape)
        begin[axis] = number * size[axis]
        part = tree.schema.OperatorT()
        part.opcodeIndex = tree.operator_code("SLICE", 1)
        bounds = [_constant(tree, values) for values in (begin, size)]
        part.inputs = np.array([int(operator.inputs[1]), *bounds], np.int32)
        part.outputs = np.array([output], np.int32)
        part.builtinOptionsType = tree.schema.BuiltinOptions.SliceOptions
        part.builtinOptions = tree.schema.SliceOptionsT()
        made.append(part)
    return made


def _constant(tree: Tree, values: list[int]) -> int:
    """The index of a new int32 constant."""
    tensor = tree.schema.TensorT()
    tensor.name = f"part_{len(tree.graph.tensors)}".encode()
    tensor.shape, tensor.type = np.array([len(values)], np.int32), tree.schema.TensorType.INT32
    tree.model.buffers.append(tree.schema.BufferT())
    tensor.buffer = len(tree.model.buffers) - 1
    tree.graph.tensors.append(tensor)
    tree.set_constant(tensor, np.array(values, "<i4"))
    return len(tree.graph.tensors) - 1
