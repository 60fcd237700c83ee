"""The threads that read files: decoders and filters work outside of Python's lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def workers() -> int:
    """As many as there are processors that this process may use, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(8, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


@cache
def readers() -> ThreadPoolExecutor:
    """The one pool of this process."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="quantcheck-reader")
