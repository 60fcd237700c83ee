"""A choice of the lies that ``lying_boards.py`` tells; all of them run nightly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_quantcheck.rig.messages.message import Message, Repeated, fields
from tests.hostile.lies import BUSY_FOR_EVER, ENDLESS, MESSAGES, Lie, all_lies
from tests.hostile.lying_boards import Liars, tell
from tests.hostile.result import Result

pytestmark = pytest.mark.host

ONCE_BELIEVED = [
    Lie("HELLO", "zero", "chunk"),  # the host hung
    Lie("HELLO", "zero", "window"),  # StopIteration
    Lie("RUN", "one", "flags"),  # stopped, though nobody asked: IndexError
    Lie("RUN", "zero", "records"),  # asked for, and none came
    Lie("RUN", BUSY_FOR_EVER),
    Lie("FAULT", BUSY_FOR_EVER),
    Lie("HELLO", ENDLESS),
]


@pytest.fixture(scope="module")
def liars(tmp_path_factory: pytest.TempPathFactory) -> Liars:
    liars = Liars(tmp_path_factory.mktemp("liars"))
    liars.learn()
    return liars


def names_of(message: type[Message]) -> Iterator[str]:
    for name, kind in fields(message):
        yield from names_of(kind.kind) if isinstance(kind, Repeated) else [name]


def test_every_field_of_every_message_is_lied_about(liars: Liars) -> None:
    lies = list(all_lies(liars.told))
    assert len(lies) > 800
    told = {(lie.message, lie.field) for lie in lies if lie.field}
    wanted = {(name, field) for name, message in MESSAGES.items() for field in names_of(message)}
    assert wanted - told == set()


@pytest.mark.parametrize("lie", ONCE_BELIEVED, ids=str)
def test_what_was_believed_once_is_a_fault_of_the_rig(liars: Liars, lie: Lie) -> None:
    result = Result("lies")
    tell(liars, [lie], result)
    assert (result.tried, result.refused, result.ran, result.faults) == (1, 1, 0, {})


def test_a_board_that_lies_is_refused_or_its_lie_changes_nothing(liars: Liars) -> None:
    lies = list(all_lies(liars.told))
    result = Result("lies")
    tell(liars, lies[::41], result)
    assert result.faults == {}
    assert result.tried > 15
    assert result.refused > 5
