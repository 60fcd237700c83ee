"""Which samples calibrate a model: parsed from a short text, chosen by sorted ids and a seed."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pytest_quantcheck.errors import UsageError

ALLOWED = "10%, count:100, all, stratified:10%, classes:5, ids:a,b, random, random:20"
KINDS = ("fraction", "count", "stratified", "classes", "ids", "random", "none")
MOST_RANDOM = 100_000
_USUAL_RANDOM = 100
_LISTS = ("classes", "ids")  # kinds that a list says, not a value


@dataclass(frozen=True)
class Calibration:
    """Which samples: ``kind`` and ``value``, or a list.

    ``fraction`` (``value`` in (0, 1]) and ``stratified`` (as much of every class); ``count`` (at least 1);
    ``classes`` (all samples of some classes, by name or label) and ``ids``; ``random`` (``value`` samples
    drawn from the input range); ``none`` for schemes that need no samples.
    """

    kind: str = "fraction"
    value: float = 1.0
    seed: int = 0
    classes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"calibration kind {self.kind!r} is not known; allowed: {', '.join(KINDS)}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise UsageError(f"calibration seed {self.seed!r}: a whole number from 0 upwards")
        for key in _LISTS:
            object.__setattr__(self, key, tuple(str(entry) for entry in getattr(self, key)))
            self._check_list(key)
        self._check_value()

    def _check_list(self, key: str) -> None:
        entries = getattr(self, key)
        if key != self.kind and entries:
            raise UsageError(
                f"calibration {key}={list(entries)!r} has no meaning by {self.kind}; leave it out"
            )
        if key == self.kind and (not entries or "" in entries or len(set(entries)) != len(entries)):
            raise UsageError(f"calibration={self.text!r}: name at least one, none of them empty or twice")

    def _check_value(self) -> None:
        if self.kind in _LISTS or self.kind == "none":
            return
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise UsageError(f"calibration by {self.kind}, {self.value!r}: allowed: a number")
        if self.kind in ("fraction", "stratified"):
            if not 0 < self.value <= 1:
                raise UsageError(f"calibration {self.kind} {self.value!r}: it must be above 0 and at most 1")
            object.__setattr__(self, "value", round(self.value, 12))  # 7.2% / 100 is 0.07200000000000001
            if not self.value:
                raise UsageError(f"calibration {self.kind}: it must be at least 1e-12")
        elif not math.isfinite(self.value) or self.value < 1 or self.value != int(self.value):
            raise UsageError(
                f"calibration by {self.kind}, {self.value!r}: a whole number of at least one sample"
            )
        if self.kind == "random" and self.value > MOST_RANDOM:
            raise UsageError(f"calibration=random:{self.value}: at most {MOST_RANDOM} samples are drawn")

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Calibration:
        """``"10%"``, ``"count:100"``, ``"all"``, ``"stratified:10%"``, ``"classes:5"`` (several: ``5,7`` or
        ``5+7``), ``"ids:a,b"``, ``"random"`` or ``"random:20"``.
        """
        if text in ("all", "none"):
            return cls("fraction" if text == "all" else "none", 1.0, seed)
        if match := re.fullmatch(r"(stratified:)?([0-9]+(?:\.[0-9]+)?)%", text):
            percent = float(match[2])
            if not 0 < percent <= 100:
                raise UsageError(f"calibration={text!r}: a fraction is above 0%, up to 100%")
            return cls("stratified" if match[1] else "fraction", percent / 100, seed)
        if match := re.fullmatch(r"(count|random):([0-9]+)", text):
            if int(match[2]) < 1:
                raise UsageError(f"calibration={text!r}: at least one sample is needed")
            return cls(match[1], int(match[2]), seed)
        if text == "random":
            return cls("random", _USUAL_RANDOM, seed)
        if match := re.fullmatch(r"classes:(.+)", text):
            return cls("classes", seed=seed, classes=tuple(re.split(r"[,+]", match[1])))
        if match := re.fullmatch(r"ids:(.+)", text):
            return cls("ids", seed=seed, ids=tuple(match[1].split(",")))
        raise UsageError(f"calibration={text!r} is not known; allowed: {ALLOWED}")

    @property
    def text(self) -> str:
        """As ``parse`` takes it."""
        return {
            "fraction": f"{self._percent:f}%",
            "count": f"count:{int(self.value)}",
            "stratified": f"stratified:{self._percent:f}%",
            "classes": f"classes:{','.join(self.classes)}",
            "ids": f"ids:{','.join(self.ids)}",
            "random": f"random:{int(self.value)}",
            "none": "none",
        }[self.kind]

    @property
    def id(self) -> str:
        """As it stands in a test id: ``cal10pct``, ``cal100``, ``calrandom``, ``cal10pct-seed7``.

        Calibrations by ``ids`` say only how many: two of one size in one test need ``pytest.param(id=)``.
        Odd names of classes end in eight digits of a hash.
        """
        percent = f"{self.value * 100:g}"
        if Decimal(percent) != self._percent:  # six digits are not enough to tell it from others
            percent = f"{self._percent:f}"
        body = {
            "fraction": f"cal{percent}pct",
            "count": f"cal{int(self.value)}",
            "stratified": f"calstratified{percent}pct",
            "classes": f"calclasses{'+'.join(self.classes)}{self._mark(self.classes)}",
            "ids": f"calids{len(self.ids)}",
            "random": "calrandom" + ("" if self.value == _USUAL_RANDOM else f"{int(self.value)}"),
            "none": "",
        }[self.kind]
        return body + (f"-seed{self.seed}" if self.seed and body else "")

    @property
    def _percent(self) -> Decimal:
        """100 times a fraction, in exactly the digits that say it."""
        return (Decimal(repr(float(self.value))) * 100).normalize()

    @staticmethod
    def _mark(names: Sequence[str]) -> str:
        """A hash behind names that read like several, or like a seed."""
        odd = any("+" in name for name in names) or re.search(
            r"-(seed[0-9]+|[0-9a-f]{8})$", "".join(names[-1:])
        )
        return f"-{_digest(names)}" if odd else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for manifests."""
        entries = {key: list(getattr(self, key)) for key in _LISTS if getattr(self, key)}
        return {"kind": self.kind, "value": self.value, "seed": self.seed, **entries}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """What ``to_dict`` made. Raises ``UsageError`` for unknown keys."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise UsageError(f"unknown key {unknown[0]!r} of calibration; allowed: {', '.join(known)}")
        return cls(**values)

    def size(self, available: int) -> int:
        """How many samples it takes of ``available``: a fraction is rounded up, so never to none.

        Raises ``UsageError`` when there are none, or fewer than were asked for.
        """
        if available < 1 and self.kind != "random":
            raise UsageError("the calibration set is empty; give at least one calibration sample")
        if self.kind in ("fraction", "stratified"):
            # 0.07 * 100 is 7.000000000000001 in binary; the decimal that was written is meant
            return math.ceil(Fraction(str(round(self.value, 12))) * available)
        if self.kind == "count" and self.value > available:
            raise UsageError(
                f"calibration={self.text}, but there are {available} calibration samples; "
                f"ask for at most {available}, or for all"
            )
        return int(self.value)


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:8]


NONE = Calibration("none")


def choose(
    calibration: Calibration,
    ids: Sequence[str],
    labels: Sequence[int] | None = None,
    classes: Sequence[str] = (),
) -> tuple[int, ...]:
    """Positions in ``ids`` of the chosen samples, in the order of the sorted ids.

    Samples are ranked by the SHA-256 of ``seed:id`` (UTF-8) and the first ones are taken, of each class on
    its own when stratified. So the choice depends on the seed and on the set of ids, never on the order in
    which a file system or a loader listed them, and a smaller choice is contained in a larger one of the
    same seed.
    ``labels`` (one per id) and ``classes`` (names by label) are needed where classes matter.
    """
    if calibration.kind in ("random", "none"):
        raise UsageError(f"calibration={calibration.text!r} chooses no samples of a dataset")
    if not ids:
        calibration.size(0)
    if calibration.kind == "ids":
        chosen = _named(calibration.ids, ids)
    elif calibration.kind == "classes":
        wanted = {_label(name, classes, _labels(calibration, labels)) for name in calibration.classes}
        chosen = [i for i, label in enumerate(_labels(calibration, labels)) if label in wanted]
    elif calibration.kind == "stratified":
        members: dict[int, list[int]] = {}
        for position, label in enumerate(_labels(calibration, labels)):
            members.setdefault(label, []).append(position)
        chosen = [i for group in members.values() for i in _first(calibration, group, ids)]
    else:
        chosen = _first(calibration, range(len(ids)), ids)
    return tuple(sorted(chosen, key=ids.__getitem__))


def _first(calibration: Calibration, positions: Sequence[int], ids: Sequence[str]) -> list[int]:
    """As many of ``positions`` as are asked for, by rank."""

    def rank(position: int) -> bytes:
        text = f"{calibration.seed}:{ids[position]}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()  # file names may hold any bytes

    return sorted(positions, key=rank)[: calibration.size(len(positions))]


def _named(wanted: Sequence[str], ids: Sequence[str]) -> list[int]:
    where = {name: position for position, name in enumerate(ids)}
    if missing := [name for name in wanted if name not in where]:
        raise UsageError(
            f"calibration by ids: {len(missing)} of {len(wanted)} are not among the {len(ids)} calibration "
            f"samples, for example {', '.join(map(repr, missing[:3]))}; there are "
            f"{', '.join(sorted(ids)[:3])}, ..."
        )
    return [where[name] for name in wanted]


def _labels(calibration: Calibration, labels: Sequence[int] | None) -> Sequence[int]:
    if labels is None:
        raise UsageError(
            f"calibration={calibration.text!r} needs the classes of the calibration samples: "
            "one whole number each, as y"
        )
    return labels


def _label(name: str, classes: Sequence[str], labels: Sequence[int]) -> int:
    """The label that a class's name, or the label itself in digits, stands for; it has samples."""
    called = [label for label, each in enumerate(classes) if each == name]
    if len(called) > 1:
        raise UsageError(
            f"calibration=classes:{name}: {len(called)} classes have this name; give the label of one: "
            f"{', '.join(map(str, called))}"
        )
    label = called[0] if called else int(name) if re.fullmatch("[0-9]+", name) else None
    present = sorted(set(labels))
    if label not in present:
        known = ", ".join(str(classes[i]) if 0 <= i < len(classes) else str(i) for i in present[:20])
        raise UsageError(
            f"calibration=classes:{name}: no calibration sample is of that class; there are: {known}"
        )
    return label
