"""Float ONNX graphs made simpler before they are quantized: fewer operators, each with a name."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_quantcheck.formats.onnx import attributes, constants, in_order, kind_of, load_onnx, value_type
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.onnx.rewrite import replace_nodes

EPSILON = 1e-5  # of BatchNormalization that names none


def optimize(model: Any) -> Any:
    """A copy of a ``ModelProto`` with batch norms and biases fused, copies gone, Gemm layers named.

    Fused: BatchNormalization behind Conv or Gemm, Add of constants behind Conv or Gemm, MatMul and Add to
    Gemm, which is then called ``fused_gemm_0`` and so on, as every Gemm without a name is. The function
    stays the same; float32 may round it elsewhere.
    """
    onnx = load_onnx()
    copy = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(model.SerializeToString()))
    at = _Fusion(copy.graph)
    for rule in (_skip_copies, _matmul_to_gemm, _add_to_bias, _batch_norm):
        at.apply(rule)
    _name(at.nodes)
    replace_nodes(copy.graph, at.nodes)
    replace_nodes(copy.graph, in_order(copy.graph))
    at.store()
    return copy


class _Fusion:
    """The graph with its look-ups, which each rule finds fresh."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.nodes = list(graph.node)
        self.constants = constants(graph)
        self.made: dict[str, Array] = {}
        infos = (*graph.input, *graph.value_info, *graph.output)
        self.shapes = {info.name: value_type(info)[0] for info in infos}
        self.outputs = {info.name for info in graph.output}
        self.makers: dict[str, Any] = {}
        self.readers: dict[str, list[Any]] = {}

    def apply(self, rule: Any) -> None:
        """Try a rule on each node; it returns the nodes that go away."""
        for node in list(self.nodes):
            self.makers = {name: each for each in self.nodes for name in each.output}
            self.readers = {}
            for each in self.nodes:
                for name in each.input:
                    self.readers.setdefault(name, []).append(each)
            gone = {id(each) for each in rule(self, node)} if node in self.nodes else set()
            self.nodes = [each for each in self.nodes if id(each) not in gone]

    def only_maker(self, name: str, kinds: tuple[str, ...]) -> Any:
        """The node of one of ``kinds`` that makes a tensor which one operator alone reads, or None."""
        maker = self.makers.get(name)
        alone = len(self.readers.get(name, [])) == 1 and name not in self.outputs
        return maker if maker is not None and alone and kind_of(maker) in kinds else None

    def constant(self, wanted: str, values: Array) -> str:
        """The name of a new constant."""
        name = wanted
        while name in self.constants:
            name += "_"
        self.constants[name] = self.made[name] = values.astype(np.float32)
        return name

    def store(self) -> None:
        """Write new constants, take away those that nobody reads."""
        used = {name for node in self.nodes for name in node.input} | self.outputs
        kept = [each for each in self.graph.initializer if each.name in used]
        kept = [type(each).FromString(each.SerializeToString()) for each in kept]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        to_proto = load_onnx().numpy_helper.from_array
        self.graph.initializer.extend(
            to_proto(data, name) for name, data in self.made.items() if name in used
        )
        kept_inputs = [
            info for info in self.graph.input if info.name in used or info.name not in self.constants
        ]
        kept_inputs = [type(each).FromString(each.SerializeToString()) for each in kept_inputs]
        del self.graph.input[:]
        self.graph.input.extend(kept_inputs)


def _skip_copies(at: _Fusion, node: Any) -> list[Any]:
    """Identity and Dropout, Flatten and Reshape to the same shape, Transpose of nothing."""
    kind, source, made = kind_of(node), node.input[0] if node.input else "", node.output[0]
    same = kind in ("Identity", "Dropout")
    if kind in ("Flatten", "Reshape"):
        shapes = at.shapes.get(source), at.shapes.get(made)
        same = shapes[0] is not None and shapes[0] == shapes[1] and all(isinstance(n, int) for n in shapes[0])
    if kind == "Transpose":
        order = attributes(node).get("perm", ())
        same = bool(order) and list(order) == sorted(order)
    if not same or made in at.outputs or source in at.constants or any(node.output[1:]):
        return []
    for reader in at.readers.get(made, []):
        reader.input[:] = [source if name == made else name for name in reader.input]
    return [node]


