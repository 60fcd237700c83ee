"""Float ONNX graphs in which operators without an integer version are made of those that have one.

Each rewriting computes the same function; float32 may round it elsewhere.
"""

from __future__ import annotations

import math
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

_AXES_ARE_INPUTS = 18  # from this operator set on, of ReduceMean
_MOST_COPIES = 16  # of a tensor, joined in place of a Tile, Expand or Pad
_BEFORE_ALL = -(1 << 31)  # where a Slice that goes backwards ends to reach the first element


def rewrite(graph: Any, opset: int) -> int:
    """Rewrite all operators that a rule knows, in place; returns of how many. Shapes must be inferred."""
    at = _Rewriting(graph, opset)
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

    def __init__(self, graph: Any, opset: int) -> None:
        self.graph, self.opset = graph, opset
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

    def cut(self, node: Any, name: str, bounds: tuple[int, int, int], axis: int) -> str:
        """The positions from start to end in steps of an axis; an end of -1 is before the first."""
        start, end, step = bounds
        numbers = {"start": start, "end": end if end >= 0 else _BEFORE_ALL, "axis": axis, "step": step}
        names = [self.constant(f"{node.output[0]}_{part}", np.asarray([n])) for part, n in numbers.items()]
        return self.op(node, "Slice", [name, *names], f"part{axis}from{start}")

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
    """A division: a product with the reciprocals."""
    divisor = at.constants.get(node.input[1])
    if divisor is None and at.types.get(node.input[1], ((), ""))[1] == "float32":
        at.op(node, "Mul", [node.input[0], at.op(node, "Reciprocal", [node.input[1]], "reciprocal")])
        return True
    if divisor is None or divisor.dtype != np.float32:
        return False
    with np.errstate(divide="ignore", over="ignore"):
        reciprocals = np.asarray(np.float32(1) / divisor)
    if not np.isfinite(reciprocals).all():
        return False
    at.op(node, "Mul", [node.input[0], at.constant(f"{node.output[0]}_reciprocal", reciprocals)])
    return True


def _gemm(at: _Rewriting, node: Any) -> bool:
    """One whose third input is computed, as onnxruntime fuses a MatMul and any Add behind it; or whose bias
    is no vector, or alpha and beta not 1: they go into the constants.
    """
    if len(node.input) != 3 or not node.input[2] or node.input[2] in at.constants:
        return _plain_gemm(at, node)
    given = attributes(node)
    if given.pop("beta", 1.0) != 1:
        return False
    at.op(node, "Add", [at.op(node, "Gemm", list(node.input[:2]), "product", **given), node.input[2]])
    return True


def _plain_gemm(at: _Rewriting, node: Any) -> bool:
    given, weights = attributes(node), at.constants.get(node.input[1])
    alpha, beta = given.pop("alpha", 1.0), given.pop("beta", 1.0)
    if weights is None or weights.ndim != 2 or given.get("transA", 0):
        return False
    bias = at.constants[node.input[2]] if len(node.input) == 3 and node.input[2] else None
    units = weights.shape[0 if given.get("transB", 0) else 1]
    row = bias is not None and bias.shape != (units,) and bias.size in (1, units)
    if (alpha, beta) == (1, 1) and not row:
        return False
    inputs = [node.input[0], node.input[1]]
    if alpha != 1:
        inputs[1] = at.constant(f"{node.output[0]}_weights", weights * np.float32(alpha))
    if bias is not None:
        if bias.size not in (1, units):
            return False
        whole = np.broadcast_to(bias.reshape(-1) * np.float32(beta), units)
        inputs.append(at.constant(f"{node.output[0]}_bias", np.ascontiguousarray(whole)))
    at.op(node, "Gemm", inputs, **given)
    return True


