"""Which tasks there are: a task is a file beside this one that names its ``TASK``."""

from __future__ import annotations

from pytest_quantcheck.data.tasks import agreement, classification, regression
from pytest_quantcheck.data.tasks.task import Task
from pytest_quantcheck.errors import UsageError

TASKS: dict[str, Task] = {each.TASK.name: each.TASK for each in (classification, regression, agreement)}


def task(given: str | Task) -> Task:
    """A task by name, or one that is ready made. Raises ``UsageError`` for an unknown name."""
    if isinstance(given, Task):
        return given
    if given not in TASKS:
        raise UsageError(f"task={given!r} is not known; allowed: {', '.join(TASKS)}")
    return TASKS[given]
