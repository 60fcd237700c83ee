"""What the ``onnx`` quantizer can do, in the terms of onnxruntime's static QDQ quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_quantcheck.errors import CombinationError, UsageError
from pytest_quantcheck.quantizers.scheme import Quantizer, Scheme, require_known

METHODS = ("minmax", "entropy", "percentile")
BINS = {"entropy": 512, "percentile": 2048}
QUANTIZED_BINS = 128  # of entropy: what a histogram is merged into to see what 8 bits lose
PERCENTILE = 99.99


@dataclass(frozen=True)
class OnnxOptions:
    """``method``: how calibration turns values into a range.

    ``bins`` is the histogram's size for ``entropy`` (512) and ``percentile`` (2048); onnxruntime itself takes
    128 for entropy, which changes nothing, and lets nobody choose. ``percentile`` is in percent (99.99).
    ``reduce_range`` gives weights 7 bits, for x86 processors without VNNI that run uint8 models elsewhere.
    """

    method: str = "minmax"
    bins: int = 0
    percentile: float = 0.0
    reduce_range: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"method={self.method!r} is not known; allowed: {', '.join(METHODS)}")
        if self.bins and self.method not in BINS:
            raise CombinationError(f"bins={self.bins!r} is impossible with method='minmax'; leave bins out")
        if self.percentile and self.method != "percentile":
            raise CombinationError(
                f"percentile={self.percentile!r} is impossible with method={self.method!r}; leave it out, "
                "or give method='percentile'"
            )
        least = 2 * QUANTIZED_BINS if self.method == "entropy" else 2
        if self.method in BINS and (
            type(self.bins) is not int or (self.bins and not least <= self.bins <= 1 << 16)
        ):
            raise UsageError(
                f"bins={self.bins!r}: {self.method} takes a whole number from {least} to {1 << 16}"
            )
        if type(self.percentile) not in (int, float) or (self.percentile and not 50 < self.percentile <= 100):
            raise UsageError(f"percentile={self.percentile!r}: allowed: above 50, up to 100")
        if type(self.reduce_range) is not bool:
            raise UsageError(f"reduce_range={self.reduce_range!r}; allowed: True, False")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> OnnxOptions:
        """From a configuration's ``options``. Raises ``UsageError`` for what is not known or impossible."""
        require_known("onnx", values, [field.name for field in fields(cls)])
        if zero := [key for key in ("bins", "percentile") if key in values and not values[key]]:
            raise UsageError(f"{zero[0]}={values[zero[0]]!r}: leave {zero[0]} out, or give a positive number")
        return cls(**values)

    @property
    def calibration(self) -> dict[str, Any]:
        """The calibrator's parameters, by onnxruntime's names."""
        chosen: dict[str, Any] = {"symmetric": False}
        if self.method in BINS:
            chosen["num_bins"] = self.bins or BINS[self.method]
        if self.method == "entropy":
            chosen["num_quantized_bins"] = QUANTIZED_BINS
        if self.method == "percentile":
            chosen["percentile"] = float(self.percentile or PERCENTILE)
        return chosen

    @property
    def id(self) -> str:
        """What differs from the usual, for a configuration's id: ``percentile99.9x100``; else empty."""
        words = []
        if self.method != "minmax":
            short, exact = f"{self.percentile:g}", repr(float(self.percentile))
            share = (short if float(short) == self.percentile else exact) if self.percentile else ""
            words.append(self.method + share + (f"x{self.bins}" if self.bins else ""))
        if self.reduce_range:
            words.append("7bit")
        return "-".join(words)


def _options(values: Mapping[str, Any]) -> str:
    return OnnxOptions.read(values).id


ONNX = Quantizer(
    name="onnx",
    suffix=".onnx",
    function="pytest_quantcheck.quantizers.onnx.quantize:quantize",
    schemes={  # named after the activations; integer edges have their type
        "int8": Scheme(("int8", "float32"), ("int8", "float32")),
        "uint8": Scheme(("uint8", "float32"), ("uint8", "float32")),
        "int16x8": Scheme(("int16", "float32"), ("int16", "float32")),
    },
    options=_options,
)
