"""What quantizers there are and what each can do: plug-ins of the group ``quantcheck.quantizers``.

A description is data and costs nothing to import; the code that quantizes is imported when something is
quantized.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_quantcheck import entry_points
from pytest_quantcheck.errors import CombinationError, PluginError

if TYPE_CHECKING:
    from pytest_quantcheck.quantizers.config import QuantConfig
    from pytest_quantcheck.quantizers.model import QuantizedModel

GROUP = "quantcheck.quantizers"
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


def _no_options(config: QuantConfig) -> str:
    for key, value in config.options:
        raise CombinationError(
            f"options={{{key!r}: {value!r}}} is impossible with quantizer={config.quantizer!r}, which has "
            "none; leave options out"
        )
    return ""


@dataclass(frozen=True)
class Quantizer:
    """A quantizer's description: what an entry point of the group names.

    ``suffix`` is that of its artefacts. ``function`` is ``package.module:function``, called as
    ``quantizers.tflite.quantize`` is. ``options`` checks ``config.options`` (raising ``UsageError``) and
    returns what they add to the configuration's id, empty for the usual ones. ``optimizes``: it knows
    ``optimize=True``.
    """

    name: str
    suffix: str
    function: str
    schemes: Mapping[str, Scheme]
    options: Callable[[QuantConfig], str] = _no_options
    optimizes: bool = False

    def quantize(self, source: Any, config: QuantConfig, data: Any = None, **how: Any) -> QuantizedModel:
        """Import ``function`` and call it."""
        module, _, name = self.function.partition(":")
        made: QuantizedModel = getattr(importlib.import_module(module), name)(source, config, data, **how)
        return made


def quantizer_names() -> tuple[str, ...]:
    """Names of all installed quantizers, sorted; imports none of them."""
    return entry_points.names(GROUP)


@cache
def quantizer(name: str) -> Quantizer:
    """The description of the quantizer called ``name``; no other plug-in is imported.

    Raises ``UsageError`` for an unknown name, ``PluginError`` for a plug-in that cannot be imported.
    """
    loaded = entry_points.load(GROUP, "quantizer", name, lambda found: isinstance(found, Quantizer))
    assert isinstance(loaded, Quantizer)
    if not loaded.schemes:
        raise PluginError(f"the quantizer {name!r} names no scheme")
    return loaded


def quantize(source: Any, config: QuantConfig, data: Any = None, **how: Any) -> QuantizedModel:
    """Quantize ``source`` by the quantizer that ``config`` names; see ``quantizers.tflite.quantize``."""
    return quantizer(config.quantizer).quantize(source, config, data, **how)
