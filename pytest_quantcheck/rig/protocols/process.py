"""Promises to tell when it has ended. Virtual boards do: each is a process."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class ProcessBoard(Protocol):
    """A board that is a process, and may be gone as no real board can."""

    def ended(self) -> str:
        """How the process ended, also one that is just ending; empty while it runs."""
