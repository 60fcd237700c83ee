"""Faults of a virtual line do to its bytes what their names say, and the same for the same seed."""

from __future__ import annotations

import pytest

from rigs.common.line_faults import DamagedDirection, LineFault, break_line

pytestmark = pytest.mark.host

DATA = bytes(range(256)) * 40
SHORT = bytes(range(200))


def damaged(*faults: LineFault, chunk: int = 100) -> bytes:
    line = DamagedDirection()
    for fault in faults:
        line.add(fault)
    return b"".join(line.damage(DATA[at : at + chunk], 0.0)[0] for at in range(0, len(DATA), chunk))


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
    line = DamagedDirection()
    line.add(LineFault("delay", count=1, seconds=0.25))
    assert [line.damage(b"abc", 0.0), line.damage(b"def", 0.0)] == [(b"abc", 0.25), (b"def", 0.0)]


def test_mute_lets_nothing_through_until_healed() -> None:
    line = DamagedDirection()
    line.add(LineFault("mute"))
    assert line.damage(b"abc", 0.0) == (b"", 0.0)
    line.heal()
    assert line.damage(b"abc", 0.0) == (b"abc", 0.0)


@pytest.mark.parametrize(
    ("kind", "rate", "word"), [("melt", 1.0, "flip, drop"), ("flip", 1.5, "between 0 and 1")]
)
def test_nonsense_is_refused_with_what_is_allowed(kind: str, rate: float, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        LineFault(kind, rate=rate)


def passed(fault: LineFault, data: bytes = SHORT, now: float = 0.0) -> bytes:
    return fault.pass_on(data, now)[0]


def test_flip_changes_one_bit_of_the_bytes_it_hits() -> None:
    result = passed(LineFault("flip", after=7, count=3))
    changed = [i for i in range(200) if result[i] != SHORT[i]]
    assert changed == [7, 8, 9]
    assert all((result[i] ^ SHORT[i]).bit_count() == 1 for i in changed)


def test_drop_takes_bytes_out() -> None:
    assert passed(LineFault("drop", after=1, count=2), b"abcde") == b"ade"


def test_duplicate_sends_bytes_twice() -> None:
    assert passed(LineFault("duplicate", after=2, count=1), b"abcde") == b"abccde"


def test_delay_changes_no_byte_and_tells_how_late() -> None:
    assert LineFault("delay", after=1, count=1, seconds=0.25).pass_on(b"abc", 0.0) == (b"abc", 0.25)


def test_mute_lets_nothing_through() -> None:
    fault = LineFault("mute")
    assert passed(fault) == b""
    assert fault.hits == 200


def test_overrun_keeps_the_first_bytes_of_a_window() -> None:
    fault = LineFault("overrun", window=0.01, limit=64)
    assert passed(fault, SHORT[:50], now=1.0) == SHORT[:50]
    assert passed(fault, SHORT[50:100], now=1.005) == SHORT[50:64]
    assert passed(fault, SHORT[100:], now=1.02) == SHORT[100:164]


def test_positions_count_over_several_pieces() -> None:
    fault = LineFault("drop", after=4, count=1)
    assert passed(fault, b"abc") + passed(fault, b"def") == b"abcdf"


def test_count_limits_the_hits() -> None:
    fault = LineFault("drop", rate=1.0, count=3)
    assert passed(fault) == SHORT[3:]


def test_a_rate_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rate=1\.5 is not between 0 and 1"):
        LineFault("flip", rate=1.5)


def test_the_same_seed_damages_the_same_bytes() -> None:
    first, again, other = (passed(LineFault("flip", rate=0.1, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert 5 <= sum(a != b for a, b in zip(first, SHORT, strict=True)) <= 40


@pytest.mark.parametrize(
    ("kind", "direction", "hit"),
    [
        ("flip", "", ["to_board", "from_board"]),
        ("mute", "", ["from_board"]),
        ("overrun", "", ["to_board"]),
        ("mute", "both", ["to_board", "from_board"]),
        ("drop", "to_board", ["to_board"]),
    ],
)
def test_a_fault_goes_where_it_was_told_or_where_it_is_usual(
    kind: str, direction: str, hit: list[str]
) -> None:
    lines = {name: DamagedDirection() for name in ("to_board", "from_board")}
    break_line(lines, kind, direction, limit=0)
    assert [name for name, line in lines.items() if line.damage(SHORT, 1.0)[0] != SHORT] == hit


def test_a_direction_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: to_board, from_board, both"):
        break_line({}, "flip", "sideways")
