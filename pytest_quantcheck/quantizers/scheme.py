"""What a quantizer can do, as data that costs nothing to import: schemes, types, granularities, options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_quantcheck.errors import CombinationError, UsageError

GRANULARITIES = ("per_channel", "per_tensor")


@dataclass(frozen=True)
class Scheme:
    """What may be combined under one scheme; the first value is the one taken where none is given.

    Empty ``granularities``: the scheme has none. ``calibrated``: samples decide the scales.
    """

    input_types: tuple[str, ...]
    output_types: tuple[str, ...]
    granularities: tuple[str, ...] = GRANULARITIES
    calibrated: bool = True


def require_known(quantizer: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises ``UsageError`` for the first of the options ``values`` that is not ``known``."""
    allowed = sorted(known)
    if unknown := sorted(set(values).difference(allowed)):
        raise UsageError(
            f"option {unknown[0]!r} of the quantizer {quantizer} is not known; allowed: {', '.join(allowed)}"
        )


@dataclass(frozen=True)
class Quantizer:
    """A quantizer's description: what an entry point of the group names.

    ``suffix`` is that of its artefacts. ``function`` is ``package.module:function``, called as
    ``quantizers.tflite.quantize`` is. ``options`` checks the options of a configuration (raising
    ``UsageError``) and returns what they add to the configuration's id, empty for the usual ones; None for
    a quantizer that has no options. ``optimizes``: it knows ``optimize=True``.
    """

    name: str
    suffix: str
    function: str
    schemes: Mapping[str, Scheme]
    options: Callable[[Mapping[str, Any]], str] | None = None
    optimizes: bool = False

    def options_id(self, values: Mapping[str, Any]) -> str:
        """What ``values`` add to a configuration's id. Raises ``UsageError`` for options that cannot be."""
        if self.options is not None:
            return self.options(values)
        for key, value in values.items():
            raise CombinationError(
                f"options={{{key!r}: {value!r}}} is impossible with quantizer={self.name!r}, which has "
                "none; leave options out"
            )
        return ""
