"""Where TFLite's layers keep their weights: input positions and axes, from its quantization specification."""

from __future__ import annotations

from pytest_quantcheck.formats.summary import Summary

WEIGHTS = 1  # position among the inputs
BIAS = 2
ACTIVATION_OF = {"TRANSPOSE_CONV": 2}  # position of the activation where it is not 0
BIAS_OF = {"TRANSPOSE_CONV": 3}  # position of the bias where it is not BIAS
# operator -> axis of its output channels in the weights
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
DYNAMIC_FROM = 1024  # elements; the scheme ``dynamic`` leaves smaller weights in float


def has_float16_weights(summary: Summary) -> bool:
    """Whether constants are float16 with a DEQUANTIZE behind them, and nothing is an integer."""
    tensors = summary.tensors
    if any(len(tensor.scales) for tensor in tensors):
        return False
    return any(
        operator.kind == "DEQUANTIZE"
        and len(operator.inputs) == len(operator.outputs) == 1
        and tensors[operator.inputs[0]].dtype == "float16"
        and tensors[operator.inputs[0]].data is not None
        for operator in summary.operators
    )
