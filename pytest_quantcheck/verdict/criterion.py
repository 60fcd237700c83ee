"""``Criterion``: one judged question of a verdict."""

from __future__ import annotations

from dataclasses import dataclass

NEEDS_SILICON = "needs silicon"
"""Begins the text of a criterion that an estimate leaves open: only a real board can tell."""


@dataclass(frozen=True)
class Criterion:
    """``passed`` is None where the question could not be judged; ``text`` says what was found."""

    name: str
    passed: bool | None
    text: str

    def __post_init__(self) -> None:
        if self.passed is not None:  # NumPy's truth values are not Python's: np.False_ is not False
            object.__setattr__(self, "passed", bool(self.passed))

    @property
    def word(self) -> str:
        """What the answer is called."""
        if self.passed is None and self.text.startswith(NEEDS_SILICON):
            return NEEDS_SILICON
        return {True: "ok", False: "FAILED", None: "not judged"}[self.passed]

    @property
    def found(self) -> str:
        """``text`` without the word."""
        return self.text.removeprefix(f"{NEEDS_SILICON}: ")

    def __str__(self) -> str:
        return f"{self.name}: {self.word}: {self.found}"
