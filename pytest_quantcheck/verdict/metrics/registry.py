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
MetricLike = Union[str, Callable[[Array, Array], float], Metric]


def find(metric: MetricLike) -> Metric:
    """A metric by name, or a function ``(outputs, truth) -> float`` (higher is better) as one."""
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        return Metric(getattr(metric, "__name__", "score"), metric)
    if metric not in METRICS:
        raise UsageError(f"metric={metric!r} is not known; allowed: {', '.join(METRICS)} or a function")
    return METRICS[metric]