def _matmul_to_gemm(at: _Fusion, node: Any) -> list[Any]:
    """MatMul of a matrix with constants, and the Add of a row of constants behind it."""
    found = _with_constant(at, node) if kind_of(node) == "Add" else None
    if found is None:
        return []
    before, bias = found
    maker = at.only_maker(before, ("MatMul",))
    if maker is None or maker.input[1] not in at.constants or len(at.shapes.get(maker.input[0], ())) != 2:
        return []
    units = at.constants[maker.input[1]].shape[-1]
    if bias.size not in (1, units) or bias.shape[-1:] not in ((units,), (1,), ()):
        return []
    name = next(each for each in node.input if each != before)
    if bias.shape != (units,):
        name = at.constant(f"{node.output[0]}_bias", np.broadcast_to(bias.reshape(-1), (units,)))
    _become(node, "Gemm", [maker.input[0], maker.input[1], name])
    return [maker]


def _add_to_bias(at: _Fusion, node: Any) -> list[Any]:
    """Conv or Gemm and the Add of one constant for each channel behind it."""
    found = _with_constant(at, node) if kind_of(node) == "Add" else None
    if found is None:
        return []
    before, added = found
    maker = at.only_maker(before, ("Conv", "Gemm"))
    if maker is None or maker.input[1] not in at.constants or attributes(maker).get("beta", 1.0) != 1.0:
        return []
    channels = _channels(at, maker)
    rank = len(at.constants[maker.input[1]].shape)
    wanted = (channels, *(1,) * (rank - 2)) if kind_of(maker) == "Conv" else (channels,)
    lined = added.reshape((1,) * max(len(wanted) - added.ndim, 0) + added.shape)
    if added.size != 1 and (lined.shape[-len(wanted) :] != wanted or added.size != channels):
        return []
    old = at.constants.get(maker.input[2]) if len(maker.input) > 2 else np.zeros(channels, np.float32)
    if old is None:
        return []
    bias = np.broadcast_to(old.reshape(-1), (channels,)) + np.broadcast_to(added.reshape(-1), (channels,))
    name = at.constant(f"{node.output[0]}_bias", bias)
    _take_over(maker, node, [maker.input[0], maker.input[1], name])
    return [maker]


def _batch_norm(at: _Fusion, node: Any) -> list[Any]:
    """Conv or Gemm and the BatchNormalization behind it."""
    if kind_of(node) != "BatchNormalization" or any(name not in at.constants for name in node.input[1:5]):
        return []
    maker = at.only_maker(node.input[0], ("Conv", "Gemm"))
    if maker is None or maker.input[1] not in at.constants or attributes(maker).get("beta", 1.0) != 1.0:
        return []
    gamma, beta, mean, variance = (at.constants[name].astype(np.float64) for name in node.input[1:5])
    factor = gamma / np.sqrt(variance + attributes(node).get("epsilon", EPSILON))
    weights, channels = at.constants[maker.input[1]], _channels(at, maker)
    old = at.constants.get(maker.input[2]) if len(maker.input) > 2 else np.zeros(channels)
    if old is None or factor.size != channels:
        return []
    axis = _channel_axis(maker)
    shape = [channels if i == axis else 1 for i in range(weights.ndim)]
    scaled = at.constant(f"{node.output[0]}_weight", weights * factor.reshape(shape))
    bias = at.constant(
        f"{node.output[0]}_bias", (np.broadcast_to(old.reshape(-1), channels) - mean) * factor + beta
    )
    _take_over(maker, node, [maker.input[0], scaled, bias])
    return [maker]


def _with_constant(at: _Fusion, node: Any) -> tuple[str, Array] | None:
    """The computed and the constant input of an operator with one of each."""
    for computed, constant in ((0, 1), (1, 0)):
        name = node.input[constant]
        if name in at.constants and node.input[computed] not in at.constants:
            return node.input[computed], at.constants[name]
    return None


def _channel_axis(node: Any) -> int:
    return 0 if kind_of(node) == "Conv" or attributes(node).get("transB", 0) else 1


def _channels(at: _Fusion, node: Any) -> int:
    return int(at.constants[node.input[1]].shape[_channel_axis(node)])


def _become(node: Any, kind: str, inputs: list[str]) -> None:
    """Another operator in the place of a node, without a name."""
    node.op_type, node.name = kind, ""
    node.input[:] = inputs
    del node.attribute[:]


def _take_over(maker: Any, node: Any, inputs: list[str]) -> None:
    """``node`` does what ``maker`` did, with other constants."""
    _become(node, maker.op_type, inputs)
    node.name = maker.name
    node.attribute.extend(maker.attribute)


def _name(nodes: list[Any]) -> None:
    """Every Gemm needs a name for its coefficients."""
    taken, count = {node.name for node in nodes}, 0
    for node in nodes:
        if kind_of(node) == "Gemm" and not node.name:
            while f"fused_gemm_{count}" in taken:
                count += 1
            node.name = f"fused_gemm_{count}"
            count += 1
