"""Classification: one score per class, and the largest names the class."""

from __future__ import annotations

from pytest_quantcheck.data.tasks.task import Task

TASK = Task("classification", metrics=("accuracy",), unlabelled=("agreement",), labels=True)
