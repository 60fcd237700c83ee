"""What the ``espdl`` quantizer can do: scales that are powers of two, for Espressif chips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_quantcheck.errors import CombinationError, UsageError
from pytest_quantcheck.quantizers.scheme import Quantizer, Scheme, require_known

TARGETS = ("esp32", "esp32s2", "esp32c3", "esp32s3", "esp32p4", "esp32s31")
METHODS = ("minmax", "entropy", "percentile")
GENERATIONS = (1, 2)
PERCENTILE = 99.99


@dataclass(frozen=True)
class EspdlOptions:
    """``target``: the chip, whose rounding rule and bias width the artefact has.

    ``calibration_method``: how samples become a range. ``percentile`` is in percent (99.99). ``generation``:
    2 is today's ESP-DL, 1 the quantization toolkit of ESP-DL 1.1, in which sums are rounded down, weights
    leave out the smallest integer and biases have the exponent of the output.
    """

    target: str = "esp32c3"
    calibration_method: str = "minmax"
    percentile: float = 0.0
    generation: int = 2

    def __post_init__(self) -> None:
        for key, allowed in (("target", TARGETS), ("calibration_method", METHODS)):
            if getattr(self, key) not in allowed:
                raise UsageError(f"{key}={getattr(self, key)!r} is not known; allowed: {', '.join(allowed)}")
        if type(self.generation) is not int or self.generation not in GENERATIONS:
            raise UsageError(f"generation={self.generation!r} is not known; allowed: 1, 2")
        if type(self.percentile) not in (int, float) or (self.percentile and not 50 < self.percentile <= 100):
            raise UsageError(f"percentile={self.percentile!r}: allowed: above 50, up to 100")
        if self.percentile and self.calibration_method != "percentile":
            raise CombinationError(
                f"percentile={self.percentile!r} is impossible with calibration_method="
                f"{self.calibration_method!r}; leave it out, or give calibration_method='percentile'"
            )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> EspdlOptions:
        """From a configuration's ``options``. Raises ``UsageError`` for what is not known or impossible."""
        require_known("espdl", values, [field.name for field in fields(cls)])
        return cls(**values)

    @property
    def share(self) -> float:
        """The percentile in percent, the usual one where none was given."""
        return float(self.percentile or PERCENTILE)

    @property
    def id(self) -> str:
        """For a configuration's id: the target, and what differs from the usual."""
        method = "" if self.calibration_method == "minmax" else self.calibration_method
        share = f"{self.percentile:g}" if self.percentile else ""
        generation = "" if self.generation == 2 else f"v{self.generation}"
        return "-".join(word for word in (self.target, method + share, generation) if word)


def _options(values: Mapping[str, Any]) -> str:
    return EspdlOptions.read(values).id


ESPDL = Quantizer(
    name="espdl",
    suffix=".onnx",
    function="pytest_quantcheck.quantizers.espdl.quantize:quantize",
    schemes={  # named after activations and weights, which have one type
        "int8": Scheme(("int8", "float32"), ("int8", "float32"), ("per_tensor", "per_channel")),
        "int16": Scheme(("int16", "float32"), ("int16", "float32"), ("per_tensor", "per_channel")),
    },
    options=_options,
)
