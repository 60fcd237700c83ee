"""What each trained model is worth, on the host and on the virtual boards: ``python -m
conformance_models.table``.

Prints the table of README.md, and with ``--write`` writes each model's card,
``conformance_models/NAME/card.md``.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median

from conformance_models.zoo import MODELS
from pytest_quantcheck.data.dataset import Dataset
from pytest_quantcheck.data.subset import subset
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.config import QuantConfig
from pytest_quantcheck.quantizers.quantize import quantize
from pytest_quantcheck.rig.inventory import virtual
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.exact import exact_runner
from pytest_quantcheck.runners.float_outputs import FloatOutputs
from pytest_quantcheck.runners.remembering import Remembering
from pytest_quantcheck.runners.run import Run
from pytest_quantcheck.verdict.gate import Gate
from pytest_quantcheck.verdict.score import Score

CONFIG = QuantConfig(input_type="int8", output_type="int8", granularity="per_channel", calibration="all")
MAX_DROP = 0.015
VECTORS = 24
BOARDS = ("virtual-stm32f405", "virtual-esp32c3")
HEADER = (
    "model",
    "parameters",
    "metric",
    "float",
    "int8",
    "bit-exact on",
    "flash",
    "arena",
    "10^6 instructions",
)


@dataclass(frozen=True)
class Measured:
    """One line of the table, and what the card says besides."""

    name: str
    parameters: int
    score: Score
    """Of the exact host reference on all test samples."""
    boards: tuple[Run, ...]
    board_scores: tuple[Score, ...]
    samples: tuple[int, int]
    one: Score
    """As ``score``, calibrated with one sample only: what calibration is worth."""

    def cells(self) -> tuple[str, ...]:
        """As ``HEADER`` names them."""
        score, first = self.score, self.boards[0]
        names = " and ".join(run.target.removeprefix("virtual-") for run in self.boards)
        work = " / ".join(f"{median(run.counters) / 1e6:.1f}" for run in self.boards)
        assert score.float_value is not None
        return (
            self.name,
            f"{self.parameters:,}",
            score.metric.name,
            score.show(score.float_value),
            score.show(score.value),
            names,
            f"{(first.footprint.image or 0) / 1024:.1f} KiB",
            f"{(first.footprint.arena or 0) / 1024:.1f} KiB",
            work,
        )


def measure(name: str, *, vectors: int = VECTORS, log_dir: Path | None = None) -> Measured:
    """Quantize a model, run all of its test samples on the host and ``vectors`` of them on each board.

    Raises ``AssertionError`` where the drop exceeds ``MAX_DROP``, or a board differs from the host in one
    bit.
    """
    module = import_module(f"conformance_models.{name}")
    data: Dataset = module.dataset()
    network = module.float_model()
    model = quantize(load(network), CONFIG, data)
    reference, floats = Remembering(exact_runner()), FloatOutputs()
    gate = Gate(reference=reference, float_outputs=floats, data=data)
    host = gate.check(reference.run(model, data.test), max_drop=MAX_DROP, metric=module.METRIC)
    chosen = data.test.take(subset(data.test, min(vectors, len(data.test))))
    runs, scores = [], []
    with tempfile.TemporaryDirectory() as folder:
        for board in BOARDS:
            pool, logs = virtual().pool(board), log_dir or Path(folder)
            with BoardSession(pool, log_dir=logs, who="conformance_models.table") as session:
                run = BoardRunner(session).run(model, chosen)
            some = Gate(reference=reference, float_outputs=floats, data=replace(data, test=chosen))
            verdict = some.check(run, exact=True, metric=module.METRIC)
            runs.append(run)
            scores.append(verdict.scores[0])
    sizes = len(data.calibration), len(data.test)
    narrow = quantize(load(network), CONFIG, replace(data, calibration=data.calibration.take(range(1))))
    one = gate.check(reference.run(narrow, data.test), metric=module.METRIC, allow_unjudged=True)
    score = host.scores[0]
    return Measured(name, network.count_params(), score, tuple(runs), tuple(scores), sizes, one.scores[0])


def table(rows: Sequence[Measured]) -> str:
    """In Markdown."""
    lines = [HEADER, tuple("---" for _ in HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def card(row: Measured) -> str:
    """A model's card, in Markdown."""
    module = import_module(f"conformance_models.{row.name}")
    assert module.__doc__ is not None
    calibration, test = row.samples
    text = re.sub(r"``", "`", module.__doc__.strip())
    lines = [
        f"# {row.name}",
        "",
        text,
        "",
        "| | |",
        "|---|---|",
        "| data | made by the project from a seed; no test sample is one that trained or calibrates |",
        f"| samples | {calibration} to calibrate with, {test} to test |",
        f"| parameters | {row.parameters:,} |",
        f"| {row.score.metric.name}, float | {row.score.show(row.score.float_value or 0)} |",
        f"| {row.score.metric.name}, int8 per channel | {row.score.show(row.score.value)} |",
        f"| the same, calibrated with one sample only | {row.score.show(row.one.value)} |",
    ]
    for run, score in zip(row.boards, row.board_scores, strict=True):
        lines += [
            f"| on `{run.device.board}` | bit-exact with the host on {len(run)} samples: {score.metric.name} "
            f"{score.show(score.value)} on both |",
            f"| flash, arena, stack there | {run.footprint.image} B, {run.footprint.arena} B, "
            f"{run.footprint.stack} B |",
            f"| {run.unit} per inference there | {median(run.counters):,.0f} |",
        ]
    lines += ["", f"Made by `python -m conformance_models.table --write {row.name}`.", ""]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and write the cards where that is wanted."""
    parser = argparse.ArgumentParser(prog="python -m conformance_models.table", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all)")
    parser.add_argument("--write", action="store_true", help="write the cards")
    parser.add_argument("--vectors", type=int, default=VECTORS, help="samples on each board")
    args = parser.parse_args()
    rows = []
    for name in args.names or MODELS:
        rows.append(measure(name, vectors=args.vectors))
        if args.write:
            Path(__file__).with_name(name).joinpath("card.md").write_text(card(rows[-1]))
    print(table(rows), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
