"""A float ``.tflite`` file rewritten so that one scale per layer loses less; what it computes stays the same.

Batch norms that a converter left behind a layer are folded into it, high biases are absorbed, and weights are
equalised across pairs of layers, after Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
and Bias Correction", sections 4.1 and 4.2. It ends as a new file and a plain report of what was done and what
was not, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.models.rewrite import CHANNEL_AXIS, WEIGHTS, Tree

Array = npt.NDArray[Any]
Run = Callable[[bytes, Sequence[int]], Iterator[list[Array]]]  # content, tensors -> their values per sample

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
BIAS = 2
NONE, RELU, RELU6 = 0, 1, 3  # ActivationFunctionType of schema.fbs
CLIP = 6.0
# operators that f(s x) = s f(x) holds for, channel by channel, with s > 0
HOMOGENEOUS = ("RELU", "RELU6", "LEAKY_RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD", "RESHAPE")
DEAD = 1e-4  # of the layer's largest weight: a channel below it is dead, and scaling it would only do harm
LARGEST_FACTOR = 256.0
SWEEPS = 50
SETTLED = 1e-3  # of the logarithm of a factor


@dataclass(eq=False)
class Layer:
    """A convolution or dense layer. ``weights`` and ``bias`` are float64 until ``Network.write``."""

    index: int
    kind: str
    operator: Any
    weights: Array
    bias: Array

    def __str__(self) -> str:
        return f"{self.kind} {self.index}"

    @property
    def activation(self) -> int:
        return _fused(self.operator)

    @property
    def unpadded(self) -> bool:
        """Whether every output sees as many inputs as the kernel has places."""
        valid = getattr(self.operator.builtinOptions, "padding", 1) == 1
        return self.kind == "FULLY_CONNECTED" or valid or self.weights.shape[1:3] == (1, 1)

    def outputs(self) -> Array:
        """The weights as (output channel, everything else)."""
        return np.moveaxis(self.weights, CHANNEL_AXIS[self.kind], 0).reshape(len(self.bias), -1)

    def scale_outputs(self, factors: Array) -> None:
        """Multiply the pre-activation of each output channel."""
        shape = [1] * self.weights.ndim
        shape[CHANNEL_AXIS[self.kind]] = -1
        self.weights = self.weights * factors.reshape(shape)
        self.bias = self.bias * factors

    def by_inputs(self, width: int) -> Array:
        """The weights as a view (group, output, place, input channel of the group) of ``width`` inputs."""
        if self.kind == "DEPTHWISE_CONV_2D":
            return np.moveaxis(self.weights.reshape(-1, width, len(self.bias) // width), 1, 0)[..., None]
        groups = width // self.weights.shape[-1]
        return self.weights.reshape(groups, len(self.bias) // groups, -1, self.weights.shape[-1])

    def input_reach(self, width: int) -> Array:
        """The largest absolute weight on each of ``width`` input channels."""
        return np.asarray(np.abs(self.by_inputs(width)).max(axis=(1, 2))).reshape(width)

    def scale_inputs(self, factors: Array) -> None:
        """Multiply the weights on each input channel."""
        self.weights = self.weights.copy()
        view = self.by_inputs(len(factors))
        view *= factors.reshape(len(view), 1, 1, -1)

    def response(self, inputs: Array) -> Array:
        """What constant ``inputs``, one per input channel, add to every output; for ``unpadded`` layers."""
        view = self.by_inputs(len(inputs)) * inputs.reshape(-1, 1, 1, self.by_inputs(len(inputs)).shape[-1])
        if self.kind == "DEPTHWISE_CONV_2D":
            return np.asarray(view.sum(axis=(1, 3))).reshape(-1)
        return np.asarray(view.sum(axis=(2, 3))).reshape(-1)


@dataclass(eq=False)
class Pair:
    """Two layers with nothing but homogeneous operators between them.

    ``width`` is the number of input channels of ``second``, a multiple of the channels of ``first`` (a
    flattened picture). ``clipped``: a ReLU6 lies between. ``factors`` divide what ``first`` puts out, 1 for
    channels that are not ``live``; ``size`` is the largest absolute value that calibration showed there.
    """

    first: Layer
    second: Layer
    between: tuple[str, ...]
    width: int
    clipped: bool
    factors: Array
    size: Array
    live: Array
    kept: dict[str, int] = field(default_factory=dict)
    absorbed: int = 0

    @property
    def repeats(self) -> int:
        return self.width // len(self.factors)

    def reaches(self) -> tuple[Array, Array]:
        """The largest absolute weight into and out of each channel between the layers."""
        behind = self.second.input_reach(self.width).reshape(self.repeats, -1).max(axis=0)
        return np.abs(self.first.outputs()).max(axis=1), behind

    def keep(self, channels: Array, why: str) -> None:
        """Leave the scale of these channels as it is."""
        if count := int((channels & self.live).sum()):
            self.kept[why] = count
        self.live = self.live & ~channels

    def equalize(self) -> float:
        """One step of the paper's equation 11; returns the largest change of a factor's logarithm.

        All factors of a pair may be multiplied by the same number; it is chosen so that the range of what
        lies between the layers stays: channels that are not live have to share it.
        """
        if not self.live.any():
            return 0.0
        into, out_of = (reach[self.live] for reach in self.reaches())
        wanted = self.factors[self.live] * np.sqrt(into / out_of)
        size = self.size[self.live]
        if size.any():
            wanted *= (size / wanted).max() / size.max()
        step = np.ones_like(self.factors)
        step[self.live] = np.clip(wanted, 1 / LARGEST_FACTOR, LARGEST_FACTOR) / self.factors[self.live]
        self.factors = self.factors * step
        self.first.scale_outputs(1 / step)
        self.second.scale_inputs(np.tile(step, self.repeats))
        return float(np.abs(np.log(step)).max())


class Network:
    """The operators of a file, its layers, and the pairs among them. ``left`` counts layers without one."""

    def __init__(self, content: bytes) -> None:
        self.tree = Tree(content)
        self.left: dict[str, list[str]] = {}
        self.folded = self._fold_all()
        self.layers = {
            index: layer
            for index, operator in enumerate(self.tree.graph.operators)
            if (layer := self._layer(index, operator)) is not None
        }
        self.pairs = [pair for layer in self.layers.values() if (pair := self._pair(layer)) is not None]

    def _uses(self, tensor: int) -> list[int]:
        """The operators that read a tensor, one entry for each of their inputs that is this tensor."""
        return [
            index
            for index, operator in enumerate(self.tree.graph.operators)
            for each in operator.inputs
            if each == tensor
        ]

    def _layer(self, index: int, operator: Any) -> Layer | None:
        """None for other operators, and for layers whose weights are computed or used elsewhere too."""
        kind = self.tree.kind(operator)
        if kind not in LAYERS:
            return None
        weights = self._float(operator, WEIGHTS)
        if weights is None or len(self._uses(operator.inputs[WEIGHTS])) > 1:
            why = "its weights are computed" if weights is None else "its weights are shared"
            self.left.setdefault(why, []).append(f"{kind} {index}")
            return None
        bias = self._float(operator, BIAS)
        if bias is None and self.tree.input(operator, BIAS) is not None:
            self.left.setdefault("its bias is computed", []).append(f"{kind} {index}")
            return None
        if bias is None:
            bias = np.zeros(weights.shape[CHANNEL_AXIS[kind]])
        return Layer(index, kind, operator, weights, bias)

    def _float(self, operator: Any, position: int) -> Array | None:
        tensor = self.tree.input(operator, position)
        if (
            tensor is None
            or tensor.sparsity is not None
            or tensor.type != self.tree.schema.TensorType.FLOAT32
        ):
            return None
        content = self.tree.constant(tensor, "<f4")
        return None if content is None else content.astype(np.float64)

    def _only_reader(self, tensor: int) -> Any:
        """The operator that alone reads a tensor; else in words why there is none."""
        if tensor in self.tree.graph.outputs:
            return "its output is an output of the network"
        uses = self._uses(tensor)
        return self.tree.graph.operators[uses[0]] if len(uses) == 1 else "its output has several readers"

    def _fold_all(self) -> int:
        """Fold MUL and ADD by constants behind layers; returns how many of them."""
        folded = 0
        for operator in list(self.tree.graph.operators):
            while self._fold(operator):
                folded += 1
        self.left.clear()  # the indices were those of before
        return folded

    def _fold(self, operator: Any) -> bool:
        """Fold the MUL or ADD behind one layer into it, as batch norms are: per channel or by one number."""
        if self.tree.kind(operator) not in LAYERS or _fused(operator) != NONE:
            return False
        after = self._only_reader(operator.outputs[0])
        kind = "" if isinstance(after, str) else self.tree.kind(after)
        layer = self._layer(0, operator) if kind in ("MUL", "ADD") else None
        if layer is None:
            return False
        position = 1 if after.inputs[0] == operator.outputs[0] else 0
        values, channels = self._float(after, position), len(layer.bias)
        if values is None or (values.size > 1 and {values.size, values.shape[-1]} != {channels}):
            return False
        values = np.broadcast_to(values.reshape(-1), channels)
        if kind == "MUL":
            layer.scale_outputs(values)
        else:
            layer.bias = layer.bias + values
        self._write(layer)
        operator.builtinOptions.fusedActivationFunction = after.builtinOptions.fusedActivationFunction
        operator.outputs = after.outputs
        self.tree.graph.operators = [each for each in self.tree.graph.operators if each is not after]
        return True

    def _pair(self, first: Layer) -> Pair | None:
        found = self._follow(first)
        if isinstance(found, str):
            self.left.setdefault(found, []).append(str(first))
            return None
        second, between = found
        channels = len(first.bias)
        dense = second.kind == "FULLY_CONNECTED"  # which may flatten its input
        width = second.weights.shape[1] if dense else int(self.tree.input(second.operator, 0).shape[-1])
        return Pair(
            first,
            second,
            between,
            width,
            first.activation == RELU6 or "RELU6" in between,
            np.ones(channels),
            np.zeros(channels),
            np.ones(channels, bool),
        )

    def _follow(self, first: Layer) -> tuple[Layer, tuple[str, ...]] | str:
        """The layer that alone reads ``first``, and the operators between; or in words why there is none."""
        if first.activation not in (NONE, RELU, RELU6):
            return "its activation is not homogeneous"
        tensor, between = int(first.operator.outputs[0]), list[str]()
        while True:
            reader = self._only_reader(tensor)
            if isinstance(reader, str):
                return reader
            kind = self.tree.kind(reader)
            if kind in LAYERS:
                index = next(i for i, each in enumerate(self.tree.graph.operators) if each is reader)
                ready = index in self.layers and reader.inputs[0] == tensor
                return (
                    (self.layers[index], tuple(between)) if ready else f"{kind} {index} cannot be rewritten"
                )
            if not self._keeps_channels(reader, kind, len(first.bias)):
                return f"{kind} follows"
            between += [kind, "RELU6"] if _fused(reader) == RELU6 else [kind]
            tensor = int(reader.outputs[0])

    def _keeps_channels(self, operator: Any, kind: str, channels: int) -> bool:
        """Whether an operator is homogeneous and its last axis still counts channels, perhaps repeatedly."""
        if kind not in HOMOGENEOUS or _fused(operator) not in (NONE, RELU, RELU6):
            return False
        source, sink = (self.tree.graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
        if kind in ("MEAN", "PAD"):
            how = self.tree.constant(self.tree.input(operator, 1), "<i4")
            last = len(source.shape) - 1
            if (
                how is None
                or (kind == "MEAN" and last in how % (last + 1))
                or (kind == "PAD" and how[last].any())
            ):
                return False
        return len(sink.shape) > 0 and sink.shape[-1] % channels == 0

    def write(self) -> bytes:
        """The file with the layers' present weights and biases."""
        for layer in self.layers.values():
            self._write(layer)
        return self.tree.bytes()

    def _write(self, layer: Layer) -> None:
        self._set(layer, WEIGHTS, layer.weights)
        if layer.bias.any() or self.tree.input(layer.operator, BIAS) is not None:
            self._set(layer, BIAS, layer.bias)

    def _set(self, layer: Layer, position: int, values: Array) -> None:
        """Give the layer a constant; a tensor that others read too, such as a bias of zeros, stays theirs."""
        operator, content = layer.operator, values.astype("<f4")
        tensor = self.tree.input(operator, position)
        present = None if tensor is None else self.tree.constant(tensor, "<f4")
        if present is not None and np.array_equal(present, content):
            return
        if tensor is None or len(self._uses(operator.inputs[position])) > 1:
            tensor = self.tree.schema.TensorT()
            output = self.tree.graph.tensors[operator.outputs[0]].name
            tensor.name, tensor.shape = output + b"_own_bias", np.array(content.shape, np.int32)
            tensor.type = self.tree.schema.TensorType.FLOAT32
            self.tree.model.buffers.append(self.tree.schema.BufferT())
            tensor.buffer = len(self.tree.model.buffers) - 1
            self.tree.graph.tensors.append(tensor)
            inputs = [int(i) for i in operator.inputs[:position]] + [len(self.tree.graph.tensors) - 1]
            operator.inputs = np.array(inputs, np.int32)
        self.tree.set_constant(tensor, content)


