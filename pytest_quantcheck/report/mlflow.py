"""The results in MLflow: a run for the whole, with page and JSON, and below it one for each verdict."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.report import json
from pytest_quantcheck.report.html import page
from pytest_quantcheck.report.junit import known, text
from pytest_quantcheck.report.naming import title
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import Row, count, overall
from pytest_quantcheck.wording import visible

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "quantcheck"
"""Where the variable ``MLFLOW_EXPERIMENT_NAME`` names none."""
USUAL = {  # what MLflow is told where its user has not said otherwise
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a folder is a fair target, though MLflow prefers a database
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody is told anything but the server that was named
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is away must not hold up the end of a run
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
_LONGEST = 500  # characters of a parameter or a tag that every server takes
_NOT_IN_NAMES = re.compile(r"[^\w\-. ]")
_RUN_STATUS = {True: "FINISHED", False: "FAILED"}


def write(report: Report, target: str) -> None:
    """``target`` is a tracking URI: a server, a database or a folder. Raises what MLflow raises."""
    log(report, target, experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)


def log(report: Report, target: str, *, experiment: str, name: str = "", files: Sequence[Path] = ()) -> str:
    """The same in an ``experiment`` of that name, as a run called ``name``, which keeps ``files`` as well.

    Returns the run's id.
    """
    for variable, value in USUAL.items():
        os.environ.setdefault(variable, value)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(target)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found is not None else client.create_experiment(experiment)
    made, outcome = report.provenance, overall(report.rows)
    tags = {"outcome": outcome, "mlflow.source.name": "pytest-quantcheck", "mlflow.source.type": "JOB"}
    tags |= {"mlflow.source.git.commit": made.revision} if made.revision else {}
    facts = {"pytest-quantcheck": made.quantcheck, "python": made.python, **made.packages, **made.options}
    run = _log(client, number, name or f"quantcheck: {outcome}", tags, {**facts, **count(report.rows)})
    client.log_text(run, page.render(report), "report.html")
    client.log_text(run, json.render(report), "report.json")
    for row in report.rows:
        its = {"outcome": row.outcome, "mlflow.parentRunId": run}
        one = _log(client, number, title(row), its, _values(row))
        client.set_terminated(one, _RUN_STATUS[row.outcome in ("pass", "expected")])
    for file in files:
        client.log_artifact(run, str(file))
    client.set_terminated(run, _RUN_STATUS[outcome == "pass"])
    return run


def _values(row: Row) -> dict[str, object]:
    """What JUnit gets, but for the counter, which is called by its unit: units do not share a plot."""
    values = known(row)
    if row.unit and "counter" in values:
        values[row.unit] = values.pop("counter")
    return values


def _log(
    client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str], values: Mapping[str, object]
) -> str:
    """A new run with numbers as its metrics, anything else as its parameters; its id."""
    from mlflow.entities import Metric, Param

    made = client.create_run(experiment, run_name=name, tags=dict(tags))
    now, run = int(time.time() * 1000), str(made.info.run_id)
    metrics, parameters = [], []
    for key, value in values.items():
        called = _NOT_IN_NAMES.sub("_", key).strip(". ") or "_"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            metrics.append(Metric(called, float(value), now, 0))
        else:
            parameters.append(Param(called, visible(text(value))[:_LONGEST]))
    client.log_batch(run, metrics, parameters)
    return run
