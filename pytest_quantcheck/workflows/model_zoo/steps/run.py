"""Runs one step of a job, with its log and its results in the run's folder."""

from __future__ import annotations

from collections.abc import Callable

from pytest_quantcheck.errors import PrerequisiteError
from pytest_quantcheck.wording import first_line
from pytest_quantcheck.workflows.model_zoo import modes
from pytest_quantcheck.workflows.model_zoo.job import Job
from pytest_quantcheck.workflows.model_zoo.steps.board import benchmark, deploy
from pytest_quantcheck.workflows.model_zoo.steps.evaluate import evaluate, evaluate_float, evaluate_quantized
from pytest_quantcheck.workflows.model_zoo.steps.predict import predict
from pytest_quantcheck.workflows.model_zoo.steps.quantize import quantize

STEPS: dict[str, Callable[[Job], None]] = {
    modes.EVALUATE: evaluate,
    modes.EVALUATE_FLOAT: evaluate_float,
    modes.QUANTIZE: quantize,
    modes.EVALUATE_QUANTIZED: evaluate_quantized,
    modes.BENCHMARK: benchmark,
    modes.DEPLOY: deploy,
    modes.PREDICT: predict,
}


def prepare(job: Job, step: str) -> None:
    """Make what ``step`` needs of other steps. ``PrerequisiteError`` names the one that failed."""
    for need in modes.needs(job.config.mode, step):
        try:
            _ = job.quantized  # the one product that others need
        except Exception as error:
            raise PrerequisiteError(
                f"{step} needs {need}, which failed: {first_line(str(error)) or type(error).__name__}"
            ) from error


def run(job: Job, step: str) -> None:
    """The step's work. Raises what it raises; the log says so as well."""
    job.folder.prepare()
    job.folder.log(f"operation_mode: {job.config.mode}, step {step}")
    try:
        STEPS[step](job)
    except Exception as error:
        job.folder.log(f"step {step} failed: {type(error).__name__}: {error}")
        raise
    job.folder.log(f"step {step} finished")