def _fused(operator: Any) -> int:
    return int(getattr(operator.builtinOptions, "fusedActivationFunction", NONE))


@dataclass(eq=False)
class Seen:
    """What calibration showed of a layer's output, for each channel."""

    least: Array
    largest: Array
    mean: Array
    deviation: Array


def optimize(content: bytes, run: Run) -> tuple[bytes, dict[str, Any]]:
    """The equalised file, and what was done: folded operators, pairs, their factors, layers without a pair.

    ``run`` executes a file on the calibration samples. What keeps the network its own: no activation's range
    grows, dead channels and those that reach the clip of a ReLU6 keep their scale, and no factor passes
    ``LARGEST_FACTOR``.
    """
    network = Network(content)
    seen = _watch(network, run)
    for pair, what in zip(network.pairs, seen, strict=True):
        _absorb(pair, what)
    for pair, what in zip(network.pairs, seen, strict=True):
        _judge(pair, what)
    for _ in range(SWEEPS):
        if max((pair.equalize() for pair in network.pairs), default=0.0) < SETTLED:
            break
    return network.write(), _report(network)


def _watch(network: Network, run: Run) -> list[Seen]:
    """What the first layer of each pair puts out, behind its fused activation."""
    tensors = [int(pair.first.operator.outputs[0]) for pair in network.pairs]
    sizes = [len(pair.factors) for pair in network.pairs]
    seen = [Seen(np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n), np.zeros(n)) for n in sizes]
    samples = 0
    for values in run(network.write(), tensors):
        samples += 1
        for what, value in zip(seen, values, strict=True):
            rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
            what.least = np.minimum(what.least, rows.min(axis=0))
            what.largest = np.maximum(what.largest, rows.max(axis=0))
            what.mean += rows.mean(axis=0)
            what.deviation += np.square(rows).mean(axis=0)
    for what in seen:
        what.mean /= samples
        what.deviation = np.sqrt(np.maximum(what.deviation / samples - what.mean**2, 0))
    return seen


