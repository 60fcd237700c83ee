"""What a model takes on a chip that is not here: one inference of zeros on a virtual board of its family."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.families import sound_families
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.protocols.needy import Needy
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners import prepare
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.estimate import Estimate
from pytest_quantcheck.temporary import OwnFolder


def estimate_without_a_board(model: QuantizedModel, target: str) -> Estimate:
    """Raises ``UsageError`` where no virtual board can tell, and what running a model raises."""
    entry = _virtual_board(target)
    zeros = [
        np.zeros(tensor.shape, tensor.dtype) for tensor in prepare.summary_of(model.artefact).input_tensors
    ]
    with (
        OwnFolder("logs") as logs,
        BoardSession([entry], log_dir=Path(logs), ledger=FaultLedger(retries=0)) as session,
    ):
        estimate = BoardRunner(session).estimate(model, zeros, target)
    if estimate is None:
        raise UsageError(f"{entry.name} cannot estimate the time of {target}: it has no model of its cycles")
    return estimate


def _virtual_board(target: str) -> BoardEntry:
    for family in sound_families():
        boards = family.virtual_boards()
        if target in family.targets() and boards:
            missing = family.missing(boards[0]) if isinstance(family, Needy) else ""
            if missing:
                raise UsageError(f"--time needs {boards[0].name}, and {missing}")
            return boards[0]
    raise UsageError(f"no virtual board is of the family of {target}")


def print_estimate(model: QuantizedModel, estimate: Estimate) -> None:
    """The whole, then each operator."""
    print(f"  time          {estimate}")
    for operator, cycles in zip(model.graph.operators, estimate.operators, strict=False):
        low, high = cycles.milliseconds(estimate.clock_hz)
        print(f"   {operator.index:3d}  {operator.kind:24} {low:8.3f} to {high:8.3f} ms")
