"""One judged question of a verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Criterion:
    """``passed`` is None where the question could not be judged; ``text`` says what was found."""

    name: str
    passed: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "ok", False: "FAILED", None: "not judged"}[self.passed]
        return f"{self.name}: {word}: {self.text}"
