"""``Device``: who made a run, as it described itself, and what the rig went through to get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HOST_TARGET = "host"
MICROSECOND_CLOCK = 1_000_000


@dataclass(frozen=True)
class Device:
    """The board behind a run. Empty strings and 0 where nobody knows; ``HOST`` for runs on this machine.

    ``board`` is its name in the inventory, ``unique_id`` the chip's own in hex, ``runtime`` name and version,
    ``build_id`` the firmware's, ``clock_hz`` what the counter runs at, ``unit`` what it counts
    (``instructions``, ``cycles``, or ``microseconds`` where a protocol has time stamps only), ``storage``
    where the model was (``store`` in flash, or ``ram``). ``unproven``: what would prove that it holds the
    model under test, where nothing did.
    """

    target: str = HOST_TARGET
    board: str = ""
    chip: str = ""
    unique_id: str = ""
    runtime: str = ""
    build_id: str = ""
    clock_hz: int = 0
    unit: str = ""
    storage: str = ""
    unproven: str = ""


HOST = Device()


@dataclass(frozen=True)
class Effort:
    """What the rig went through for a run: a pass hides none of it.

    ``retries`` and ``erased_sectors`` are counted since the run before, ``faults`` are the first lines of the
    faults that a retry overcame. ``link`` has the counts of the link since it was opened, by name.
    """

    retries: int = 0
    faults: tuple[str, ...] = ()
    erased_sectors: int = 0
    link: Mapping[str, float] = field(default_factory=dict)


NO_EFFORT = Effort()
