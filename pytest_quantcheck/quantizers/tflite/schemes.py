"""What the ``tflite`` quantizer can do, in the terms of TensorFlow Lite's converter."""

from __future__ import annotations

from pytest_quantcheck.quantizers.scheme import Quantizer, Scheme

_BYTES = ("int8", "uint8", "float32")
_WIDE = ("int16", "float32")
_FLOAT = ("float32",)

TFLITE = Quantizer(
    name="tflite",
    suffix=".tflite",
    function="pytest_quantcheck.quantizers.tflite.quantize:quantize",
    schemes={
        "int8": Scheme(_BYTES, _BYTES),
        "int16x8": Scheme(_WIDE, _WIDE),  # activations in int16, weights in int8
        "dynamic": Scheme(_FLOAT, _FLOAT, ("per_channel",), calibrated=False),
        "float16": Scheme(_FLOAT, _FLOAT, (), calibrated=False),
        "float32": Scheme(_FLOAT, _FLOAT, (), calibrated=False),  # converted only: a row like any other
    },
    optimizes=True,
)