def _absorb(pair: Pair, seen: Seen) -> None:
    """Move what a channel never falls below from the first layer's bias to the second's (section 4.1.3).

    ``relu(x - c) = relu(x) - c`` where x > c: c is the least value seen, and not above the mean less three
    deviations, as in the paper. A padded layer would see zeros where there was c, and a clip would move.
    """
    relu = pair.first.activation == RELU and not pair.between
    if not relu or not pair.second.unpadded:
        return
    constant = np.maximum(np.minimum(seen.least, seen.mean - 3 * seen.deviation), 0)
    pair.absorbed = int((constant > 0).sum())
    pair.first.bias = pair.first.bias - constant
    pair.second.bias = pair.second.bias + pair.second.response(np.tile(constant, pair.repeats))
    seen.least, seen.largest = seen.least - constant, seen.largest - constant


def _judge(pair: Pair, seen: Seen) -> None:
    """Which channels may be scaled. Below the clip of a ReLU6 all stay that do, since no range grows."""
    pair.size = np.maximum(np.abs(seen.least), np.abs(seen.largest))
    into, out_of = pair.reaches()
    pair.keep((into <= DEAD * into.max()) | (out_of <= DEAD * out_of.max()), "dead")
    if pair.clipped:
        pair.keep(seen.largest >= CLIP, "reaches the clip at 6")


def _report(network: Network) -> dict[str, Any]:
    return {
        "folded_operators": network.folded,
        "pairs": [
            {
                "layers": [str(pair.first), str(pair.second)],
                "channels": len(pair.factors),
                "kept": pair.kept,
                "absorbed": pair.absorbed,
                "factors": [float(pair.factors.min()), float(pair.factors.max())],
            }
            for pair in network.pairs
        ],
        "left": network.left,
    }
