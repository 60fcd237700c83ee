"""What a target leaves for models, as its chip family tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Memory:
    """RAM for the arena (and images), flash for stored images; in KiB, what our firmware leaves of them.

    ``stack_kib`` is what our firmware reserves for its stack; 0 where nobody knows.
    """

    pool_kib: int
    store_kib: int
    stack_kib: int = 0
