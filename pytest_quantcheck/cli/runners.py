"""Runners by the name a command line gives: a host reference, or a board of the inventory."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack

from pytest_quantcheck.cli.rig import Progress, purpose, read_inventory
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.deadlines import Deadlines
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.runners.board import ArtefactMaker
from pytest_quantcheck.runners.boards import AnyBoard, board_runner
from pytest_quantcheck.runners.registry import HOST_RUNNERS, host_runner
from pytest_quantcheck.runners.run import Runner


def open_board(
    name: str,
    args: argparse.Namespace,
    progress: Progress,
    stack: ExitStack,
    makers: Mapping[str, ArtefactMaker] | None = None,
) -> AnyBoard:
    """The board called ``name``, leased until ``stack`` closes; ``makers`` as in ``BoardRunner``."""
    runner = board_runner(
        [read_inventory(args).board(name)],
        log_dir=args.log_dir,
        who=purpose(args),
        lease_timeout=args.lease_timeout,
        ledger=FaultLedger(retries=args.retries),
        storage=args.storage,
        deadlines=Deadlines.of_runs(args.run_timeout),
        progress=progress,
        makers=makers,
    )
    stack.callback(runner.session.close)
    return runner


def open_runner(
    name: str,
    args: argparse.Namespace,
    progress: Progress,
    stack: ExitStack,
    makers: Mapping[str, ArtefactMaker] | None = None,
) -> Runner:
    """A host runner or a board; ``UsageError`` lists both kinds."""
    if name in HOST_RUNNERS:
        return host_runner(name)
    boards = [board.name for board in read_inventory(args)]
    if name not in boards:
        raise UsageError(
            f"runner {name!r} is not known; host runners: {', '.join(HOST_RUNNERS)}; "
            f"boards: {', '.join(boards)}"
        )
    return open_board(name, args, progress, stack, makers)
