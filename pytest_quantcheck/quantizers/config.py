"""One quantization configuration, checked when it is made; no quantizer code lives here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.errors import UsageError

INPUT_TYPES = ("int8", "uint8", "float32")
GRANULARITIES = ("per_channel", "per_tensor")
QUANTIZERS = ("tflite",)
_SHORT = {"int8": "i8", "uint8": "u8", "float32": "f32", "int16": "i16"}


@dataclass(frozen=True)
class QuantConfig:
    """What is asked of a quantizer. Wrong values are ``UsageError`` that name what is allowed."""

    input_type: str = "int8"
    output_type: str = "int8"
    granularity: str = "per_channel"
    calibration: Calibration = field(default_factory=Calibration)  # or a text for Calibration.parse
    quantizer: str = "tflite"

    def __post_init__(self) -> None:
        if isinstance(self.calibration, str):
            object.__setattr__(self, "calibration", Calibration.parse(self.calibration))
        _check("input_type", self.input_type, INPUT_TYPES)
        _check("output_type", self.output_type, INPUT_TYPES)
        _check("granularity", self.granularity, GRANULARITIES)
        _check("quantizer", self.quantizer, QUANTIZERS)

    @property
    def id(self) -> str:
        """Reads like a sentence and holds no hash: ``tflite-i8-i8-perchannel-cal10pct``."""
        return "-".join(
            (
                self.quantizer,
                _SHORT[self.input_type],
                _SHORT[self.output_type],
                self.granularity.replace("_", ""),
                self.calibration.id,
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for manifests."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QuantConfig:
        """What ``to_dict`` made. Raises ``UsageError`` for unknown keys."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"unknown key {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        calibration = values.get("calibration", Calibration())
        if isinstance(calibration, Mapping):
            calibration = Calibration(**calibration)
        return cls(**{**values, "calibration": calibration})


def _check(key: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{key}={value!r} is not known; allowed: {', '.join(allowed)}")
