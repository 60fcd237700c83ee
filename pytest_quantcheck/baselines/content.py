"""``Content``: all that one file of baselines holds; also what travels from a worker to the writer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_quantcheck.baselines.plain import read_value, read_vectors, value_to_plain
from pytest_quantcheck.baselines.value import Value
from pytest_quantcheck.baselines.vector_set import VectorSet
from pytest_quantcheck.errors import UsageError

SCHEMA = 1
Values = dict[str, Value]


@dataclass(frozen=True, order=True)
class Key:
    """Whose values: a test function, its model and configuration, and where it ran.

    ``place`` is ``host`` or ``target@runtime@unit``, never a board's name. ``case`` ends with what
    ``gate.check(name=)`` said, in parentheses.
    """

    function: str
    case: str
    place: str

    @property
    def target(self) -> str:
        """The first part of ``place``."""
        return self.place.partition("@")[0]

    def __str__(self) -> str:
        return f"{self.function} [{self.case}] on {self.place}"


@dataclass
class Content:
    """Values by key and metric."""

    values: dict[Key, Values] = field(default_factory=dict)

    def find(self, key: Key) -> Values:
        """All metrics of a key; empty when nothing is stored."""
        return self.values.get(key, {})

    def take(self, other: Content, *, only_new: bool = False) -> None:
        """Take over what ``other`` has, metric by metric; with ``only_new`` nothing that is there changes."""
        for key, values in other.values.items():
            mine = self.values.setdefault(key, {})
            mine.update({each: value for each, value in values.items() if not (only_new and each in mine)})

    def to_plain(self) -> dict[str, Any]:
        """Tables, texts and numbers only. VectorSet stand once, however many values are over them."""
        tests: dict[str, Any] = {}
        for key, values in self.values.items():
            place = tests.setdefault(key.function, {}).setdefault(key.case, {}).setdefault(key.place, {})
            place.update({metric: value_to_plain(value) for metric, value in values.items()})
        vectors = {each.id: list(each.fingerprints) for each in self._vectors()}
        return {"schema": SCHEMA, "tests": tests, "vectors": vectors}

    def _vectors(self) -> Iterator[VectorSet]:
        for values in self.values.values():
            yield from (value.vectors for value in values.values() if value.vectors is not None)

    @classmethod
    def from_plain(cls, plain: object, where: str) -> Content:
        """What ``to_plain`` made; ``where`` is what errors call it. Raises ``UsageError``."""
        document = _table(plain, where)
        if document.get("schema") != SCHEMA:
            raise UsageError(
                f"{where} has the schema {document.get('schema')!r}; this version reads {SCHEMA}. "
                "Use the version of pytest-quantcheck that wrote it, or write it anew"
            )
        if unknown := sorted(set(document) - {"schema", "tests", "vectors"}):
            raise UsageError(f"{where} has the key {unknown[0]!r}; allowed: schema, tests, vectors")
        tables = _table(document.get("vectors", {}), f"{where}: vectors")
        vectors = {name: read_vectors(rows, f"{where}: vectors {name}") for name, rows in tables.items()}
        content = cls()
        for function, cases in _table(document.get("tests", {}), f"{where}: tests").items():
            for case, places in _table(cases, f"{where}: {function}").items():
                for place, metrics in _table(places, f"{where}: {function} [{case}]").items():
                    key = Key(function, case, place)
                    content.values[key] = {
                        metric: read_value(
                            _table(value, f"{where}: {key}: {metric}"), vectors, f"{where}: {key}"
                        )
                        for metric, value in _table(metrics, f"{where}: {key}").items()
                    }
        return content

    def render(self) -> bytes:
        """The file's bytes: sorted, one value a line."""
        text = json.dumps(self.to_plain(), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        return f"{text}\n".encode("utf-8", "backslashreplace")

    @classmethod
    def parse(cls, data: bytes, where: str) -> Content:
        """What ``render`` made. Raises ``UsageError`` for anything else."""
        try:
            plain = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{where} is no JSON: {error}. Look for marks of a merge conflict, or take it back from git"
            ) from error
        return cls.from_plain(plain, where)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table in which nothing stands twice, as after a merge that kept both sides: one would be lost."""
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise ValueError(f"{twice!r} stands twice in one table")
    return table


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{where} is no table of names; take the file back from git, or write it anew")
    return value
