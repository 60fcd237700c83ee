"""``Layer``: a convolution or dense layer whose weights may be scaled along either of its ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_quantcheck.formats.tflite_weights import CHANNEL_AXIS
from pytest_quantcheck.numerics.arrays import Array

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
NONE, RELU, RELU6 = 0, 1, 3  # ActivationFunctionType of schema.fbs


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
        return fused_activation(self.operator)

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


def fused_activation(operator: Any) -> int:
    """``NONE``, ``RELU``, ``RELU6``, or another number of schema.fbs."""
    return int(getattr(operator.builtinOptions, "fusedActivationFunction", NONE))
