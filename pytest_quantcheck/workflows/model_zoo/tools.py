"""What steps need from whoever runs them: pytest's items, and the command line."""

from __future__ import annotations

from typing import Protocol

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.runners.boards import AnyBoard
from pytest_quantcheck.runners.run import Runner
from pytest_quantcheck.verdict.budget import Budget
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.row import Row


class Tools(Protocol):
    """``vectors``: so many test samples at most, None for all."""

    @property
    def cache(self) -> Cache: ...

    @property
    def reference(self) -> Runner:
        """The host runner whose integers are right."""

    @property
    def vectors(self) -> int | None: ...

    def gate(self, data: Dataset | None, budget: Budget | None, device: Runner | None) -> Gate:
        """A gate that records its verdicts; it knows the reference and, unless None, the board."""

    def board(self, wanted: str, /) -> AnyBoard:
        """A board of that name or target, running, which stores models in flash. Empty: any board."""

    def record(self, row: Row) -> None:
        """Keep the result of a step that no gate judges."""
