"""Instructions and estimated cycles per multiply-accumulate, arena and code size of the four shapes.

The peers' figures were measured with the same input in the same way (QEMU, one instruction per count,
gcc 12.2 -O2): TFLM 90b983c2 with its reference kernels, with CMSIS-NN 4ab83cc3 on a Cortex-M4, and
with ESP-NN d45b843 on RV32IMC, on the MLPerf Tiny models whose shapes these are.

The cycles of others were measured on silicon: a NUCLEO-L4R5ZI (Cortex-M4, 120 MHz), by the logs of
mlcommons/tiny_results v0.5 to v1.3, on the official models, whose weights are not those of our shapes. Ours
are estimated at 168 MHz and five wait states (docs/cycles.md).
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from conformance_models.shapes import SHAPES, model
from pytest_quantcheck.data.dataset import Raw
from pytest_quantcheck.rig import inventory
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from pytest_quantcheck.runners.run import Run

BOARDS = ("virtual-stm32f405", "virtual-esp32c3")
INPUTS = 5

# Instructions per multiply-accumulate: (reference kernels, the vendor's kernels).
PEERS = {
    ("virtual-stm32f405", "resnet8"): (8.59, 2.28),
    ("virtual-stm32f405", "ds-cnn"): (16.20, 2.72),
    ("virtual-stm32f405", "mobilenet"): (13.38, 3.02),
    ("virtual-stm32f405", "autoencoder"): (7.39, 2.17),
    ("virtual-esp32c3", "resnet8"): (10.16, 7.71),
    ("virtual-esp32c3", "ds-cnn"): (17.17, 9.72),
    ("virtual-esp32c3", "mobilenet"): (15.23, 8.71),
    ("virtual-esp32c3", "autoencoder"): (9.50, 9.29),
}

# Clock cycles per multiply-accumulate on silicon: TFLM's reference kernels (v0.5), microTVM with CMSIS-NN
# (v1.1), X-CUBE-AI (v1.2, the autoencoder v1.3).
SILICON = {
    "resnet8": (6.76, 3.74, 1.585),
    "ds-cnn": (8.22, 4.51, 1.95),
    "mobilenet": (9.62, 4.82, 1.425),
    "autoencoder": (4.57, 3.91, 2.18),
}


def measure(board: str) -> dict[str, Run]:
    """Every shape on one board, ``INPUTS`` inferences each with operator records, proven exact."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        session = BoardSession(inventory.virtual().pool(board), log_dir=Path(folder), who="make bench")
        try:
            for name in SHAPES:
                shape = model(name)
                size = shape.graph.tensors[shape.graph.inputs[0]].shape[1:]
                vectors = Raw(np.random.default_rng(1).integers(-128, 128, (INPUTS, *size)).astype(np.int8))
                run = BoardRunner(session).run(shape, vectors, operators=True)
                host = IntegerRunner().run(shape, vectors)
                if not np.array_equal(run.outputs[0], host.outputs[0]):
                    raise SystemExit(f"{name} on {board} differs from the host")
                run.estimate()  # while the board is there
                runs[name] = run
        finally:
            session.close()
    return runs


def summary(runs: dict[str, dict[str, Run]]) -> Table:
    """One row per board and shape, next to the peers."""
    table = Table(title="instructions per multiply-accumulate")
    for column in ("board", "shape", "instructions", "per MAC", "reference", "vendor", "arena", "image"):
        table.add_column(column, justify="left" if column in ("board", "shape") else "right")
    for board, shapes in runs.items():
        for name, run in shapes.items():
            counter, macs = max(run.counters), run.model.manifest["macs"]
            reference, vendor = PEERS[board, name]
            table.add_row(
                board,
                name,
                f"{counter:,}",
                f"{counter / macs:.2f}",
                f"{reference:.2f}",
                f"{vendor:.2f}",
                f"{run.footprint.arena:,}",
                f"{run.footprint.image:,}",
            )
    return table


def cycles(runs: dict[str, dict[str, Run]]) -> Table:
    """The estimated interval, next to what others took on silicon, where that is published."""
    table = Table(title="clock cycles per multiply-accumulate: ours estimated, others on silicon")
    for column in ("board", "shape", "at best", "at worst", "reference", "CMSIS-NN", "X-CUBE-AI"):
        table.add_column(column, justify="left" if column in ("board", "shape") else "right")
    for board, shapes in runs.items():
        for name, run in shapes.items():
            estimate = run.estimate()
            if estimate is None:
                raise SystemExit(f"{board} estimated nothing for {name}")
            ours = [each / run.model.manifest["macs"] for each in (estimate.whole.low, estimate.whole.high)]
            others = SILICON[name] if board == "virtual-stm32f405" else ()
            table.add_row(board, name, *(f"{each:.2f}" for each in (*ours, *others)))
    return table


def by_operator(runs: dict[str, dict[str, Run]]) -> Table:
    """Where the instructions go, per kind of operator."""
    table = Table(title="share of the instructions by operator")
    for column in ("board", "shape", "operators"):
        table.add_column(column)
    for board, shapes in runs.items():
        for name, run in shapes.items():
            costs: dict[str, int] = defaultdict(int)
            for record in run.operators[0]:
                costs[record.kind] += record.counter or 0
            total = sum(costs.values())
            ranked = sorted(costs.items(), key=lambda item: -item[1])
            table.add_row(
                board, name, ", ".join(f"{kind} {cost / total:.1%}" for kind, cost in ranked if cost)
            )
    return table


def main() -> None:
    runs = {board: measure(board) for board in BOARDS}
    console = Console(width=120)
    console.print(summary(runs))
    console.print(cycles(runs))
    console.print(by_operator(runs))
    for board, shapes in runs.items():
        print(f"firmware on {board}: {next(iter(shapes.values())).footprint.firmware:,} bytes")


if __name__ == "__main__":
    main()
