"""A runner on a board of the inventory, by the protocol that its firmware speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Union

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.leased import LeaseOptions
from pytest_quantcheck.rig.mlperf.session import MlperfSession
from pytest_quantcheck.rig.model_firmware import ModelFirmware
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.rig.spoken import MLPERF_TINY, STAI
from pytest_quantcheck.rig.stai.session import StaiSession
from pytest_quantcheck.runners.board import ArtefactMaker, BoardRunner
from pytest_quantcheck.runners.mlperf import MlperfRunner
from pytest_quantcheck.runners.stai import StaiRunner

if TYPE_CHECKING:
    from typing_extensions import Unpack

AnyBoard = Union[BoardRunner, MlperfRunner, StaiRunner]


def board_runner(
    pool: Sequence[BoardEntry],
    *,
    storage: str = "auto",
    makers: Mapping[str, ArtefactMaker] | None = None,
    firmware: ModelFirmware | None = None,
    **options: Unpack[LeaseOptions],
) -> AnyBoard:
    """A runner on any free board of ``pool``, whose boards are of one target; its session is to be closed.

    ``storage`` and ``firmware`` as of ``BoardSession``, ``makers`` as of ``BoardRunner``, ``options`` as of
    ``LeaseOptions``.
    """
    protocol = pool[0].protocol if pool else ""
    if protocol == MLPERF_TINY:
        return MlperfRunner(MlperfSession(pool, **options))
    if protocol == STAI:
        return StaiRunner(StaiSession(pool, **options))
    return BoardRunner(BoardSession(pool, storage=storage, firmware=firmware, **options), makers=makers)


def own_board(runner: AnyBoard, doing: str) -> BoardRunner:
    """``runner`` where its board has our harness; ``UsageError`` names what the other protocol cannot do."""
    if isinstance(runner, BoardRunner):
        return runner
    raise UsageError(
        f"board {runner.session.pool[0].name} speaks {runner.PROTOCOL}, which cannot do this: {doing}; "
        "take a board with the firmware of pytest-quantcheck"
    )
