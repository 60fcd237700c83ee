"""Faults of the virtual line strike as often as told, and the same way for the same seed."""

from __future__ import annotations

import pytest

from rigs.esp32.virtual.faults import FaultyLine, LineFault

pytestmark = pytest.mark.host

DATA = bytes(range(256)) * 40


def damaged(*faults: LineFault, chunk: int = 100) -> bytes:
    line = FaultyLine()
    for fault in faults:
        line.add(fault)
    return b"".join(line.damage(DATA[at : at + chunk])[0] for at in range(0, len(DATA), chunk))


def test_without_faults_nothing_changes() -> None:
    assert damaged() == DATA


def test_flips_change_one_bit_of_some_bytes() -> None:
    changed = [
        a ^ b for a, b in zip(DATA, damaged(LineFault("flip", rate=0.01, seed=1)), strict=True) if a != b
    ]
    assert 50 < len(changed) < 200
    assert {bit.bit_count() for bit in changed} == {1}


@pytest.mark.parametrize(("kind", "sign"), [("drop", -1), ("duplicate", 1)])
def test_drops_shorten_and_duplicates_lengthen(kind: str, sign: int) -> None:
    difference = len(damaged(LineFault(kind, rate=0.01, seed=1))) - len(DATA)
    assert 50 < sign * difference < 200


def test_the_damage_depends_on_seed_not_on_how_bytes_are_grouped() -> None:
    fault = LineFault("flip", rate=0.01, seed=7)
    assert damaged(fault, chunk=100) == damaged(fault, chunk=33)
    assert damaged(fault) != damaged(LineFault("flip", rate=0.01, seed=8))


def test_a_fault_begins_late_and_ends_after_so_many_hits() -> None:
    result = damaged(LineFault("flip", after=1000, count=3))
    different = [number for number, (a, b) in enumerate(zip(DATA, result, strict=True)) if a != b]
    assert different == [1000, 1001, 1002]


def test_delay_keeps_the_bytes_and_says_how_long() -> None:
    line = FaultyLine()
    line.add(LineFault("delay", count=1, seconds=0.25))
    assert [line.damage(b"abc"), line.damage(b"def")] == [(b"abc", 0.25), (b"def", 0.0)]


def test_mute_lets_nothing_through_until_healed() -> None:
    line = FaultyLine()
    line.add(LineFault("mute"))
    assert line.damage(b"abc") == (b"", 0.0)
    line.heal()
    assert line.damage(b"abc") == (b"abc", 0.0)


@pytest.mark.parametrize(
    ("kind", "rate", "word"), [("melt", 1.0, "flip, drop"), ("flip", 1.5, "between 0 and 1")]
)
def test_nonsense_is_refused_with_what_is_allowed(kind: str, rate: float, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        LineFault(kind, rate=rate)
