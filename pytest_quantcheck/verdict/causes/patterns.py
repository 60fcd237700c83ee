"""The shape of a difference between two tensors in words, and what it suggests: a hint, not a proof."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pytest_quantcheck.numerics.arrays import Array

Difference = npt.NDArray[np.int64]


def pattern_of(delta: Difference | None, wrong: Array, right: Array) -> tuple[str, str]:
    """The shape of a difference in words, and what such a shape suggests."""
    if delta is None:
        return "float32 values", "the conversion between integers and float at the model's edge"
    away = delta != 0
    count = int(away.sum())
    if not count:
        return "none", "the difference does not repeat: look at the link and at the board's memory"
    limits = (wrong == wrong.max()) | (wrong == wrong.min())
    free = ~((right == right.max()) | (right == right.min())) & ~limits
    inner = delta[free] if free.any() else delta[away]
    for text, suggestion in _shapes(delta, away, count, inner, limits):
        return text, suggestion
    smallest, largest = int(delta.min()), int(delta.max())
    if max(abs(smallest), abs(largest)) == 1:
        return f"scattered, 1 LSB ({count} elements)", "another rounding rule, or a multiplier off by little"
    return (
        f"scattered, {smallest:+d} to {largest:+d} LSB",
        "weights, multipliers or the input of this operator",
    )


def _shapes(
    delta: Difference,
    away: npt.NDArray[np.bool_],
    count: int,
    inner: Difference,
    limits: npt.NDArray[np.bool_],
) -> Iterator[tuple[str, str]]:
    """The known patterns that fit, the most specific first."""
    if count == 1 and delta.size > 1:
        position = [int(axis[0]) for axis in np.nonzero(away)]
        yield (
            f"a single element, at {position}",
            "one weight, bias or multiplier of that element, or a memory fault",
        )
    channels = np.flatnonzero(away.reshape(-1, delta.shape[-1] if delta.ndim else 1).any(axis=0))
    if len(channels) == 1 and delta.shape[-1] > 1:
        yield (
            f"one output channel only: channel {int(channels[0])}",
            "a weight, bias or multiplier of that channel",
        )
    if inner.size and (inner == inner.flat[0]).all() and inner.flat[0] != 0:
        yield (
            f"a constant offset of {int(inner.flat[0]):+d} LSB where nothing saturates",
            "the output zero point",
        )
    if bool((limits | ~away).all()):
        yield (
            "only elements at the limits of the range",
            "the fused activation's clamp or a saturating narrowing",
        )
    if _border_only(away):
        yield "the border of the picture only", "the padding: its value (the input zero point) or its size"
    if delta.ndim == 4 and len(channels) == delta.shape[-1] and _constant_per_channel(delta):
        yield (
            "a constant offset per channel",
            "the input zero point or the biases (an offset times the sum of weights)",
        )


def _border_only(away: npt.NDArray[np.bool_]) -> bool:
    return away.ndim == 4 and min(away.shape[1:3]) > 2 and not away[:, 1:-1, 1:-1].any()


def _constant_per_channel(delta: Difference) -> bool:
    inner = delta[:, 1:-1, 1:-1] if min(delta.shape[1:3]) > 2 else delta
    rows = inner.reshape(-1, delta.shape[-1])
    common = np.median(rows, axis=0)
    return bool((np.abs(rows - common) <= 1).mean() > 0.75)
