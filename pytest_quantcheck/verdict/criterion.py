"""``Criterion``: one judged question of a verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Criterion:
    """``passed`` is None where the question could not be judged; ``text`` says what was found."""

    name: str
    passed: bool | None
    text: str

    def __post_init__(self) -> None:
        if self.passed is not None:  # NumPy's truth values are not Python's: np.False_ is not False
            object.__setattr__(self, "passed", bool(self.passed))

    def __str__(self) -> str:
        word = {True: "ok", False: "FAILED", None: "not judged"}[self.passed]
        return f"{self.name}: {word}: {self.text}"
