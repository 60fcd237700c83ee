"""Results in MLflow, read back with its own client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pytest_quantcheck.report import mlflow
from pytest_quantcheck.report.provenance import Provenance
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.verdict.row import Row
from tests import documents
from tests.host.report import rows

pytestmark = pytest.mark.host

MADE = Provenance(
    python="CPython 3.12", revision="ab" * 20, packages={"numpy": "2.0"}, options={"-m": "host"}
)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``written(report)``: the run of the whole, those below it by name, and the client that read them."""
    for name, value in mlflow.USUAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)

    def write(report: Report, experiment: str = mlflow.EXPERIMENT):
        mlflow.write(report, str(tmp_path / "store"))
        client = MlflowClient(str(tmp_path / "store"))
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        (whole,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
        below = {run.info.run_name: run for run in found if run is not whole}
        assert {run.data.tags["mlflow.parentRunId"] for run in below.values()} <= {whole.info.run_id}
        return whole, below, client

    return write


def test_a_run_says_what_the_whole_came_to_and_keeps_both_reports(written) -> None:
    report = Report((rows.GOOD, rows.BAD, rows.FAULT), MADE)
    whole, below, client = written(report)
    assert (whole.info.run_name, whole.info.status) == ("quantcheck: regression", "FAILED")
    assert whole.data.tags["mlflow.source.git.commit"] == MADE.revision
    assert whole.data.params.items() >= {"numpy": "2.0", "-m": "host", "python": "CPython 3.12"}.items()
    assert whole.data.metrics.items() >= {"passed": 1, "failed": 1, "rig faults": 1, "errors": 0}.items()
    assert {each.path for each in client.list_artifacts(whole.info.run_id)} == {"report.html", "report.json"}
    document = documents.read(Path(client.download_artifacts(whole.info.run_id, "report.json")).read_text())
    assert [row["test"] for row in document["results"]] == [row.test for row in report.rows]
    assert "</html>" in Path(client.download_artifacts(whole.info.run_id, "report.html")).read_text()
    assert len(below) == 3


def test_each_verdict_is_a_run_with_its_numbers(written) -> None:
    _, below, _ = written(Report((rows.GOOD, rows.BAD)))
    good, bad = below[rows.GOOD.case], below[rows.BAD.case]
    assert (good.info.status, bad.info.status) == ("FINISHED", "FAILED")
    assert bad.data.tags["outcome"] == "regression"
    score = rows.GOOD.score
    assert score is not None
    assert good.data.metrics[score.metric] == score.value
    assert good.data.metrics[f"{score.metric}.float"] == score.float_value
    assert good.data.metrics[rows.GOOD.unit] == rows.GOOD.counter
    assert good.data.metrics["arena"] == rows.GOOD.arena
    assert good.data.params["model_sha256"] == rows.GOOD.model_sha256
    assert good.data.params["exact"] == "True"
    assert good.data.params["target"] == rows.GOOD.target


def test_whatever_a_row_is_called_it_arrives(written) -> None:
    score = replace(rows.GOOD.scores[0], metric="..", output="a/../b[0]:\n=x", value=float("nan"))
    hostile = replace(rows.GOOD, case="../<b>\x1b[31m" + "x" * 3000, reason="y" * 9000, scores=(score,))
    _, below, _ = written(Report((hostile, Row(outcome="error"))))
    (run,) = [each for each in below.values() if each.data.tags["outcome"] == "pass"]
    assert "of a_.._b_0____x" in run.data.metrics
    assert run.data.params["reason"] == "y" * 500
    assert json.dumps(run.data.params["case"]).startswith('"../<b>\\\\x1b[31mxxx')


def test_the_experiment_is_the_users(written, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "motor")
    first, _, _ = written(Report((rows.GOOD,)), "motor")
    assert first.info.status == "FINISHED"


def test_a_second_run_goes_to_the_same_experiment(written, tmp_path) -> None:
    written(Report((rows.GOOD,)))
    mlflow.write(Report((rows.GOOD,)), str(tmp_path / "store"))
    client = MlflowClient(str(tmp_path / "store"))
    assert len(client.search_runs([client.get_experiment_by_name(mlflow.EXPERIMENT).experiment_id])) == 4
