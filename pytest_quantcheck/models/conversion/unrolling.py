"""Recurrent layers of a Keras model written out step by step: TFLite has loops, microcontrollers have not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_WRAPPED = ("layer", "forward_layer", "backward_layer")  # Bidirectional, TimeDistributed
_FLAGS = {"unroll": True, "_could_use_gpu_kernel": False}
"""What Keras 2 and 3 look at when a layer is called; the second makes Keras 2 ignore the first."""


@contextlib.contextmanager
def unrolled(model: Any) -> Iterator[None]:
    """While it lasts, recurrent layers of ``model``, nested ones too, compute step by step.

    The same numbers come out; the number of steps has to be fixed.
    """
    before = [
        (layer, flag, layer.__dict__[flag])
        for layer in _layers(model)
        if "unroll" in layer.__dict__
        for flag in _FLAGS
        if flag in layer.__dict__
    ]
    try:
        for layer, flag, _ in before:
            setattr(layer, flag, _FLAGS[flag])
        yield
    finally:
        for layer, flag, value in before:
            setattr(layer, flag, value)


def _layers(model: Any) -> Iterator[Any]:
    waiting, seen = [model], set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        waiting += getattr(layer, "layers", None) or []
        waiting += [inner for name in _WRAPPED if (inner := getattr(layer, name, None)) is not None]
