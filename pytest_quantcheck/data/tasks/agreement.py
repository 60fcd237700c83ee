"""Agreement: the truth is not known; a quantized model is compared with its float source, class by class."""

from __future__ import annotations

from pytest_quantcheck.data.tasks.task import Task

TASK = Task("agreement", metrics=("agreement",), unlabelled=("agreement",))
