"""``Row``: one verdict, or one test that could have none, as plain values: what every report shows.

Rows travel between processes and into files: ``to_dict`` and ``from_dict`` are their only transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar, Union

from pytest_quantcheck.baselines.change import Change
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.causes.cause import Cause
from pytest_quantcheck.verdict.criterion import Criterion
from pytest_quantcheck.verdict.divergence import Divergence
from pytest_quantcheck.verdict.picture import Picture
from pytest_quantcheck.verdict.table import Table

Plain = Union[None, bool, int, float, str, "list[Plain]", "dict[str, Plain]"]
Record = TypeVar("Record")

Flips = TypeVar("Flips", "ScoreRow", Change)

OUTCOMES = ("pass", "regression", "rig_fault", "error", "expected", "unjudged")
"""What becomes of a row: ``regression``: a verdict or its test failed; ``error``: there could be no verdict;
``expected``: a failure that xfail expects; ``unjudged``: nothing was judged."""


@dataclass(frozen=True)
class ScoreRow:
    """A ``Score`` in plain values. ``percent``: the values are fractions, shown as percentages.

    ``samples`` counts observations, each an ``observation``: a sample, a clip, an image.
    """

    metric: str
    value: float
    samples: int
    output: str = ""
    percent: bool = False
    float_value: float | None = None
    drop: float | None = None
    inherited: str = ""
    p_value: float | None = None
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    observation: str = "sample"
    detail: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of every report. None and empty texts mean *not known*.

    ``test`` is the item's node id, ``case`` the part of it behind the file, ``name`` what
    ``gate.check(name=)`` said. ``data_sha256`` is that of the samples that were run: their names, inputs and
    truth. ``outcome`` is one of ``OUTCOMES`` and follows what pytest finally says of the item; ``reason`` is
    why a test failed beside its criteria, ``reruns`` how often it was run before. ``samples`` were run; a
    score may be over more (see ``Score.inherited``). ``arena``, ``image``, ``stack`` and ``firmware`` are
    bytes. ``faults`` are the rig's that ``retries`` overcame, ``fault`` the kind of the one that none did.
    ``findings`` are what is suspicious about model and data, each ``code: text``. ``changes`` are those
    since baselines were stored, ``pictures`` are of some samples that flipped.
    ``causes`` say why a score is too low although the integers are right.
    """

    test: str = ""
    case: str = ""
    name: str = ""
    model: str = ""
    model_sha256: str = ""
    runner: str = ""
    runtime: str = ""
    target: str = "host"
    board: str = ""
    unique_id: str = ""
    build_id: str = ""
    data_sha256: str = ""
    samples: int | None = None
    scores: tuple[ScoreRow, ...] = ()
    exact: bool | None = None
    criteria: tuple[Criterion, ...] = ()
    divergence: Divergence | None = None
    changes: tuple[Change, ...] = ()
    causes: tuple[Cause, ...] = ()
    counter: float | None = None
    counter_spread: int | None = None
    unit: str = ""
    latency_ms: float | None = None
    arena: int | None = None
    image: int | None = None
    stack: int | None = None
    firmware: int | None = None
    outcome: str = "unjudged"
    reason: str = ""
    reruns: int = 0
    fault: str = ""
    retries: int | None = None
    faults: tuple[str, ...] = ()
    erased_sectors: int | None = None
    findings: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    log: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise UsageError(f"outcome={self.outcome!r} is not known; allowed: {', '.join(OUTCOMES)}")

    @property
    def score(self) -> ScoreRow | None:
        """The first score, the one that a table shows."""
        return self.scores[0] if self.scores else None

    @property
    def failed(self) -> tuple[str, ...]:
        """The texts of the criteria that failed."""
        return tuple(str(each) for each in self.criteria if each.passed is False)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """The texts of the criteria that could not be judged."""
        return tuple(str(each) for each in self.criteria if each.passed is None)

    def to_dict(self) -> dict[str, Plain]:
        """Plain values only: what JSON and xdist can carry."""
        return _record(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Plain]) -> Row:
        """The inverse of ``to_dict``. Raises ``UsageError`` for anything else."""
        row = _read(cls, values)
        table = values.get("divergence")
        divergence = None
        if isinstance(table, Mapping):
            found = _read(Divergence, table)
            steps = tuple((int(step), int(count)) for step, count in found.steps)
            divergence = replace(found, steps=steps, ranking=tuple(found.ranking))
        return replace(
            row,
            scores=tuple(_score(each) for each in _tables(values, "scores")),
            criteria=tuple(_read(Criterion, each) for each in _tables(values, "criteria")),
            changes=tuple(_texts(_read(Change, each)) for each in _tables(values, "changes")),
            causes=tuple(_read(Cause, each) for each in _tables(values, "causes")),
            divergence=divergence,
            faults=tuple(row.faults),
            findings=tuple(row.findings),
            pictures=tuple(_read(Picture, each) for each in _tables(values, "pictures")),
        )


def count(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows passed, failed and so on; *not judged* counts single criteria, too.

    ``retries`` and ``erased sectors`` are what the boards went through, also for what passed.
    """
    names = {
        "pass": "passed",
        "regression": "failed",
        "rig_fault": "rig faults",
        "error": "errors",
        "expected": "expected failures",
    }
    totals = dict.fromkeys((*names.values(), "not judged", "retries", "erased sectors"), 0)
    for row in rows:
        if row.outcome in names:
            totals[names[row.outcome]] += 1
        totals["not judged"] += len(row.not_judged) or int(row.outcome == "unjudged")
        totals["retries"] += row.retries or 0
        totals["erased sectors"] += row.erased_sectors or 0
    return totals


def overall(rows: Iterable[Row]) -> str:
    """One word for a pipeline: a regression blocks a release, a rig fault calls for a look at the rig."""
    outcomes = {row.outcome for row in rows}
    for outcome in ("regression", "rig_fault", "error"):
        if outcome in outcomes:
            return outcome
    return "pass" if "pass" in outcomes else "unjudged"


def _record(value: object) -> dict[str, Plain]:
    """A dataclass as the table of its fields."""
    return {name: _plain(each) for name, each in vars(value).items()}


def _plain(value: object) -> Plain:
    """Dataclasses become tables, tuples lists, NumPy's numbers Python's own."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return _record(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, int):
        return int(value)
    item = getattr(value, "item", None)
    return _plain(item()) if item is not None else float(value)  # type: ignore[arg-type]  # a float


def _tables(values: Mapping[str, Plain], key: str) -> list[dict[str, Plain]]:
    found = values.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UsageError(f"a result's {key} is {found!r}; allowed: a list of tables")
    return [each for each in found if isinstance(each, dict)]


def _read(kind: type[Record], values: Mapping[str, Plain]) -> Record:
    """A record from a table of its fields."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if unknown := sorted(set(values) - known):
        raise UsageError(f"a result has the key {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"a result is incomplete: {error}") from error


def _texts(flips: Flips) -> Flips:
    """Lists of names as tuples again."""
    return replace(flips, lost=tuple(flips.lost), gained=tuple(flips.gained))


def _score(values: Mapping[str, Plain]) -> ScoreRow:
    score = _read(ScoreRow, values)
    detail = tuple(_table(each) for each in _tables(values, "detail"))
    return replace(_texts(score), detail=detail)


def _table(values: Mapping[str, Plain]) -> Table:
    found = _read(Table, values)
    return replace(
        found, names=tuple(found.names), columns=tuple(found.columns), rows=tuple(map(tuple, found.rows))
    )
