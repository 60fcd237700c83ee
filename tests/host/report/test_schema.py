"""The JSON documents and the schema that says what they hold."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pytest_quantcheck.baselines.change import STATES, Change
from pytest_quantcheck.report.json import SCHEMAS, document, render
from pytest_quantcheck.report.provenance import Provenance, gather
from pytest_quantcheck.report.report import Report, Trend
from pytest_quantcheck.runners.benchmark import Layer as LayerUse
from pytest_quantcheck.runners.benchmark import TargetUse
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.row import OUTCOMES, Row, ScoreRow, count
from pytest_quantcheck.verdict.table import Table
from pytest_quantcheck.workflows.explain import Board, Layer, Stage
from tests.documents import SCHEMA, read
from tests.host.report.rows import EVERY, GOOD, HOSTILE

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[3]
TYPES = {
    "result": Row,
    "score": ScoreRow,
    "table": Table,
    "criterion": Criterion,
    "divergence": Divergence,
    "cause": Cause,
    "stage": Stage,
    "layer": Layer,
    "beside": Board,
    "change": Change,
    "provenance": Provenance,
    "picture": Picture,
    "trend": Trend,
    "benchmark_layer": LayerUse,
    "benchmark_target": TargetUse,
}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {name: SCHEMA["$defs"][name]["properties"]["schema"]["const"] for name in SCHEMAS} == SCHEMAS


@pytest.mark.parametrize("rows", [(), EVERY, (HOSTILE,)], ids=["none", "every outcome", "hostile"])
def test_a_report_is_what_the_schema_says(rows: tuple[Row, ...]) -> None:
    report = Report(rows, gather(ROOT, {"--qc-vectors": 20}), left_out={"no rig": 3})
    found = read(render(report))
    assert found["schema"] == SCHEMAS["report"]
    assert len(found["results"]) == len(rows)
    assert found["counts"] == count(rows)
    assert found["left_out"] == {"no rig": 3}


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_names_every_field_and_no_other(name: str) -> None:
    assert {field.name for field in fields(TYPES[name])} == SCHEMA["$defs"][name]["properties"].keys()


def test_the_schema_allows_the_outcomes_that_rows_have() -> None:
    assert SCHEMA["$defs"]["result"]["properties"]["outcome"]["enum"] == list(OUTCOMES)
    assert SCHEMA["$defs"]["change"]["properties"]["state"]["enum"] == list(STATES)


def test_the_schema_allows_the_states_that_changes_have() -> None:
    assert SCHEMA["$defs"]["change"]["properties"]["state"]["enum"] == list(STATES)


def test_numbers_that_are_not_finite_are_null() -> None:
    score = replace(GOOD.scores[0], value=math.nan, p_value=-math.inf)
    history = (Trend("t", "host", "accuracy", (("v1", math.nan), ("v2", 0.5))),)
    found = read(render(Report((replace(GOOD, scores=(score,), counter=math.inf),), history=history)))
    (row,) = found["results"]
    assert (row["scores"][0]["value"], row["scores"][0]["p_value"], row["counter"]) == (None, None, None)
    assert found["history"][0]["points"] == [["v1", None], ["v2", 0.5]]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "quantcheck-report-2"},
        {"outcome": "fine"},
        {"results": [{}]},
        {"counts": {}},
        {"provenance": None},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_report(change: dict[str, object]) -> None:
    found = json.loads(render(Report(EVERY)))
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate({**found, **change})


def test_readers_of_a_later_version_may_find_new_keys() -> None:
    found = read(render(Report(EVERY)))
    Draft202012Validator(SCHEMA).validate({**found, "later": 1})


def test_the_page_about_the_schema_is_that_of_the_schema() -> None:
    page = (ROOT / "docs" / "report-schema.md").read_text(encoding="utf-8")
    for name, definition in SCHEMA["$defs"].items():
        section = re.search(rf"^## `{name}`.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert section, f"docs/report-schema.md has no section `{name}`"
        rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+) \|$", section[0], re.MULTILINE)
        assert rows == [(key, each["description"]) for key, each in definition["properties"].items()]


def test_documents_of_the_commands_carry_what_made_them(tmp_path: Path) -> None:
    text = document("compare", {"equal": True}, gather(tmp_path, {"rig": ["virtual"], "json": None}))
    found = json.loads(text)
    assert found["schema"] == SCHEMAS["compare"]
    assert found["provenance"]["options"] == {"rig": "virtual"}
