"""Survivors that are no mistakes: mutants that no test can catch, and why, by their names."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "pytest_quantcheck/numerics/affine.py: module: 2.0 ** 33 -> 2.0 ** 34": (
        "any bound from 2**33 on is beyond every integer of 32 bits, whatever the zero point, and fits int64"
    ),
}
