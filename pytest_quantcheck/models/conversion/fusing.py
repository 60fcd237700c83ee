"""LSTM layers of a Keras model as TFLite's one operator each, where they are of the kind that it knows.

TensorFlow's converter recognises them by attributes of a function with this signature and these results
(``prepare_composite_functions_tf.cc``); what the function computes is not looked at, so it is one step only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_ATTRIBUTES = {
    "api_implements": "lstm_",
    "api_preferred_device": "CPU",
    "go_backwards": False,
    "time_major": False,
}
_PLAIN = {  # settings of a layer, and the only value that the operator has
    "go_backwards": False,
    "return_state": False,
    "stateful": False,
    "time_major": False,
}


def fusable(model: Any) -> list[Any]:
    """The LSTM layers of a model with one input and one output that become one operator each."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return []
    waiting, found = [model], []
    while waiting:
        layer = waiting.pop()
        waiting += getattr(layer, "layers", None) or []  # not what Bidirectional and TimeDistributed wrap
        if _is_plain_lstm(layer) and layer not in found:
            found.append(layer)
    return found


def _is_plain_lstm(layer: Any) -> bool:
    kind = type(layer)
    if kind.__name__ != "LSTM" or kind.__module__.partition(".")[0] not in ("keras", "tf_keras"):
        return False
    functions = layer.activation.__name__, layer.recurrent_activation.__name__
    plain = all(getattr(layer, name, value) == value for name, value in _PLAIN.items())
    return plain and functions == ("tanh", "sigmoid") and layer.use_bias


@contextlib.contextmanager
def fused(layers: list[Any], tf: Any) -> Iterator[None]:
    """While it lasts, these layers are what the converter recognises. Called with a mask or with states, they
    raise ``ValueError``.
    """
    try:
        for number, layer in enumerate(layers):
            layer.__dict__["call"] = _call(layer, number, tf)
        yield
    finally:
        for layer in layers:
            del layer.__dict__["call"]


def _call(layer: Any, number: int, tf: Any) -> Any:
    def step(inputs: Any, init_h: Any, init_c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
        sums = tf.matmul(inputs[:, 0], kernel) + tf.matmul(init_h, recurrent_kernel) + bias
        enters, stays, new, leaves = tf.split(sums, 4, axis=1)
        cell = tf.sigmoid(stays) * init_c + tf.sigmoid(enters) * tf.tanh(new)
        hidden = tf.sigmoid(leaves) * tf.tanh(cell)
        all_steps = tf.repeat(hidden[:, tf.newaxis], inputs.shape[1], axis=1)
        return hidden, all_steps, hidden, cell, tf.constant(0.0)

    attributes = {**_ATTRIBUTES, "api_implements": f"lstm_{number}"}
    function = tf.function(step, autograph=False, experimental_attributes=attributes)

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is not None or mask is not None or training:
            raise ValueError("an LSTM with a mask or with given states is not fused")
        cell = layer.cell
        zeros = tf.zeros((1, layer.units))
        weights = [tf.convert_to_tensor(each) for each in (cell.kernel, cell.recurrent_kernel, cell.bias)]
        last, all_steps, *_ = function(sequences, zeros, zeros, *weights)
        return all_steps if layer.return_sequences else last

    return call
