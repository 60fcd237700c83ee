"""What a target leaves for models, as its chip family tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Memory:
    """RAM for the arena (and images), flash for stored images; in KiB, what our firmware leaves of them."""

    pool_kib: int
    store_kib: int
