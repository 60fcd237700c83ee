"""Which metrics there are, by name: those that the files beside this one list as ``METRICS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.verdict.metrics import (
    agreement,
    anomaly,
    audio_events,
    classification,
    detection,
    regression,
    segmentation,
)
from pytest_quantcheck.verdict.metrics.metric import Metric

_MODULES = (classification, agreement, audio_events, detection, anomaly, segmentation, regression)
METRICS: dict[str, Metric] = {metric.name: metric for module in _MODULES for metric in module.METRICS}
_LOSSES = {"loss", "error", "distance", "divergence", "mse", "mae", "rmse", "mape"}
"""Words in the names of functions of which less is better."""
MetricLike = Union[str, Callable[[Array, Array], float], Metric]


def find(metric: MetricLike) -> Metric:
    """A metric by name, or a function ``(outputs, truth) -> float`` (higher is better) as one."""
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return _of_function(metric)
    if not isinstance(metric, str) or metric not in METRICS:
        raise UsageError(f"metric={metric!r} is not known; allowed: {', '.join(METRICS)} or a function")
    return METRICS[metric]


def _of_function(function: Callable[[Array, Array], float]) -> Metric:
    """Higher is better. A loss taken for a score would pass the more surely the worse it is."""
    name = str(getattr(function, "__name__", "score"))
    if set(name.lower().split("_")) & _LOSSES:
        raise UsageError(
            f"metric={name}: of a function higher is better, and its name says the opposite. Give "
            f"Metric({name!r}, {name}, higher_is_better=False), or True, from pytest_quantcheck"
        )
    return Metric(name, function)
