"""One small wrong change of one source file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """Characters ``start`` to ``end`` of a file become ``text``."""

    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


@dataclass(frozen=True)
class Mutant:
    """A mutant and what it is called. ``function`` is a hand-made mutant's name."""

    file: str
    function: str
    kind: str
    original: str
    mutated: str
    edit: Edit
    occurrence: int = 1
    handmade: bool = False

    @property
    def key(self) -> str:
        """Stable as long as the mutated expression is; line numbers are not part of it."""
        number = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.file}: {self.function}: {self.original} -> {self.mutated}{number}"
