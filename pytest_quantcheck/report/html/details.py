"""Every case: a line in a list that can be filtered, and below it all its numbers and what made each."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_quantcheck.report.cells import baseline, cost, difference, place, size, verdict
from pytest_quantcheck.report.html.flips import names
from pytest_quantcheck.report.html.markup import Html, join, table, tag
from pytest_quantcheck.report.naming import BAD, MARKS, maker, scored_by, title, value
from pytest_quantcheck.report.report import Place
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.row import Row, ScoreRow
from pytest_quantcheck.wording import counted

_MOST = 1000  # cases with all their numbers; those that failed come first


def cases(rows: tuple[Row, ...], places: Mapping[str, Place]) -> Html:
    """All rows, in the order in which their tests ended."""
    chosen = sorted(range(len(rows)), key=lambda index: rows[index].outcome not in BAD)[:_MOST]
    complete = set(chosen)
    filters = tag(
        "p",
        tag("input", type="search", id="filter", placeholder="filter cases", aria_label="filter cases"),
        tag("span", "", id="matching", role="status"),
        class_="filter",
    )
    parts = [_case(index, row, places, complete=index in complete) for index, row in enumerate(rows)]
    rest = len(rows) - len(complete)
    note = [tag("p", f"{counted(rest, 'case')} without details here: see the JSON report", class_="note")]
    return join([filters, *(note if rest else []), tag("div", *parts, id="case-list")])


def _case(index: int, row: Row, places: Mapping[str, Place], *, complete: bool) -> Html:
    score = row.score
    facts = [
        place(row),
        f"{score.metric} {value(score, score.value)}" if score else "",
        f"{difference(row)} to float" if difference(row) != "-" else "",
        cost(row),
        f"baseline {baseline(row)}" if row.changes else "",
    ]
    summary = tag(
        "summary",
        tag("span", MARKS[row.outcome], class_="mark", aria_hidden="true"),
        tag("span", title(row), class_="name"),
        *(tag("span", each, class_="fact") for each in facts if each not in ("", "-")),
        tag("span", verdict(row), class_="verdict"),
    )
    body = _body(row, places.get(row.test)) if complete else ()
    return tag("details", summary, *body, class_=f"case {row.outcome}", id=f"case-{index}")


def _body(row: Row, where: Place | None) -> list[Html]:
    parts = [_facts(row, where)]
    if row.reason:
        parts.append(tag("pre", row.reason))
    if row.criteria:
        parts.append(table(("criterion", "", "what was found"), map(_criterion, row.criteria)))
    if row.scores:
        head = ("score", "value", "float model", "drop", "samples", "p", "made by")
        parts.append(table(head, (_score(row, each) for each in row.scores)))
        parts += [part for each in row.scores for part in _flips(each)]
    if costs := _costs(row):
        parts.append(table(("cost", f"on {maker(row)}"), costs))
    if row.changes:
        titles = ("baseline", "state", "now", "stored", "in words")
        body = ([c.metric, c.state, _number(c.value), _number(c.stored), c.text] for c in row.changes)
        parts.append(table(titles, body))
    parts += [tag("p", f"warning: {each}", class_="finding") for each in row.findings]
    return parts


def _criterion(found: Criterion) -> list[str]:
    word = found.word
    return [
        found.name,
        tag("td", word, class_="not" if found.passed is None else word.lower()),
        tag("td", found.found, class_="text"),
    ]


def _facts(row: Row, where: Place | None) -> Html:
    facts = (
        ("test", row.test),
        ("in", f"{where.file}:{where.line}" if where and where.line else ""),
        ("model", row.model),
        ("SHA-256", row.model_sha256),
        ("data's SHA-256", row.data_sha256),
        ("made by", maker(row)),
        ("board", ", ".join(each for each in (row.board, row.unique_id) if each)),
        ("firmware build", row.build_id),
        ("samples run", "" if row.samples is None else f"{row.samples:,}"),
        ("exact", {True: "yes, bit for bit", False: "NO", None: ""}[row.exact]),
        ("rig", _rig(row)),
        ("reruns", str(row.reruns or "")),
        ("serial log", row.log),
    )
    known = [(name, text) for name, text in facts if text]
    return tag("dl", *(part for name, text in known for part in (tag("dt", name), tag("dd", text))))


def _rig(row: Row) -> str:
    texts = [row.fault and f"fault: {row.fault}"]
    texts += [f"overcome: {each}" for each in row.faults]
    texts += [counted(row.retries, "retry") if row.retries else ""]
    texts += [counted(row.erased_sectors, "erased sector") if row.erased_sectors else ""]
    return "; ".join(text for text in texts if text)


def _score(row: Row, score: ScoreRow) -> list[str]:
    change = (
        "-" if score.drop is None else f"{score.drop * 100:.2f} pp" if score.percent else f"{score.drop:.3g}"
    )
    return [
        f"{score.metric} of {score.output}" if score.output else score.metric,
        value(score, score.value),
        value(score, score.float_value),
        change,
        f"{score.samples:,}",
        "-" if score.p_value is None else f"{score.p_value:.3g}",
        scored_by(row, score),
    ]


def _flips(score: ScoreRow) -> list[Html]:
    both = (("lost", score.lost), ("gained", score.gained))
    return [tag("p", f"{len(ids):,} {word}: ", names(ids)) for word, ids in both if ids]


def _costs(row: Row) -> list[tuple[str, str]]:
    spread = f", spread {row.counter_spread:,}" if row.counter_spread else ""
    sizes = (("arena", row.arena), ("image", row.image), ("stack", row.stack), ("firmware", row.firmware))
    found = [
        (
            "median of an inference",
            f"{row.counter:,.0f} {row.unit}{spread}" if row.counter is not None else "",
        ),
        ("latency", f"{row.latency_ms:.3f} ms" if row.latency_ms is not None else ""),
        *((name, f"{size(count)} ({count:,} bytes)" if count is not None else "") for name, count in sizes),
    ]
    return [(name, text) for name, text in found if text]


def _number(found: float | None) -> str:
    return "-" if found is None else f"{found:.6g}"
