"""Findings that artefacts of every format can have, each with its code, its condition and its remedy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_quantcheck.finding import Finding
from pytest_quantcheck.numerics.arrays import Float32
from pytest_quantcheck.quantizers.config import QuantConfig


def wrong_scales(what: str, scales: Float32) -> Iterator[Finding]:
    """Of the tensor called ``what``: a scale that is not finite, or not above 0."""
    right = np.isfinite(scales) & (scales > 0)
    if not right.all():
        yield Finding(
            "error",
            "scale",
            f"{what} has the scale {scales[~right][0]:g}.",
            "Scales are positive and finite; look for NaN in the weights and calibration samples.",
        )


def another_edge_type(side: str, name: str, dtype: str, config: QuantConfig) -> Iterator[Finding]:
    """``side`` is ``input`` or ``output``: an edge that has another type than the configuration."""
    asked = config.input_type if side == "input" else config.output_type
    if dtype != asked:
        yield Finding(
            "error",
            f"{side}_type",
            f"{side.capitalize()} '{name}' is {dtype}, {asked} was asked for.",
            f"Quantize again with {side}_type={asked}, or ask for {side}_type={dtype}.",
        )


def another_granularity(
    where: str, scales: int, channels: int, config: QuantConfig, *, can_be_per_channel: bool
) -> Iterator[Finding]:
    """Of an operator with weights: more or fewer scales than the configuration's granularity means."""
    if config.granularity == "per_tensor" and scales > 1:
        asked = "one scale (per_tensor) was asked for"
    elif config.granularity == "per_channel" and scales == 1 < channels and can_be_per_channel:
        asked = "one per channel (per_channel) was asked for"
    else:
        return
    yield Finding(
        "error",
        "granularity",
        f"The weights of {where} have {scales} scale(s) for {channels} channels, {asked}.",
        f"Quantize again with granularity={config.granularity}, or ask for what the file holds.",
    )
