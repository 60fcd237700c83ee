"""ONNX networks made on the spot from a seed: whole float ones, and one quantized operator with its edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pytest_quantcheck.data.dataset import Dataset, Samples

Array = npt.NDArray[Any]
TYPES = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


class Net:
    """A graph under construction; ``x`` values are names."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []

    def input(self, name: str, *shape: int | str, dtype: str = "float32") -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], shape))
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        return self.ops(kind, 1, *inputs, domain=domain, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, domain: str = "", **attributes: Any) -> list[str]:
        """An operator with several outputs."""
        at = len(self.nodes)
        names = [f"t{at}" + (f"_{i}" if i else "") for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, f"{kind}_{at}", domain=domain, **attributes)
        self.nodes.append(node)
        return names

    def normal(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.rng.normal(0, scale, shape))

    def conv(
        self, x: str, outputs: int, inputs: int, kernel: int = 3, stride: int = 1, group: int = 1
    ) -> str:
        """Convolution, batch normalization and ReLU; as large as its input is at stride 1."""
        depth = inputs // group
        w = self.normal(outputs, depth, kernel, kernel, scale=(2 / (depth * kernel * kernel)) ** 0.5)
        pad = kernel // 2
        y = self.op("Conv", x, w, pads=[pad] * 4, strides=[stride] * 2, group=group)
        scale, bias = self.constant(self.rng.uniform(0.7, 1.3, outputs)), self.normal(outputs, scale=0.2)
        mean, variance = self.normal(outputs, scale=0.1), self.constant(self.rng.uniform(0.5, 1.5, outputs))
        return self.op("Relu", self.op("BatchNormalization", y, scale, bias, mean, variance, epsilon=1e-3))

    def model(
        self, outputs: Mapping[str, Sequence[int | str]], dtype: str = "float32", opset: int = 17
    ) -> bytes:
        """The file, with the named outputs."""
        infos = [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "net", self.inputs, infos, self.constants)
        domains = {node.domain for node in self.nodes if node.domain}
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in sorted(domains))]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def residual(seed: int = 0, batch: int | str = "N") -> bytes:
    """NCHW (3, 12, 10) to 5 classes: Conv + BatchNormalization, depthwise, a residual, a branch, pools."""
    net = Net(seed)
    x = net.input("image", batch, 3, 12, 10)
    a = net.conv(x, 8, 3, stride=2)
    b = net.conv(net.conv(a, 8, 8, group=8), 8, 8, kernel=1)
    c = net.op("Add", a, b)
    d = net.op(
        "Concat",
        net.op("MaxPool", c, kernel_shape=[2, 2], strides=[2, 2]),
        net.op("AveragePool", c, kernel_shape=[2, 2], strides=[2, 2]),
        axis=1,
    )
    e = net.op("GlobalAveragePool", net.op("Mul", d, net.op("Sigmoid", d)))
    y = net.op("Gemm", net.op("Flatten", e), net.normal(16, 5, scale=0.4), net.normal(5, scale=0.3))
    return net.model({net.op("Softmax", y, axis=1): (batch, 5)})


def flattened(seed: int = 0) -> bytes:
    """NCHW (2, 4, 6) with a Flatten whose order the dense layer relies on: channels outside."""
    net = Net(seed)
    x = net.input("image", 1, 2, 4, 6)
    flat = net.op("Flatten", net.conv(x, 3, 2))
    y = net.op("Gemm", flat, net.normal(7, 3 * 4 * 6, scale=0.2), net.normal(7), transB=1)
    return net.model({y: (1, 7)})


def two_inputs(seed: int = 0) -> bytes:
    """An image and a vector, (2, 6, 6) and (5), to 4 values."""
    net = Net(seed)
    image, vector = net.input("image", 1, 2, 6, 6), net.input("vector", 1, 5)
    a = net.op("Flatten", net.op("GlobalAveragePool", net.conv(image, 6, 2)))
    b = net.op("Tanh", net.op("Gemm", vector, net.normal(5, 6), net.normal(6)))
    y = net.op("MatMul", net.op("Sub", a, b), net.normal(6, 4))
    return net.model({net.op("Add", y, net.normal(4)): (1, 4)})


def sequence(seed: int = 0) -> bytes:
    """A signal, 4 channels of 30 values, to 3 classes: one spatial axis all along."""
    net = Net(seed)
    x = net.input("signal", 1, 4, 30)
    x = net.op("Relu", net.op("Conv", x, net.normal(6, 4, 5, scale=0.3), net.normal(6), pads=[2, 2]))
    x = net.op("MaxPool", x, kernel_shape=[3], strides=[2], ceil_mode=1)
    y = net.op("Relu", net.op("Conv", x, net.normal(6, 1, 3, scale=0.6), group=6, pads=[2, 0], dilations=[1]))
    x = net.op("Add", x, net.op("Conv", y, net.normal(6, 6, 1, scale=0.4)))
    x = net.op("ConvTranspose", x, net.normal(6, 5, 4, scale=0.4), net.normal(5), strides=[2], pads=[1, 1])
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    return net.model({net.op("Gemm", x, net.normal(5, 3), net.normal(3)): (1, 3)})


