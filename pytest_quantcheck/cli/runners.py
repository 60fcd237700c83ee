"""Runners by the name a command line gives: a host reference, or a board of the inventory."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from contextlib import ExitStack

from pytest_quantcheck.cli.rig import Progress, purpose, read_inventory
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import ArtefactMaker, BoardRunner
from pytest_quantcheck.runners.run import Runner

HOST_RUNNERS = {
    "tflm": "pytest_quantcheck.runners.tflm:TflmRunner",
    "integer": "pytest_quantcheck.runners.integer:IntegerRunner",
    "litert": "pytest_quantcheck.runners.litert:LitertRunner",
    "litert_reference": "pytest_quantcheck.runners.litert:LitertReferenceRunner",
    "onnxruntime": "pytest_quantcheck.runners.onnxruntime:OnnxruntimeRunner",
}


def open_board(
    name: str,
    args: argparse.Namespace,
    progress: Progress,
    stack: ExitStack,
    makers: Mapping[str, ArtefactMaker] | None = None,
) -> BoardRunner:
    """The board called ``name``, leased until ``stack`` closes; ``makers`` as in ``BoardRunner``."""
    session = BoardSession(
        [read_inventory(args).board(name)],
        log_dir=args.log_dir,
        who=purpose(args),
        lease_timeout=args.lease_timeout,
        ledger=FaultLedger(retries=args.retries),
        storage=args.storage,
        progress=progress,
    )
    return BoardRunner(stack.enter_context(session), makers=makers)


def open_runner(
    name: str,
    args: argparse.Namespace,
    progress: Progress,
    stack: ExitStack,
    makers: Mapping[str, ArtefactMaker] | None = None,
) -> Runner:
    """A host runner or a board; ``UsageError`` lists both kinds."""
    if name in HOST_RUNNERS:
        module, _, attribute = HOST_RUNNERS[name].partition(":")
        runner: Runner = getattr(importlib.import_module(module), attribute)()
        return runner
    boards = [board.name for board in read_inventory(args)]
    if name not in boards:
        raise UsageError(
            f"runner {name!r} is not known; host runners: {', '.join(HOST_RUNNERS)}; "
            f"boards: {', '.join(boards)}"
        )
    return open_board(name, args, progress, stack, makers)
