"""What runners on boards have in common, whatever the firmware speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.leased import LeasedBoard
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.device import Effort
from pytest_quantcheck.runners.estimate import Estimate
from pytest_quantcheck.wording import first_line

Session = TypeVar("Session", bound=LeasedBoard[Any])
NO_LINK: Mapping[str, float] = {}


class OnBoard(Generic[Session]):
    """A runner on the board of ``session``, which is leased and brought up where need be."""

    name = "board"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._told = replace(session.statistics), len(session.ledger.faults)

    @property
    def target(self) -> str:
        """The target of the session's board."""
        return self.session.target

    @property
    def runtime(self) -> str:
        """Name and version of the runtime, as the board gives them."""
        raise NotImplementedError

    def fault(self, reason: str) -> RigFault:
        """What the board says cannot be right."""
        return RigFault("protocol", reason, board=self.session.entry.name, log=str(self.session.log))

    def effort(self, link: Mapping[str, float] = NO_LINK) -> Effort:
        """Retries, the faults behind them, and erased sectors since the last run: a pass hides none."""
        session, (before, known) = self.session, self._told
        now, faults = session.statistics, session.ledger.faults
        self._told = replace(now), len(faults)
        return Effort(
            retries=now.retries - before.retries,
            faults=tuple(first_line(each) for each in faults[known:] if each.board == session.entry.name),
            erased_sectors=now.erased_sectors - before.erased_sectors,
            link=link,
        )


class OnForeignBoard(OnBoard[Session]):
    """A runner on a board with somebody else's firmware. ``PROTOCOL``: what it speaks."""

    PROTOCOL = ""

    def refuse_state(self, model: QuantizedModel) -> None:
        """``UsageError`` for a model whose results would depend on the order of samples."""
        if prepare.summary_of(model.artefact).has_state:
            raise UsageError(
                f"the model keeps something from one inference to the next, and the protocol "
                f"{self.PROTOCOL} has no command to begin anew; use a board with our firmware"
            )

    def estimate(self, model: QuantizedModel, inputs: Sequence[Array], target: str = "") -> Estimate | None:  # noqa: ARG002
        """None: the board has no model of cycles."""
        return None

    def tensor(self, model: QuantizedModel, inputs: Sequence[Array], operator: int) -> Array:  # noqa: ARG002
        """``UsageError``: the protocol has no such command."""
        raise UsageError(f"the protocol {self.PROTOCOL} cannot return the output of one operator")
