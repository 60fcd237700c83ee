"""The first screen: one word, the counts, what did not run, and what failed and why."""

from __future__ import annotations

from pytest_quantcheck.report.cells import place
from pytest_quantcheck.report.html.markup import Html, tag
from pytest_quantcheck.report.html.pictures import picture
from pytest_quantcheck.report.naming import BAD, MARKS, configuration, maker, title
from pytest_quantcheck.report.report import Report
from pytest_quantcheck.report.terminal import findings
from pytest_quantcheck.verdict.causes.cause import SHOWN, Cause
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.row import Row, count, overall
from pytest_quantcheck.wording import counted, first_line, shortened

WORDS = {
    "pass": ("Passed", "Everything that was judged passed."),
    "regression": ("Regression", "A verdict failed: the release should wait."),
    "rig_fault": ("Rig fault", "No verdict failed, but the rig did: look at the boards, then run again."),
    "error": ("Error", "Tests could give no verdict: look at the tests, models and data named below."),
    "unjudged": ("Nothing judged", "No test reached a verdict."),
}
_TILES = {"passed": "pass", "failed": "regression", "rig faults": "rig_fault", "errors": "error"}
_SHOWN = 6  # failures that fit the first screen; the others are one click away
_TEXT = 400
_NAMES = 3


def overview(report: Report) -> Html:
    rows = report.rows
    outcome = overall(rows)
    word, meaning = WORDS[outcome]
    cards = [_failure(rows, group) for group in _alike(rows)]
    more: tuple[Html, ...] = ()
    if len(cards) > _SHOWN:
        summary = tag("summary", f"{counted(len(cards) - _SHOWN, 'other kind')} of failure")
        more = (tag("details", summary, *cards[_SHOWN:]),)
    made = report.provenance
    when = " · ".join(
        each for each in (made.date.replace("T", " "), made.revision[:12], _modified(made.modified)) if each
    )
    return tag(
        "header",
        tag("p", "quantcheck", class_="brand"),
        tag("h1", tag("span", MARKS[outcome], class_="mark", aria_hidden="true"), word),
        tag("p", meaning, class_="meaning"),
        tag("p", when, class_="when") if when else "",
        *_counts(rows),
        *_warnings(report),
        *(cards[:_SHOWN]),
        *more,
        class_=f"overview {outcome}",
        id="overview",
    )


def _alike(rows: tuple[Row, ...]) -> list[list[int]]:
    """The rows that did not pass, the worst outcome first; together those that failed alike in one place, and
    those of one model that failed by the same numbers in several places.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    by_text: dict[tuple[object, ...], tuple[object, ...]] = {}
    for outcome in BAD:
        for index, row in enumerate(rows):
            if row.outcome == outcome:
                found = row.divergence
                names = tuple(each.name for each in row.criteria if each.passed is False)
                cause = (found.operator, found.kind, found.cause) if found is not None else None
                texts = tuple(each.text for each in row.criteria if each.passed is False)
                where: tuple[object, ...] = (place(row), names)
                if texts and cause is None and not row.fault:
                    where = by_text.setdefault((configuration(row), texts), where)
                groups.setdefault((outcome, where, cause, row.fault, row.reason), []).append(index)
    return list(groups.values())


def _modified(modified: bool | None) -> str:
    return "with changes that are not committed" if modified else ""


def _counts(rows: tuple[Row, ...]) -> list[Html]:
    """What counts most as tiles, the rest as a line."""
    totals = count(rows)
    tiles = [
        tag(
            "div",
            tag("b", f"{totals[name]:,}"),
            tag("span", name),
            class_=f"tile {each if totals[name] else 'zero'}",
        )
        for name, each in _TILES.items()
    ]
    others = [f"{number:,} {name}" for name, number in totals.items() if number and name not in _TILES]
    return [
        tag("div", *tiles, class_="tiles"),
        *([tag("p", " · ".join(others), class_="when")] if others else []),
    ]


def _warnings(report: Report) -> list[Html]:
    left_out = [f"{counted(n, 'hw test')} not run: {reason}" for reason, n in report.left_out.items()]
    omitted = [f"{counted(n, 'combination')} left out: {reason}" for reason, n in report.omitted.items()]
    lines = [*left_out, *omitted, *findings(report.rows)]
    return [tag("ul", *(tag("li", line) for line in lines), class_="warnings")] if lines else []


def _failure(rows: tuple[Row, ...], group: list[int]) -> Html:
    """One failure in a few lines: what, where, why, and which cases failed alike."""
    index, *others = group
    row = rows[index]
    reasons = [f"{each.name}: {first_line(each.text)}" for each in row.criteria if each.passed is False]
    if row.reason:
        reasons.append(row.reason)
    parts = [tag("p", _short(reason), class_="why") for reason in reasons[:4]]
    if len(reasons) > 4:
        parts.append(tag("p", f"and {counted(len(reasons) - 4, 'other reason')}", class_="why"))
    if row.divergence is not None:
        parts.append(cause(row.divergence))
    parts += [upstream(each) for each in row.causes[:SHOWN]]
    lost = [name for score in row.scores for name in score.lost]
    if lost and row.outcome == "regression":
        named = shortened(lost, 3)
        parts.append(
            tag("p", f"{counted(len(lost), 'sample')} lost against the float model: {_short(named)}")
        )
    if row.pictures and row.outcome == "regression":
        parts.append(tag("p", *map(picture, row.pictures), class_="pictures"))
    if row.log:
        parts.append(tag("p", "serial log ", tag("code", row.log)))
    if others:
        links = [
            part
            for other in others[:_NAMES]
            for part in (tag("a", title(rows[other]), href=f"#case-{other}"), " ")
        ]
        rest = f"and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
        parts.append(tag("p", f"{counted(len(others), 'other case')} alike: ", *links, rest, class_="alike"))
    head = tag(
        "p",
        tag("span", MARKS[row.outcome], class_="mark", aria_hidden="true"),
        tag("a", title(row), href=f"#case-{index}"),
        tag("span", f" on {maker(row)}", class_="on"),
        class_="what",
    )
    return tag("article", head, *parts, class_=f"card {row.outcome}")


def cause(found: Divergence) -> Html:
    """Where a run left the reference, by how much, and the likely cause."""
    size = f", at most {found.largest} LSB" if found.steps else ""
    return tag(
        "p",
        f"first diverging: {found.where}, {found.elements:,} of {found.size:,} elements{size}. ",
        tag("strong", _short(f"{found.reason[0].upper()}{found.reason[1:]}.")) if found.cause else "",
        f" What to do: {found.remedy}" if found.remedy else "",
        class_="cause",
    )


def upstream(found: Cause) -> Html:
    """Why a score is low although the integers are right."""
    return tag(
        "p",
        tag("strong", _short(f"{found.reason[0].upper()}{found.reason[1:]}.")),
        f" {found.evidence[0].upper()}{found.evidence[1:]}." if found.evidence else "",
        f" What to do: {found.remedy}" if found.remedy else "",
        class_="cause",
    )


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}..."
