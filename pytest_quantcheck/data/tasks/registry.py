"""Which tasks there are: a task is a file beside this one that names its ``TASK``."""

from __future__ import annotations

from pytest_quantcheck.data.tasks import (
    agreement,
    anomaly,
    audio_events,
    classification,
    detection,
    regression,
    segmentation,
)
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError

_MODULES = (classification, regression, detection, audio_events, anomaly, segmentation, agreement)
TASKS: dict[str, Task] = {module.TASK.name: module.TASK for module in _MODULES}


def task(given: str | Task) -> Task:
    """A task by name, or one that is ready made. Raises ``UsageError`` for an unknown name."""
    if isinstance(given, Task):
        return given
    if given not in TASKS:
        raise UsageError(f"task={given!r} is not known; allowed: {', '.join(TASKS)}")
    return TASKS[given]
