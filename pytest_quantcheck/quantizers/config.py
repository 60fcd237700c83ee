"""One quantization configuration, checked when it is made; no quantizer code lives here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from pytest_quantcheck.data.calibration import NONE, Calibration
from pytest_quantcheck.errors import CombinationError, UsageError
from pytest_quantcheck.quantizers.registry import quantizer
from pytest_quantcheck.quantizers.scheme import GRANULARITIES, Scheme

_SHORT = {"int8": "i8", "uint8": "u8", "float32": "f32", "int16": "i16"}
DATA_TYPES = tuple(_SHORT)
SCHEMES = ("int8", "int16x8", "dynamic", "float16", "float32")


@dataclass(frozen=True, init=False)
class QuantConfig:
    """What is asked of a quantizer. What is left out is the usual of the quantizer's scheme.

    ``calibration`` may be given as a text (see ``Calibration.parse``), ``options``, which are a quantizer's
    own, as a mapping or as pairs. ``optimize`` equalises weights before each layer gets one scale. Wrong
    values are ``UsageError``, values that cannot go together ``CombinationError``; both name key, value and
    what is allowed.
    """

    input_type: str
    output_type: str
    granularity: str
    calibration: Calibration
    quantizer: str
    scheme: str
    options: tuple[tuple[str, Any], ...]
    optimize: bool

    def __init__(
        self,
        input_type: str = "",
        output_type: str = "",
        granularity: str = "",
        calibration: Calibration | str | None = None,
        quantizer: str = "tflite",
        scheme: str = "",
        options: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        optimize: bool = False,
    ) -> None:
        given = calibration if not isinstance(calibration, str) else Calibration.parse(calibration)
        pairs = _pairs(options)
        values = input_type, output_type, granularity, given, quantizer, scheme, pairs, optimize
        for each, value in zip(fields(self), values, strict=True):
            object.__setattr__(self, each.name, value)
        self._settle()

    def _settle(self) -> None:
        """Check the values, and put the usual ones where none was given."""
        _check_known(self)
        description = quantizer(self.quantizer)
        self._default("scheme", next(iter(description.schemes)))
        if self.scheme not in description.schemes:
            raise _impossible(self, "scheme", f"quantizer={self.quantizer!r}", tuple(description.schemes))
        scheme = description.schemes[self.scheme]
        self._combine("input_type", scheme.input_types)
        self._combine("output_type", scheme.output_types)
        self._combine("granularity", scheme.granularities)
        self._default("calibration", Calibration() if scheme.calibrated else NONE)
        _check_calibration(self, scheme)
        description.options_id(dict(self.options))
        if self.optimize:
            _check_optimize(self)

    def _default(self, key: str, value: object) -> None:
        if getattr(self, key) in ("", None):
            object.__setattr__(self, key, value)

    def _combine(self, key: str, allowed: tuple[str, ...]) -> None:
        self._default(key, allowed[0] if allowed else "")
        if getattr(self, key) not in (allowed or ("",)):
            raise _impossible(self, key, f"scheme={self.scheme!r}", allowed)

    @cached_property
    def id(self) -> str:
        """Reads like a sentence and holds no hash: ``tflite-i8-i8-perchannel-cal10pct``."""
        return self.id_with({})

    def id_with(self, words: Mapping[str, str]) -> str:
        """The id with other ``words`` for some keys, such as ``{"calibration": "few"}``.

        The scheme is named unless it is int8.
        """
        parts = {
            "quantizer": self.quantizer,
            "scheme": "" if self.scheme == "int8" else self.scheme,
            "input_type": _SHORT[self.input_type],
            "output_type": _SHORT[self.output_type],
            "granularity": self.granularity.replace("_", ""),
            "options": quantizer(self.quantizer).options_id(dict(self.options)),
            "optimize": "opt" if self.optimize else "",
            "calibration": self.calibration.id,
        }
        return "-".join(part for part in {**parts, **words}.values() if part)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for manifests."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "calibration": self.calibration.to_dict(), "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QuantConfig:
        """What ``to_dict`` made. Raises ``UsageError`` for unknown keys."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UsageError(f"unknown key {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        calibration = values.get("calibration")
        if isinstance(calibration, Mapping):
            calibration = Calibration.from_dict(calibration)
        return cls(**{**values, "calibration": calibration})


def _check_known(config: QuantConfig) -> None:
    """Each value on its own: a word nobody knows is no impossible combination, but a typo."""
    for key, allowed in (
        ("input_type", DATA_TYPES),
        ("output_type", DATA_TYPES),
        ("granularity", GRANULARITIES),
    ):
        value = getattr(config, key)
        if value != "" and value not in allowed:
            raise UsageError(f"{key}={value!r} is not known; allowed: {', '.join(allowed)}")
    if not isinstance(config.quantizer, str):
        raise UsageError(f"quantizer={config.quantizer!r}: allowed: the name of a quantizer")
    schemes = dict.fromkeys((*SCHEMES, *quantizer(config.quantizer).schemes))
    if config.scheme != "" and config.scheme not in schemes:
        raise UsageError(f"scheme={config.scheme!r} is not known; allowed: {', '.join(schemes)}")
    if not isinstance(config.optimize, bool):
        raise UsageError(f"optimize={config.optimize!r}: allowed: True, False")
    if config.calibration is not None and not isinstance(config.calibration, Calibration):
        raise UsageError(
            f"calibration={config.calibration!r}: allowed: a text such as '10%', or a Calibration"
        )


def _pairs(options: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """The options sorted by key."""
    try:
        listed = list(options.items()) if isinstance(options, Mapping) else list(options)
        given = dict(listed)
        pairs = tuple(sorted(given.items()))
    except (TypeError, ValueError):
        raise UsageError(
            f"options={options!r}: allowed: a mapping such as {{'method': 'percentile'}}"
        ) from None
    if len(given) < len(listed):
        raise UsageError(f"options={options!r}: a key is given twice; leave one out")
    return pairs


def _check_calibration(config: QuantConfig, scheme: Scheme) -> None:
    if scheme.calibrated and config.calibration == NONE:
        raise CombinationError(
            f"calibration='none' is impossible with scheme={config.scheme!r}, whose scales come from "
            "samples; give samples, or calibration='random' for sizes and exactness only"
        )
    if not scheme.calibrated and config.calibration != NONE:
        raise CombinationError(
            f"calibration={config.calibration.text!r} is impossible with scheme={config.scheme!r}, which "
            "uses no samples; leave calibration out"
        )


def _check_optimize(config: QuantConfig) -> None:
    """Equalising gains where a layer has one scale, and only does harm where every channel has its own."""
    description = quantizer(config.quantizer)
    schemes = [name for name, each in description.schemes.items() if "per_tensor" in each.granularities]
    if not description.optimizes:
        beside, remedy = f"quantizer={config.quantizer!r}", "leave optimize out, or give quantizer='tflite'"
    elif config.scheme not in schemes:
        beside = f"scheme={config.scheme!r}, which has no per-tensor scales"
        remedy = f"leave optimize out, or give scheme={schemes[0]!r}"
    elif config.granularity != "per_tensor":
        beside = f"granularity={config.granularity!r}, where it costs accuracy"
        remedy = "give granularity='per_tensor', or leave optimize out"
    else:
        return
    raise CombinationError(f"optimize=True is impossible with {beside}; {remedy}")


def _impossible(config: QuantConfig, key: str, beside: str, allowed: tuple[str, ...]) -> CombinationError:
    """The error for a known value; names another scheme that takes it, where there is one."""
    value = getattr(config, key)
    others = [
        name
        for name, other in quantizer(config.quantizer).schemes.items()
        if key != "scheme" and value in getattr(other, "granularities" if key == "granularity" else f"{key}s")
    ]
    way_out = f", or scheme={others[0]!r}" if others else ""
    remedy = f"allowed: {', '.join(allowed)}{way_out}" if allowed else f"leave {key} out{way_out}"
    return CombinationError(f"{key}={value!r} is impossible with {beside}; {remedy}")
