"""What to take in place of an operator that has no integers here, and which layer it comes from."""

from __future__ import annotations

from pytest_quantcheck.formats.summary import OperatorSummary, Summary

_ON_THE_HOST = "leave it out of the network, and compute it from the outputs in the application"
_BY_PRODUCTS = "take relu, minimum, maximum and products, which need no truth values"
_BEFORE = "compute it before the network, or approximate it with functions that are supported"
SUBSTITUTES = {
    "TOPK_V2": _ON_THE_HOST,
    "LOG_SOFTMAX": "take softmax: its order is the same",
    "ELU": "take leaky_relu, and train again",
    "EXP": "take sigmoid or softmax",
    "RSQRT": "take BatchNormalization in place of LayerNormalization",
    "SQRT": "take BatchNormalization in place of LayerNormalization",
    "DIV": "multiply by the reciprocal",
    "NEG": "subtract in place of adding, or multiply by -1",
    "SQUARE": "multiply the tensor by itself",
    "GATHER": "slice with fixed indices; look embeddings up in the application",
    "EMBEDDING_LOOKUP": "look embeddings up in the application",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "convert the Keras file with quantcheck: it writes the steps out",
    "SVDF": "take Conv1D over a window",
    "WHILE": "write the loop out; Keras's recurrent layers: convert the Keras file with quantcheck",
    "CUMSUM": "take a Dense layer with a triangle of ones",
    **dict.fromkeys(("SELECT", "SELECT_V2", "WHERE"), _BY_PRODUCTS),
    **dict.fromkeys(("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL"), _BY_PRODUCTS),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"), _BY_PRODUCTS),
    **dict.fromkeys(("SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN"), _BEFORE),
    "CAST": _ON_THE_HOST,
    "ONE_HOT": "make it in the application, and give it to the network",
    "DYNAMIC_UPDATE_SLICE": "make the state an input and an output of the network",
    "L2_POOL_2D": "take AveragePooling2D",
    # of ONNX
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "Cast"), _ON_THE_HOST),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "export its steps one by one, or take Conv"),
    **dict.fromkeys(("Loop", "If", "Scan"), "write it out when you export the model"),
    **dict.fromkeys(("Where", "Greater", "Less", "Equal", "And", "Or", "Not"), _BY_PRODUCTS),
    **dict.fromkeys(("Sin", "Cos", "Floor", "Ceil", "Round", "Sign"), _BEFORE),
    "CumSum": "take a MatMul with a triangle of ones",
    "Einsum": "write it as Transpose and MatMul",
    "GroupNormalization": "take InstanceNormalization or BatchNormalization",
    "LpNormalization": "take Mul, ReduceSum, Sqrt and Div",
    "Gather": "slice with fixed indices; look embeddings up in the application",
    "OneHot": "make it in the application, and give it to the network",
    "GridSample": "take Resize",
}
"""What does the same, or nearly, with operators that run: for TFLite's and ONNX's names."""


def substitute_for(kind: str) -> str:
    """A sentence's beginning, in lower case."""
    return SUBSTITUTES.get(kind, "replace the layer by one that is supported")


def layer_of(summary: Summary, operator: OperatorSummary) -> str:
    """The name of what ``operator`` computes, by which its layer in Keras can be found; may be empty."""
    return summary.tensors[operator.outputs[0]].name.partition(";")[0] if operator.outputs else ""
