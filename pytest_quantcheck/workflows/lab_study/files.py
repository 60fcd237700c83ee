"""The files of the lab: ``TASK-metrics.md``, ``TASK-confusion-matrix.png``, artefacts, ``summary.md``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pytest_quantcheck.errors import MissingExtraError
from pytest_quantcheck.files import write_whole
from pytest_quantcheck.quantizers.artefact import write_artefact
from pytest_quantcheck.verdict.metrics.classification import decisions, true_classes
from pytest_quantcheck.verdict.metrics.tally import LARGEST_MATRIX, matrix
from pytest_quantcheck.workflows.lab_study.checked import Checked
from pytest_quantcheck.workflows.lab_study.study import Result, Study
from pytest_quantcheck.workflows.lab_study.summary import summary

SUMMARY = "summary.md"


def require_figures() -> None:
    """Raises ``MissingExtraError`` before the long work begins, not after it."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "report", "The confusion matrices of the lab")


def write_files(study: Study, folder: Path, checked: Sequence[Checked] = ()) -> list[Path]:
    """Write everything into ``folder``, which is made; returns the paths. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for result in study.results:
        prefix = folder / result.task.name
        written.append(prefix.with_name(f"{prefix.name}-metrics.md"))
        write_whole(written[-1], metrics(result).encode())
        if picture := confusion(result, study):
            written.append(prefix.with_name(f"{prefix.name}-confusion-matrix.png"))
            write_whole(written[-1], picture)
        if result.task.config is not None:
            written.append(folder / f"{study.model.name}{result.task.suffix}.tflite")
            write_artefact(result.model, written[-1])
    written.append(folder / SUMMARY)
    write_whole(written[-1], summary(study, checked).encode("utf-8", "replace"))
    return written


def metrics(result: Result) -> str:
    """The course's text, line by line, with the right values under each name (see ``Quality``)."""
    found = result.quality
    return (
        f"Model type: {result.task.name}\n\n"
        f"* Accuracy: {found.accuracy}\n"
        f"* Mean precision: {found.precision}\n"
        f"* Mean sensitivity: {found.sensitivity}\n"
        f"* G-Mean: {found.gmean}\n"
        f"* Mean inference time: {float(result.timed.kept_ms.mean())} ms\n"
        f"* Top-5 percentage: {found.top5}\n"
    )


def confusion(result: Result, study: Study) -> bytes | None:
    """A PNG, rows: the truth, columns: what was named. None of more than ``LARGEST_MATRIX`` classes."""
    from pytest_quantcheck.report.figures import picture

    outputs, classes = result.timed.outputs, result.quality.classes
    if classes > LARGEST_MATRIX:
        return None
    truth = true_classes(outputs, study.data.test.truths[0])
    return picture(
        [(result.task.name, t) for t in matrix(decisions(outputs), truth, classes, study.data.classes)]
    )
