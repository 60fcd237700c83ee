"""What the quantizer ``esp_ppq`` can do: Espressif's own tool, in a Python environment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.scheme import Quantizer, Scheme, require_known

TARGETS = {"c": "esp32c3", "esp32s3": "esp32s3", "esp32p4": "esp32p4"}
"""Its targets, and the chips of the quantizer ``espdl`` that have the same rules."""
METHODS = ("kl", "minmax", "mse", "percentile")


@dataclass(frozen=True)
class EspPpqOptions:
    """``target``: a chip as esp-ppq calls it, ``c`` for those without vector instructions; the name of such
    a chip, ``esp32c3``, is taken, too. ``calibration_method``: one of its own.
    """

    target: str = "c"
    calibration_method: str = "minmax"

    def __post_init__(self) -> None:
        for key, allowed in (("target", tuple(TARGETS)), ("calibration_method", METHODS)):
            if getattr(self, key) not in allowed:
                raise UsageError(f"{key}={getattr(self, key)!r} is not known; allowed: {', '.join(allowed)}")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> EspPpqOptions:
        """From a configuration's ``options``. Raises ``UsageError`` for what is not known."""
        require_known("esp_ppq", values, [field.name for field in fields(cls)])
        given = dict(values)
        if given.get("target") == TARGETS["c"]:
            given["target"] = "c"
        return cls(**given)

    @property
    def id(self) -> str:
        """For a configuration's id: the target, and what differs from the usual."""
        method = "" if self.calibration_method == "minmax" else self.calibration_method
        return "-".join(word for word in (self.target, method) if word)


def _options(values: Mapping[str, Any]) -> str:
    return EspPpqOptions.read(values).id


ESP_PPQ = Quantizer(
    name="esp_ppq",
    suffix=".onnx",
    function="pytest_quantcheck.quantizers.esp_ppq.quantize:quantize",
    schemes={  # the target decides the granularity: per channel on the ESP32-P4 only
        "int8": Scheme(("int8", "float32"), ("int8", "float32"), ()),
        "int16": Scheme(("int16", "float32"), ("int16", "float32"), ()),
    },
    options=_options,
)
