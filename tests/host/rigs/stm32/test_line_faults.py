"""Each byte fault does to a stream what its name says, and the same for the same seed."""

from __future__ import annotations

import pytest

from rigs.stm32.virtual.line import ByteFault

pytestmark = pytest.mark.host

DATA = bytes(range(200))


def passed(fault: ByteFault, data: bytes = DATA, now: float = 0.0) -> bytes:
    return fault.pass_on(data, now)[0]


def test_flip_changes_one_bit_of_the_bytes_it_hits() -> None:
    result = passed(ByteFault("flip", after=7, count=3))
    changed = [i for i in range(200) if result[i] != DATA[i]]
    assert changed == [7, 8, 9]
    assert all((result[i] ^ DATA[i]).bit_count() == 1 for i in changed)


def test_drop_takes_bytes_out() -> None:
    assert passed(ByteFault("drop", after=1, count=2), b"abcde") == b"ade"


def test_duplicate_sends_bytes_twice() -> None:
    assert passed(ByteFault("duplicate", after=2, count=1), b"abcde") == b"abccde"


def test_delay_changes_no_byte_and_tells_how_late() -> None:
    assert ByteFault("delay", after=1, count=1, seconds=0.25).pass_on(b"abc", 0.0) == (b"abc", 0.25)


def test_mute_lets_nothing_through() -> None:
    fault = ByteFault("mute")
    assert passed(fault) == b""
    assert fault.hits == 200


def test_overrun_keeps_the_first_bytes_of_a_window() -> None:
    fault = ByteFault("overrun", window=0.01, limit=64)
    assert passed(fault, DATA[:50], now=1.0) == DATA[:50]
    assert passed(fault, DATA[50:100], now=1.005) == DATA[50:64]
    assert passed(fault, DATA[100:], now=1.02) == DATA[100:164]


def test_positions_count_over_several_pieces() -> None:
    fault = ByteFault("drop", after=4, count=1)
    assert passed(fault, b"abc") + passed(fault, b"def") == b"abcdf"


def test_count_limits_the_hits() -> None:
    fault = ByteFault("drop", rate=1.0, count=3)
    assert passed(fault) == DATA[3:]


def test_a_rate_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rate=1\.5 is not between 0 and 1"):
        ByteFault("flip", rate=1.5)


def test_the_same_seed_damages_the_same_bytes() -> None:
    first, again, other = (passed(ByteFault("flip", rate=0.1, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert 5 <= sum(a != b for a, b in zip(first, DATA, strict=True)) <= 40
