"""A line about something that is lost and costs no result: a serial log, an entry of the cache."""

from __future__ import annotations

import sys
import warnings


def tell(message: str) -> None:
    """A ``RuntimeWarning``; on stderr where warnings are errors, so that telling never costs a result."""
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    except RuntimeWarning:
        print(f"warning: {message}", file=sys.stderr)
