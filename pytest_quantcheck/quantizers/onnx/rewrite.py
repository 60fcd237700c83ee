"""Float ONNX graphs in which operators without an integer version are made of those that have one.

Each rewriting computes the same function; float32 may round it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import (
    attributes,
    constants,
    graph_inputs,
    in_order,
    kind_of,
    load_onnx,
    value_type,
)
from pytest_quantcheck.numerics.arrays import Array

_BEFORE_ALL = -(1 << 31)  # where a Slice that goes backwards ends to reach the first element


def rewrite(graph: Any) -> int:
    """Rewrite all operators that a rule knows, in place; returns of how many. Shapes must be inferred."""
    at = _Rewriting(graph)
    for node in graph.node:
        rule = _RULES.get(kind_of(node))
        if not (rule and rule(at, node)):
            at.made.append(node)
    if at.count:
        replace_nodes(graph, at.made)
        _forget_unused(graph)
    return at.count


def sort(graph: Any) -> None:
    """ONNX wants operators behind those they read from; the quantizer appends them as they come."""
    replace_nodes(graph, in_order(graph))


def replace_nodes(graph: Any, nodes: Sequence[Any]) -> None:
    """Let ``nodes``, some of which may be the graph's own, be its nodes."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _forget_unused(graph: Any) -> None:
    """Take away the constants of operators that are gone; onnxruntime warns of them."""
    used = {name for node in graph.node for name in node.input} | {info.name for info in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    kept = [type(tensor).FromString(tensor.SerializeToString()) for tensor in kept]
    del graph.initializer[:]
    graph.initializer.extend(kept)


class _Rewriting:
    """The graph, what is known of it, and the operators that it will have."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = constants(graph)
        infos = (*graph_inputs(graph), *graph.value_info, *graph.output)
        self.types = {info.name: value_type(info) for info in infos}
        self.names = {name for node in graph.node for name in (*node.input, *node.output)}
        self.names |= {each.name for each in (*infos, *graph.initializer)}
        self.made: list[Any] = []
        self.count = 0

    def constant(self, wanted: str, values: Array) -> str:
        """The name of a new constant."""
        name = self._free(wanted)
        self.graph.initializer.append(load_onnx().numpy_helper.from_array(values, name))
        return name

    def op(self, node: Any, kind: str, inputs: list[str], part: str = "", **how: Any) -> str:
        """An operator in the place of ``node``: its output is the node's, or that of a ``part``."""
        output = self._free(f"{node.output[0]}_{part}") if part else node.output[0]
        name = f"{node.name}_{part}" if part else node.name
        self.made.append(load_onnx().helper.make_node(kind, inputs, [output], name, **how))
        self.count += not part
        return output

    def _free(self, name: str) -> str:
        """The name, made longer until no tensor has it."""
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def sizes(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, None where it is not known."""
        shape, _ = self.types.get(name, (("?",), ""))
        if not all(isinstance(n, int) for n in shape):
            return None
        return tuple(int(n) for n in shape)


def _batch_norm(at: _Rewriting, node: Any) -> bool:
    """One that follows no convolution: a product and a sum per channel."""
    parameters = [at.constants.get(name) for name in node.input[1:5]]
    shape, given = at.sizes(node.input[0]), attributes(node)
    training = given.get("training_mode", 0) or len(node.output) > 1
    if shape is None or any(each is None for each in parameters) or training:
        return False
    scale, bias, mean, variance = (np.asarray(each, np.float64) for each in parameters)
    factor = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
    column = (-1, *(1,) * (len(shape) - 2))
    values = factor, bias - mean * factor
    name = node.output[0]
    names = [
        at.constant(f"{name}_{part}", each.astype(np.float32).reshape(column))
        for part, each in zip(("factor", "offset"), values, strict=True)
    ]
    at.op(node, "Add", [at.op(node, "Mul", [node.input[0], names[0]], "scaled"), names[1]])
    return True


def _quotient(at: _Rewriting, node: Any) -> bool:
    """A division by constants: a product with their reciprocals."""
    divisor = at.constants.get(node.input[1])
    if divisor is None or divisor.dtype != np.float32:
        return False
    with np.errstate(divide="ignore", over="ignore"):
        reciprocals = np.asarray(np.float32(1) / divisor)
    if not np.isfinite(reciprocals).all():
        return False
    at.op(node, "Mul", [node.input[0], at.constant(f"{node.output[0]}_reciprocal", reciprocals)])
    return True


def _computed_bias(at: _Rewriting, node: Any) -> bool:
    """A Gemm whose third input is computed: onnxruntime fuses a MatMul and any Add behind it to one."""
    if len(node.input) != 3 or not node.input[2] or node.input[2] in at.constants:
        return False
    given = attributes(node)
    if given.pop("beta", 1.0) != 1:
        return False
    at.op(node, "Add", [at.op(node, "Gemm", list(node.input[:2]), "product", **given), node.input[2]])
    return True


def _cast(at: _Rewriting, node: Any) -> bool:
    """From float32 to float32, as where a float16 model ends."""
    if (
        at.types.get(node.input[0], ((), ""))[1] != "float32"
        or attributes(node)["to"] != load_onnx().TensorProto.FLOAT
    ):
        return False
    at.op(node, "Identity", [node.input[0]])
    return True


def _prelu(at: _Rewriting, node: Any) -> bool:
    """One slope is a LeakyRelu; several are ``relu(x) + slopes * min(x, 0)``."""
    slopes = at.constants.get(node.input[1])
    if slopes is None:
        return False
    if slopes.size == 1:
        at.op(node, "LeakyRelu", [node.input[0]], alpha=float(slopes.reshape(-1)[0]))
        return True
    zero = at.constant(f"{node.output[0]}_zero", np.zeros((), np.float32))
    above = at.op(node, "Relu", [node.input[0]], "above")
    below = at.op(node, "Clip", [node.input[0], "", zero], "below")
    at.op(node, "Add", [above, at.op(node, "Mul", [below, node.input[1]], "sloped")])
    return True


def _global_max_pool(at: _Rewriting, node: Any) -> bool:
    shape = at.sizes(node.input[0])
    if shape is None:
        return False
    at.op(node, "MaxPool", [node.input[0]], kernel_shape=list(shape[2:]))
    return True


def _gather(at: _Rewriting, node: Any) -> bool:
    """One constant index, or several that are equally far apart: a Slice."""
    indices, shape = at.constants.get(node.input[1]), at.sizes(node.input[0])
    if indices is None or shape is None or indices.ndim > 1 or not indices.size:
        return False
    axis = int(attributes(node).get("axis", 0)) % len(shape)
    chosen = np.where(indices < 0, indices + shape[axis], indices).reshape(-1).astype(np.int64)
    steps = set(np.diff(chosen).tolist()) or {1}
    if len(steps) > 1 or 0 in steps or chosen.min() < 0 or chosen.max() >= shape[axis]:
        return False
    (step,) = steps
    end = int(chosen[-1]) + step
    bounds = {"start": int(chosen[0]), "end": end if end >= 0 else _BEFORE_ALL, "axis": axis, "step": step}
    names = [at.constant(f"{node.output[0]}_{part}", np.asarray([n])) for part, n in bounds.items()]
    if indices.ndim:
        at.op(node, "Slice", [node.input[0], *names])
    else:
        at.op(node, "Squeeze", [at.op(node, "Slice", [node.input[0], *names], "sliced"), names[2]])
    return True


def _depth_to_space(at: _Rewriting, node: Any) -> bool:
    """With batch 1 five axes are enough. Source: ONNX ``DepthToSpace``."""
    shape, given = at.sizes(node.input[0]), attributes(node)
    if shape is None or shape[0] != 1:
        return False
    block, (_, channels, height, width) = given["blocksize"], shape
    depth = channels // block**2
    if given.get("mode", "DCR") == "DCR":
        parts, order = (block, block, depth, height, width), (2, 3, 0, 4, 1)
    else:
        parts, order = (depth, block, block, height, width), (0, 3, 1, 4, 2)
    _reshuffle(at, node, parts, order, (1, depth, height * block, width * block))
    return True


def _space_to_depth(at: _Rewriting, node: Any) -> bool:
    shape = at.sizes(node.input[0])
    if shape is None or shape[0] != 1:
        return False
    block, (_, channels, height, width) = attributes(node)["blocksize"], shape
    out = height // block, width // block
    parts = (channels, out[0], block, out[1], block)
    _reshuffle(at, node, parts, (2, 4, 0, 1, 3), (1, channels * block**2, *out))
    return True


def _reshuffle(
    at: _Rewriting, node: Any, parts: tuple[int, ...], order: tuple[int, ...], out: tuple[int, ...]
) -> None:
    first, last = (
        at.constant(f"{node.output[0]}_{part}", np.asarray(shape, np.int64))
        for part, shape in (("parts", parts), ("shape", out))
    )
    split = at.op(node, "Reshape", [node.input[0], first], "split")
    at.op(node, "Reshape", [at.op(node, "Transpose", [split], "turned", perm=order), last])


_RULES: dict[str, Callable[[_Rewriting, Any], bool]] = {
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Div": _quotient,
    "Gemm": _computed_bias,
    "PRelu": _prelu,
    "Gather": _gather,
    "GlobalMaxPool": _global_max_pool,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
