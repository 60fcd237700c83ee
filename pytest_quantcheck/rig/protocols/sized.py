"""What a chip family promises that knows the memory of its targets: ``quantcheck check`` asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pytest_quantcheck.rig.memory import Memory


@runtime_checkable
class Sized(Protocol):
    """Optional beside ``Family``: without it nothing can be said about a model before a board is there."""

    def memory(self) -> Mapping[str, Memory]:
        """What each target leaves for models, by the name of the target, virtual ones included."""
