"""MLflow runs of the configurations that a run has tested, logged by the controlling process at its end."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.plugin.notes import ZooJob, run_notes
from pytest_quantcheck.plugin.settings import settings
from pytest_quantcheck.plugin.yaml_file import started
from pytest_quantcheck.verdict.row import Row
from pytest_quantcheck.workflows.model_zoo import load
from pytest_quantcheck.workflows.model_zoo.composition import is_sweep
from pytest_quantcheck.workflows.model_zoo.tracking import track


def track_jobs(config: pytest.Config) -> None:
    """Log each job with the rows of its steps. What cannot be logged is said, and costs nothing else."""
    notes, told = run_notes(config), list[tuple[str, str]]()
    for job in dict.fromkeys(notes.zoo_jobs):
        rows = [row for row in notes.rows if _of(job, row)]
        if not rows:
            continue
        try:
            told.append((job.node, _track(config, job, rows)))
        except (QuantcheckError, OSError) as error:
            notes.unwritten.append(f"MLflow run NOT LOGGED: {error}")
    notes.written += load.grouped([(file, text) for file, text in told if text])


def _of(job: ZooJob, row: Row) -> bool:
    node, _, name = row.test.partition("::")
    return node == job.node and name.partition("[")[2].removesuffix("]") == job.label


def _track(config: pytest.Config, job: ZooJob, rows: list[Row]) -> str:
    overrides = settings(config).yaml_overrides
    configs = load.load_configurations(
        config.rootpath / job.path,
        overrides,
        multirun=is_sweep(overrides),
        now=started(config),
        working=config.invocation_params.dir,
        name=job.node,
    )
    found = next(each for each in configs if load.label(each) == job.label)
    return track(load.with_folder(found, job.run_dir), rows)
