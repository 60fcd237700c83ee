"""Regression: the outputs are quantities of their own unit."""

from __future__ import annotations

from pytest_quantcheck.data.tasks.task import Task

TASK = Task("regression", metrics=("rmse",), unlabelled=("rmse",))
