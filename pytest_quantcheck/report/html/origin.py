"""Provenance: date, revision, versions, options, and models and boards by what identifies them."""

from __future__ import annotations

from collections import Counter

from pytest_quantcheck.report.html.markup import Html, join, table, tag
from pytest_quantcheck.report.report import Report


def origin(report: Report) -> Html:
    made = report.provenance
    modified = {True: ", with changes that are not committed", False: "", None: ""}[made.modified]
    facts = [
        ("date", made.date),
        ("git revision", made.revision + modified if made.revision else "not known"),
        ("pytest-quantcheck", made.quantcheck),
        ("Python", made.python),
        ("platform", made.platform),
        *made.packages.items(),
        *made.options.items(),
    ]
    known = [part for name, text in facts if text for part in (tag("dt", name), tag("dd", text))]
    models = {row.model: row.model_sha256 for row in report.rows if row.model}
    cases = Counter((row.samples, row.data_sha256) for row in report.rows if row.data_sha256)
    data = [
        ["-" if samples is None else f"{samples:,}", tag("code", digest), f"{count}"]
        for (samples, digest), count in cases.items()
    ]
    boards = {
        (row.board, row.target, row.unique_id, row.runtime, row.build_id): None
        for row in report.rows
        if row.board
    }
    runtimes = {(row.runner, row.runtime): None for row in report.rows if row.runtime and not row.board}
    parts = [tag("dl", *known)]
    if models:
        body = ([name, tag("code", digest)] for name, digest in models.items())
        parts.append(table(("model", "SHA-256"), body))
    if data:
        parts.append(table(("samples run", "SHA-256 of names, inputs and truth", "cases"), data))
    if boards:
        parts.append(table(("board", "target", "chip's id", "runtime", "firmware build"), boards))
    if runtimes:
        parts.append(table(("runner on the host", "runtime"), runtimes))
    return join(parts)
