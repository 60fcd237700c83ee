"""A Keras network as ONNX, laid out as PyTorch does it: channels before pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from conformance_models.onnx_nets import Array, Net

if TYPE_CHECKING:
    import keras


def from_keras(model: keras.Model, *, constants: Sequence[Array] = ()) -> bytes:
    """The file: (1, C, H, W) to the outputs of the Keras network, in its order and channels last.

    ``constants`` are further outputs that nothing computes, such as a detector's anchors. Knows the layers in
    ``_LAYERS``, and raises ``KeyError`` for any other.
    """
    net = Net()
    names: dict[int, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            height, width, channels = layer.output.shape[1:]
            names[id(layer.output)] = net.input(layer.name, 1, channels, height, width)
            continue
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        names[id(layer.output)] = _LAYERS[kind](net, layer, *(names[id(each)] for each in given))
    for output in model.outputs:
        shapes[names[id(output)]] = (1, *output.shape[1:])
    for values in constants:
        shapes[net.op("Identity", net.constant(values))] = values.shape
    return net.model(shapes)


def _conv(net: Net, layer: Any, x: str, kernel: Array, group: int) -> str:
    """``kernel`` (O, I, H, W). Padding "same" puts the odd pixel behind, as TensorFlow does."""
    bias = [net.constant(layer.bias.numpy())] if layer.use_bias else []
    pad = "SAME_UPPER" if layer.padding == "same" else "VALID"
    return net.op(
        "Conv", x, net.constant(kernel), *bias, strides=list(layer.strides), group=group, auto_pad=pad,
        kernel_shape=list(layer.kernel_size),
    )  # fmt: skip


def _full(net: Net, layer: Any, x: str) -> str:
    return _conv(net, layer, x, layer.kernel.numpy().transpose(3, 2, 0, 1), 1)


def _depthwise(net: Net, layer: Any, x: str) -> str:
    kernel = layer.kernel.numpy()
    return _conv(net, layer, x, kernel.transpose(2, 3, 0, 1), kernel.shape[2])


def _normal(net: Net, layer: Any, x: str) -> str:
    parts = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    values = [net.constant(each.numpy()) for each in parts]
    return net.op("BatchNormalization", x, *values, epsilon=float(layer.epsilon))


def _relu(net: Net, layer: Any, x: str) -> str:
    if layer.max_value is None:
        return net.op("Relu", x)
    return net.op("Clip", x, net.constant(0.0), net.constant(float(layer.max_value)))


def _reshape(net: Net, layer: Any, x: str) -> str:
    """Values in Keras' order: channels last."""
    last = net.op("Transpose", x, perm=[0, 2, 3, 1]) if len(layer.input.shape) == 4 else x
    return net.op("Reshape", last, net.constant([1, *layer.output.shape[1:]], np.int64))


def _concatenate(net: Net, layer: Any, *x: str) -> str:
    return net.op("Concat", *x, axis=layer.axis)


def _softmax(net: Net, layer: Any, x: str) -> str:
    return net.op("Softmax", x, axis=layer.axis)


_LAYERS = {
    "Conv2D": _full,
    "DepthwiseConv2D": _depthwise,
    "BatchNormalization": _normal,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Concatenate": _concatenate,
    "Softmax": _softmax,
}
