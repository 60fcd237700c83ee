"""The run of a configuration as MLflow sees it, where ``mlflow.uri`` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from pytest_quantcheck.report import mlflow
from pytest_quantcheck.report.provenance import gather, without_user
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration
from pytest_quantcheck.workflows.model_zoo.run_folder import MODEL


def track(config: Configuration, rows: Sequence[Row]) -> str:
    """Log a job: the project is the experiment, the run is called as its folder; keys of the file are its
    parameters, the integer model one of its files. Says where, or why not; empty where the file names no
    ``mlflow.uri``. What MLflow refuses is said, and costs nothing else.
    """
    if not config.mlflow.uri:
        return ""
    if find_spec("mlflow") is None:
        return (
            "mlflow.uri: nothing is logged, the package mlflow is not installed; "
            'pip install "pytest-quantcheck[mlflow]"'
        )
    report = Report(
        rows=tuple(rows),
        root=str(config.folders[0]),
        provenance=gather(config.folders[0], dict(_flat(config.composed.values, ""))),
    )
    target, shown = _target(config), without_user(config.mlflow.uri)
    files = [path for path in config.run_dir.glob(f"*/{MODEL}.*") if path.parent.name == _export_dir(config)]
    try:
        mlflow.log(
            report, target, experiment=config.general.project_name, name=config.run_dir.name, files=files
        )
    except Exception as error:  # of MLflow, its database or the network
        return f"mlflow.uri {shown}: NOT LOGGED: {type(error).__name__}: {without_user(str(error))}"
    return f"mlflow.uri {shown}: experiment {config.general.project_name}"


def _target(config: Configuration) -> str:
    """A server or database as it is, a folder from where the run started."""
    uri = str(config.mlflow.uri)
    return uri if "://" in uri else str((config.folders[0] / uri).absolute())


def _export_dir(config: Configuration) -> str:
    return config.quantization.export_dir if config.quantization is not None else ""


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """``quantization.granularity`` with its value, for every key that has one."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
