"""What quantizers there are: plug-ins of the group ``quantcheck.quantizers``, imported on first use."""

from __future__ import annotations

from functools import cache

from pytest_quantcheck import entry_points
from pytest_quantcheck.errors import PluginError
from pytest_quantcheck.quantizers.scheme import Quantizer

GROUP = "quantcheck.quantizers"


def quantizer_names() -> tuple[str, ...]:
    """Names of all installed quantizers, sorted; imports none of them."""
    return entry_points.names(GROUP)


@cache
def quantizer(name: str) -> Quantizer:
    """The description of the quantizer called ``name``; no other plug-in is imported.

    Raises ``UsageError`` for an unknown name, ``PluginError`` for a plug-in that cannot be imported.
    """
    loaded = entry_points.load(GROUP, "quantizer", name, lambda found: isinstance(found, Quantizer))
    assert isinstance(loaded, Quantizer)
    if not loaded.schemes:
        raise PluginError(f"the quantizer {name!r} names no scheme")
    return loaded
