"""``Value``: one measured number and what it is bound to, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.baselines.vector_set import VectorSet


@dataclass(frozen=True)
class Value:
    """``value`` with what makes it comparable; None and empty texts where it is not bound to such a thing.

    ``model`` is the artefact's SHA-256 (a change of it is noted, nothing more), ``firmware`` the build id,
    ``runtime`` name and version, ``clock_hz`` the counter's rate. ``vectors`` are the samples it is over;
    ``right`` says for each whether it was right, ``counts`` what it cost, in the order of the fingerprints.
    """

    value: float
    model: str = ""
    firmware: str = ""
    runtime: str = ""
    clock_hz: int = 0
    vectors: VectorSet | None = None
    right: tuple[bool, ...] | None = None
    counts: tuple[int, ...] | None = None


def pack_bits(right: tuple[bool, ...]) -> str:
    """Truth values as hexadecimal digits, the first in the highest bit; the last digit is filled with 0."""
    if not right:
        return ""
    padded = "".join("01"[each] for each in right).ljust(-(-len(right) // 4) * 4, "0")
    return f"{int(padded, 2):0{len(padded) // 4}x}"


def unpack_bits(text: str, count: int) -> tuple[bool, ...]:
    """What ``pack_bits`` made of ``count`` truth values. Raises ``ValueError``."""
    if len(text) != -(-count // 4):
        raise ValueError(f"{len(text)} digits for {count} samples")
    bits = f"{int(text, 16):0{len(text) * 4}b}" if text else ""
    return tuple(each == "1" for each in bits[:count])


def pack_counts(counts: tuple[int, ...]) -> str:
    """The lowest count, then by how much each exceeds it, in hexadecimal digits of one width."""
    lowest = min(counts)
    width = len(f"{max(counts) - lowest:x}")
    return f"{lowest}+{''.join(f'{count - lowest:0{width}x}' for count in counts)}"


def unpack_counts(text: str, count: int) -> tuple[int, ...]:
    """What ``pack_counts`` made of ``count`` counts. Raises ``ValueError``."""
    lowest, _, digits = text.partition("+")
    width, left = divmod(len(digits), count)
    if left or not width:
        raise ValueError(f"{len(digits)} digits for {count} samples")
    return tuple(int(lowest) + int(digits[at : at + width], 16) for at in range(0, len(digits), width))
