"""What the firmware on a board speaks, as its inventory says."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.mlperf.settings import MlperfSettings
from pytest_quantcheck.rig.stai.settings import StaiSettings

QUANTCHECK, MLPERF_TINY, STAI = "quantcheck", "mlperf_tiny", "stai"
PROTOCOLS = (QUANTCHECK, MLPERF_TINY, STAI)
_SETTINGS = {MLPERF_TINY: MlperfSettings.of, STAI: StaiSettings.of}


def check_protocol(entry: BoardEntry, where: str) -> None:
    """``UsageError`` for a protocol that is not known, or whose settings or firmware do not go with it."""
    if entry.protocol not in PROTOCOLS:
        raise UsageError(f"{where}: protocol = {entry.protocol!r}; allowed: {', '.join(PROTOCOLS)}")
    if entry.protocol == QUANTCHECK:
        if entry.protocol_settings:
            raise UsageError(
                f"{where}: [board.protocol_settings] goes with another protocol than {QUANTCHECK!r}; add "
                f'protocol = "{MLPERF_TINY}" or "{STAI}", or leave the table out'
            )
        return
    if entry.firmware != "external" or entry.by_model:
        raise UsageError(
            f"{where}: firmware = {entry.firmware!r} with protocol = {entry.protocol!r}; allowed: external "
            "(the default then): the firmware is somebody else's, and is on the board already"
        )
    _SETTINGS[entry.protocol](entry)


def check_pool(boards: Sequence[BoardEntry]) -> None:
    """``UsageError`` where boards of one target, any of which a test may get, speak different protocols."""
    first: dict[str, BoardEntry] = {}
    for board in boards:
        other = first.setdefault(board.target, board)
        if other.protocol != board.protocol:
            raise UsageError(
                f"{board.where}: board {board.name!r} has protocol = {board.protocol!r}, {other.name!r} of "
                f"the same target {board.target!r} has {other.protocol!r}; boards of a target must be alike: "
                "give one of them another target"
            )
