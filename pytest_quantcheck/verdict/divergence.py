"""``Divergence``: where a board first differs from the exact reference, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.verdict.causes.cause import UNKNOWN

_NAME_LENGTH = 60


@dataclass(frozen=True)
class Divergence:
    """What ``locate`` found.

    ``operator`` is the number in the source graph, ``output`` which of its outputs; None when every
    operator agrees and only the returned output differs. ``steps`` lists ``(difference in LSB,
    elements)``, most frequent first; for a float32 tensor it is empty. ``evidence`` is empty when the
    cause is unknown: ``cause`` is then what the pattern suggests. ``code`` is the cause's entry in the
    catalogue, ``ranking`` those of all causes with evidence, this one first; ``remedy`` says what to do next.
    """

    sample: str
    samples: int
    total: int
    operator: int | None
    kind: str
    tensor: str
    elements: int
    size: int
    steps: tuple[tuple[int, int], ...]
    pattern: str
    cause: str
    evidence: str = ""
    output: int = 0
    code: str = UNKNOWN
    ranking: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def largest(self) -> int:
        """Largest difference in LSB; 0 for a float32 tensor."""
        return max((abs(step) for step, _ in self.steps), default=0)

    @property
    def where(self) -> str:
        """The operator in words: ``operator 3 (CONV_2D)``."""
        if self.operator is None:
            return "the returned output"
        return f"operator {self.operator} ({self.kind}){f', output {self.output}' if self.output else ''}"

    def __str__(self) -> str:
        lines = [
            f"{self.samples} of {self.total} outputs differ, the first for sample {self.sample}",
            f"first diverging: {self.where}, tensor {_shortened(self.tensor)!r}",
            f"difference: {self.elements} of {self.size} elements{self._sizes()}",
            f"pattern: {self.pattern}",
            self.reason,
        ]
        lines += [f"evidence: {self.evidence}"] if self.evidence else []
        return "\n".join([*lines, f"what to do: {self.remedy}"] if self.remedy else lines)

    @property
    def reason(self) -> str:
        """The cause in words, said as what it is: likely, or unknown with a suspicion."""
        if self.evidence:
            return f"likely cause: {self.cause}"
        return f"cause: unknown; suspicion: {self.cause.removeprefix('unknown: ')}"

    def _sizes(self) -> str:
        if not self.steps:
            return ""
        shown = ", ".join(f"{step:+d} ({count} times)" for step, count in self.steps[:4])
        return f", at most {self.largest} LSB: {shown}" + (", ..." if len(self.steps) > 4 else "")


def _shortened(name: str) -> str:
    """Converters join the names of everything they fused, with semicolons."""
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 3]}..."
