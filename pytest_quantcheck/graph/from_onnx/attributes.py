"""The attributes of each ONNX operator that are read here; any other could change what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WINDOW = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")
_READ: dict[str, tuple[str, ...]] = {
    "Conv": (*_WINDOW, "group"),
    "ConvTranspose": (*_WINDOW, "group", "output_padding"),
    "Gemm": ("alpha", "beta", "transA", "transB"),
    "MaxPool": (*_WINDOW, "ceil_mode"),
    "AveragePool": (*_WINDOW, "ceil_mode", "count_include_pad"),
    "ReduceMean": ("axes", "keepdims", "noop_with_empty_axes"),
    "Concat": ("axis",),
    "Reshape": ("allowzero",),
    "Flatten": ("axis",),
    "Transpose": ("perm",),
    "Split": ("axis", "num_outputs"),
    "Resize": (
        "antialias",
        "axes",
        "coordinate_transformation_mode",
        "exclude_outside",
        "keep_aspect_ratio_policy",
        "mode",
        "nearest_mode",
    ),
    "Pad": ("mode",),
    "Softmax": ("axis",),
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Elu": ("alpha",),
    "Gelu": ("approximate",),
    "Selu": ("alpha", "gamma"),
    "Celu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "ReduceMax": ("axes", "keepdims", "noop_with_empty_axes"),
    "QuantizeLinear": ("axis",),
    "DequantizeLinear": ("axis",),
}
# Attributes that mean nothing at these values: the order of indices that nobody reads, blocks of no size, ...
_WITHOUT_EFFECT: dict[str, dict[str, tuple[Any, ...]]] = {
    "MaxPool": {"storage_order": (0, 1)},
    "Resize": {"cubic_coeff_a": (), "extrapolation_value": ()},  # of modes that are not supported
    "Dropout": {"seed": ()},
    "QuantizeLinear": {"block_size": (0,), "output_dtype": (0,), "precision": (0, 1), "saturate": (0, 1)},
    "DequantizeLinear": {"block_size": (0,), "output_dtype": (0, 1)},
}


def unread(kind: str, given: Mapping[str, Any]) -> str | None:
    """What to tell about the first attribute that is not read, None when all are."""
    for name, value in given.items():
        if name in _READ.get(kind, ()):
            continue
        harmless = _WITHOUT_EFFECT.get(kind, {}).get(name)
        if harmless is None or (harmless and value not in harmless):
            allowed = ", ".join(_READ.get(kind, ())) or "none"
            return f"its attribute {name}={value!r} is not supported; supported: {allowed}"
    return None
