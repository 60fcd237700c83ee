"""The run of a configuration as MLflow sees it, where ``mlflow.uri`` says."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration


def track(config: Configuration, rows: Sequence[Row]) -> str:
    """Log a job; says where, or why not. Empty where the file names no ``mlflow.uri``."""
    if not config.mlflow.uri:
        return ""
    if find_spec("mlflow") is None:
        return (
            "mlflow.uri: nothing is logged, the package mlflow is not installed; "
            'pip install "pytest-quantcheck[mlflow]"'
        )
    raise NotImplementedError(rows)
