"""``quantize``: a float model becomes an artefact, by whichever quantizer the configuration names."""

from __future__ import annotations

import importlib
from pathlib import Path

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.representative import Data
from pytest_quantcheck.models.load import Source
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.quantizers.registry import quantizer


def quantize(
    source: Source,
    config: QuantConfig,
    data: Data | None = None,
    *,
    name: str = "",
    base: Path | None = None,
    cache: Cache | None = None,
    input_range: tuple[float, float] | None = None,
) -> QuantizedModel:
    """Quantize ``source`` as ``config`` asks, with ``data`` to calibrate.

    ``source`` is what ``models.load`` takes, relative to ``base``; ``name`` is the model's in ids.
    ``input_range`` (low, high) is what random calibration draws from. Imports the quantizer's function now;
    which errors it raises stands there.
    """
    module, _, function = quantizer(config.quantizer).function.partition(":")
    made: QuantizedModel = getattr(importlib.import_module(module), function)(
        source, config, data, name=name, base=base, cache=cache, input_range=input_range
    )
    return made