def _conv_transpose(at: _Rewriting, node: Any) -> bool:
    """Groups are zeros in the weights of one group, dilations zeros between the weights."""
    weights, given = at.constants.get(node.input[1]), attributes(node)
    groups, dilations = given.pop("group", 1), given.pop("dilations", None)
    if weights is None or (groups == 1 and set(dilations or [1]) == {1}):
        return False
    inputs, outputs, *kernel = weights.shape
    steps = dilations or [1] * len(kernel)
    wide = [(n - 1) * step + 1 for n, step in zip(kernel, steps, strict=True)]
    whole = np.zeros((inputs, groups * outputs, *wide), np.float32)
    places = tuple(slice(None, None, step) for step in steps)
    for group in range(groups):
        rows = slice(group * inputs // groups, (group + 1) * inputs // groups)
        columns = slice(group * outputs, (group + 1) * outputs)
        whole[(rows, columns, *places)] = weights[rows]
    given["kernel_shape"] = wide
    names = [node.input[0], at.constant(f"{node.output[0]}_weights", whole), *node.input[2:]]
    at.op(node, "ConvTranspose", names, **given)
    return True


def _layer_norm(at: _Rewriting, node: Any) -> bool:
    """LayerNormalization, whose other outputs nobody reads."""
    shape, given = at.sizes(node.input[0]), attributes(node)
    if shape is None or len(node.output) > 1:
        return False
    first = given.get("axis", -1) % len(shape)
    _normalized(at, node, list(range(first, len(shape))), given.get("epsilon", 1e-5), list(node.input[1:]))
    return True


def _instance_norm(at: _Rewriting, node: Any) -> bool:
    """InstanceNormalization: each channel by itself."""
    shape, parameters = at.sizes(node.input[0]), [at.constants.get(name) for name in node.input[1:]]
    if shape is None or any(each is None for each in parameters):
        return False
    column = (-1, *(1,) * (len(shape) - 2))
    names = [
        at.constant(f"{node.output[0]}_{i}", np.asarray(each).reshape(column))
        for i, each in enumerate(parameters)
    ]
    epsilon = attributes(node).get("epsilon", 1e-5)
    _normalized(at, node, list(range(2, len(shape))), epsilon, names)
    return True


def _normalized(at: _Rewriting, node: Any, axes: list[int], epsilon: float, parameters: list[str]) -> None:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias``, in operators of their own."""

    def mean(name: str, part: str) -> str:
        if at.opset < _AXES_ARE_INPUTS:
            return at.op(node, "ReduceMean", [name], part, axes=axes)
        return at.op(node, "ReduceMean", [name, at.constant(f"{part}_axes", np.asarray(axes))], part)

    name = node.output[0]
    difference = at.op(node, "Sub", [node.input[0], mean(node.input[0], "mean")], "difference")
    variance = mean(at.op(node, "Mul", [difference, difference], "square"), "variance")
    small = at.constant(f"{name}_epsilon", np.asarray(epsilon, np.float32))
    root = at.op(node, "Sqrt", [at.op(node, "Add", [variance, small], "above")], "deviation")
    steps = [
        ("Mul", at.op(node, "Reciprocal", [root], "reciprocal")),
        *zip(("Mul", "Add"), parameters, strict=False),
    ]
    made = difference
    for number, (kind, by) in enumerate(steps):
        made = at.op(node, kind, [made, by], "" if number == len(steps) - 1 else f"scaled{number}")


def _reduce_sum(at: _Rewriting, node: Any) -> bool:
    """The mean, times the number of values."""
    shape, given = at.sizes(node.input[0]), attributes(node)
    axes = at.constants.get(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    if shape is None or (axes is None and (len(node.input) > 1 or given.get("noop_with_empty_axes", 0))):
        return False
    chosen = list(range(len(shape))) if axes is None else [int(a) for a in axes.reshape(-1)]
    values = math.prod(shape[a] for a in chosen)
    count = at.constant(f"{node.output[0]}_count", np.asarray(values, np.float32))
    keep = given.get("keepdims", 1)
    if at.opset < _AXES_ARE_INPUTS:
        mean = at.op(node, "ReduceMean", [node.input[0]], "mean", axes=chosen, keepdims=keep)
    else:
        names = [node.input[0], at.constant(f"{node.output[0]}_axes", np.asarray(chosen))]
        mean = at.op(node, "ReduceMean", names, "mean", keepdims=keep)
    at.op(node, "Mul", [mean, count])
    return True


def _reduce_min(at: _Rewriting, node: Any) -> bool:
    """The largest of the negated values, negated."""
    negated = at.op(node, "Neg", [node.input[0]], "negated")
    largest = at.op(node, "ReduceMax", [negated, *node.input[1:]], "largest", **attributes(node))
    at.op(node, "Neg", [largest])
    return True


def _log_softmax(at: _Rewriting, node: Any) -> bool:
    at.op(node, "Log", [at.op(node, "Softmax", [node.input[0]], "softmax", **attributes(node))])
    return True


def _power(at: _Rewriting, node: Any) -> bool:
    """With a constant exponent of 2, 3, 0.5 or -1."""
    exponent, x = at.constants.get(node.input[1]), node.input[0]
    if exponent is None or exponent.size != 1:
        return False
    kinds = {0.5: "Sqrt", -1.0: "Reciprocal", 1.0: "Identity"}
    number = float(exponent.reshape(-1)[0])
    if number in kinds:
        at.op(node, kinds[number], [x])
    elif number == 2:
        at.op(node, "Mul", [x, x])
    elif number == 3:
        at.op(node, "Mul", [at.op(node, "Mul", [x, x], "square"), x])
    return number in (*kinds, 2, 3)


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


def _copies(at: _Rewriting, node: Any, times: Sequence[int], name: str) -> None:
    """``name`` so many times along each axis, as the node's output."""
    many = [(axis, n) for axis, n in enumerate(times) if n > 1]
    for number, (axis, n) in enumerate(many):
        part = "" if number == len(many) - 1 else f"along{axis}"
        name = at.op(node, "Concat", [name] * n, part, axis=axis)
    if not many:
        at.op(node, "Identity", [name])


def _tile(at: _Rewriting, node: Any) -> bool:
    """A Concat of copies along each axis."""
    times = at.constants.get(node.input[1])
    if times is None or times.min(initial=1) < 1 or times.max(initial=1) > _MOST_COPIES:
        return False
    _copies(at, node, times.reshape(-1).tolist(), node.input[0])
    return True


def _expand(at: _Rewriting, node: Any) -> bool:
    """The same, along the axes of one position."""
    shape, wanted = at.sizes(node.input[0]), at.constants.get(node.input[1])
    if shape is None or wanted is None or wanted.size > len(shape):
        return False
    full = (1,) * (len(shape) - wanted.size) + tuple(int(n) for n in wanted.reshape(-1))
    times = [to if n == 1 else 1 for n, to in zip(shape, full, strict=True)]
    if max(times, default=1) > _MOST_COPIES:
        return False
    _copies(at, node, times, node.input[0])
    return True


def _mirrored(at: _Rewriting, node: Any) -> bool:
    """A Pad that reflects, or repeats the edge: parts of the tensor joined along each axis."""
    shape, mode = at.sizes(node.input[0]), attributes(node).get("mode", "constant")
    pads = at.constants.get(node.input[1]) if len(node.input) > 1 else None
    if shape is None or pads is None or mode not in ("reflect", "edge") or len(node.input) > 3:
        return False
    ends = pads.reshape(2, -1).T.tolist()
    if pads.min(initial=0) < 0 or len(ends) != len(shape) or pads.max(initial=0) > _MOST_COPIES:
        return False
    if mode == "reflect" and any(max(pair) >= n for pair, n in zip(ends, shape, strict=True)):
        return False
    padded = [(axis, pair) for axis, pair in enumerate(ends) if any(pair)]
    name = node.input[0]
    for number, (axis, (before, behind)) in enumerate(padded):
        last = shape[axis] - 1
        if mode == "reflect":
            front = [at.cut(node, name, (before, 0, -1), axis)] if before else []
            back = [at.cut(node, name, (last - 1, last - 1 - behind, -1), axis)] if behind else []
        else:
            front = [at.cut(node, name, (0, 1, 1), axis)] * before
            back = [at.cut(node, name, (last, last + 1, 1), axis)] * behind
        part = "" if number == len(padded) - 1 else f"along{axis}"
        name = at.op(node, "Concat", [*front, name, *back], part, axis=axis)
    return bool(padded)


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
    "Gemm": _gemm,
    "ConvTranspose": _conv_transpose,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "LogSoftmax": _log_softmax,
    "ReduceSum": _reduce_sum,
    "ReduceMin": _reduce_min,
    "Pow": _power,
    "Tile": _tile,
    "Expand": _expand,
    "Pad": _mirrored,
    "PRelu": _prelu,
    "Gather": _gather,
    "GlobalMaxPool": _global_max_pool,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