def decoder(seed: int = 0) -> bytes:
    """An image (3, 6, 4): an activation at its input, a split, enlarged in three ways, cut to (5, 10, 8)."""
    net = Net(seed)
    x = net.conv(net.op("LeakyRelu", net.input("image", 1, 3, 6, 4), alpha=0.2), 6, 3)
    one, other = net.ops("Split", 2, x, net.constant([2, 4], np.int64), axis=1)
    w = net.normal(2, 3, 3, 3, scale=0.5)
    up = net.op(
        "ConvTranspose", one, w, net.normal(3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    )
    near, between = net.ops("Split", 2, other, net.constant([2, 2], np.int64), axis=1)
    twice = net.constant([1, 1, 2, 2])
    near = net.op(
        "Resize", near, "", twice, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    between = net.op("Resize", between, "", twice, mode="linear")
    y = net.op("Concat", up, near, between, axis=1)
    bounds = [[1, 1, 7], [6, 11, -9], [1, 2, 3], [1, 1, -1]]
    return net.model({net.op("Slice", y, *(net.constant(b, np.int64) for b in bounds)): (1, 5, 10, 8)})


def attention(seed: int = 0) -> bytes:
    """Six words of eight values through a block of a transformer: norms, two products of activations, GELU as
    older exporters write it."""
    net = Net(seed)
    x = net.input("words", 1, 6, 8)
    y = net.op("LayerNormalization", x, net.normal(8), net.normal(8))
    query, key, value = (net.op("MatMul", y, net.normal(8, 8, scale=0.4)) for _ in range(3))
    scores = net.op("MatMul", query, net.op("Transpose", key, perm=[0, 2, 1]))
    weights = net.op("Softmax", net.op("Mul", scores, net.constant(0.35)), axis=-1)
    x = net.op("Add", x, net.op("MatMul", weights, value))
    y = net.op("MatMul", net.op("LayerNormalization", x, net.normal(8)), net.normal(8, 16, scale=0.4))
    half = net.op("Add", net.op("Erf", net.op("Div", y, net.constant(2**0.5))), net.constant(1.0))
    y = net.op("Mul", net.op("Mul", y, half), net.constant(0.5))
    return net.model({net.op("Add", x, net.op("MatMul", y, net.normal(16, 8, scale=0.3))): (1, 6, 8)})


def lstm() -> bytes:
    """Five steps of three values through an LSTM: what no quantizer here turns into integers."""
    net = Net()
    x = net.input("steps", 1, 5, 3)
    turned = net.op("Transpose", x, perm=[1, 0, 2])
    w, r = net.normal(1, 16, 3), net.normal(1, 16, 4)
    y = net.op("LSTM", turned, w, r, hidden_size=4)
    flat = net.op("Reshape", y, net.constant([1, 20], np.int64))
    return net.model({net.op("Gemm", flat, net.normal(20, 2)): (1, 2)})


def custom_domain() -> bytes:
    """An operator that is not ONNX's own."""
    net = Net()
    x = net.input("x", 1, 4)
    return net.model({net.op("Whiten", net.op("Relu", x), domain="com.example"): (1, 4)})


@dataclass(frozen=True)
class Q:
    """Scale and zero point of an activation."""

    scale: float
    zero_point: int


def between(
    kind: str,
    shapes: Sequence[Sequence[int]],
    scales: Sequence[Q],
    output: Q,
    output_shape: Sequence[int],
    *,
    weights: Sequence[tuple[Array, Any, int]] = (),
    dtype: str = "int8",
    attributes: Mapping[str, Any] | None = None,
    clamp: tuple[str, ...] = (),
    parameters: Sequence[Array | None] = (),
    opset: int = 17,
) -> bytes:
    """One operator on integer inputs and outputs, between DequantizeLinear and QuantizeLinear.

    ``weights`` are integer constants as (values, scales, axis), ``parameters`` further inputs that are not
    quantized; ``clamp`` is an operator behind it with the constants it takes, such as ``("Clip", "0", "6")``.
    """
    net = Net()
    given = []
    for i, (shape, q) in enumerate(zip(shapes, scales, strict=True)):
        x = net.input(f"x{i}", *shape, dtype=dtype)
        given.append(net.op("DequantizeLinear", x, net.constant(q.scale), net.constant(q.zero_point, dtype)))
    for values, scale, axis in weights:
        zero = net.constant(np.zeros(np.shape(scale)), values.dtype)
        parts = net.constant(values, values.dtype), net.constant(scale), zero
        given.append(net.op("DequantizeLinear", *parts, axis=axis if np.ndim(scale) else 0))
    given += ["" if values is None else net.constant(values, values.dtype) for values in parameters]
    y = net.op(kind, *given, **(attributes or {}))
    if clamp:
        y = net.op(clamp[0], y, *(net.constant(float(bound)) for bound in clamp[1:]))
    out = net.op("QuantizeLinear", y, net.constant(output.scale), net.constant(output.zero_point, dtype))
    return net.model({out: output_shape}, dtype, opset)


def structure(data: bytes) -> list[str]:
    """The operator kinds of a file, in its order."""
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


def residual_data(seed: int = 0) -> Dataset:
    """Random images for ``residual``: 32 to calibrate, 24 to test."""
    images = np.random.default_rng(seed).normal(size=(56, 3, 12, 10)).astype(np.float32)
    ids = tuple(f"image{i}" for i in range(56))
    return Dataset(
        calibration=Samples(images[:32], ids=ids[:32]),
        test=Samples(images[32:], ids=ids[32:]),
        input_range=(-6, 6),
    )
