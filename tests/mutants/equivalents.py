"""Survivors that are no mistakes: mutants that no test can catch, and why, by their names."""

from __future__ import annotations

REASONS: dict[str, str] = {}
