"""``quantcheck demo``: a small network under five quantizations on virtual boards, judged in one table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.demo.judge import HostScore, Judge
from pytest_quantcheck.demo.sabotage import BREAKS
from pytest_quantcheck.errors import MissingExtraError, QuantcheckError, UsageError
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.report import cells
from pytest_quantcheck.rig import inventory
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.runners.estimate import Estimate
from pytest_quantcheck.verdict.verdict import Verdict
from pytest_quantcheck.wording import counted

WIDTH = 160  # where the output is not a terminal


@dataclass
class BoardResult:
    """What became of one board: a verdict per model, or why it stopped."""

    entry: BoardEntry
    verdicts: list[Verdict] = field(default_factory=list)
    error: QuantcheckError | None = None

    @property
    def missing(self) -> bool:
        """The board cannot be had on this machine: a package or a program is not installed."""
        return not self.verdicts and isinstance(self.error, (MissingExtraError, UsageError))


class _StoppedError(Exception):
    """Ends the thread of a board; nobody sees it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="quantize, flash and judge a small network on the virtual boards",
        description="Runs handwritten digits through a small network under five quantizations on each "
        "virtual board, and compares every output with the host's, bit for bit.",
        epilog="Exit codes: 0 all bit-exact, 1 not, 2 wrong usage, 3 fault of the rig, 130 interrupted.",
    )
    parser.add_argument(
        "--boards", nargs="+", default=[], metavar="NAME", help="boards to use (default: all)"
    )
    parser.add_argument(
        "--rig", action="append", default=[], metavar="FILE|virtual", help="inventory (default: virtual)"
    )
    parser.add_argument("--vectors", type=int, metavar="N", help="digits per network (default: all 540)")
    parser.add_argument(
        "--break",
        dest="fault",
        choices=tuple(BREAKS),
        default="",
        help="break the model on its way to the board, to see what a failed verdict looks like",
    )
    parser.add_argument(
        "--log-dir", type=Path, default=Path(".quantcheck"), metavar="DIR", help="where serial logs go"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw what is printed as a picture")


def run(args: argparse.Namespace) -> int:
    """Judge all models on all boards, the boards in parallel. 0 when everything is bit-exact."""
    if args.vectors is not None and args.vectors < 1:
        raise UsageError(f"--vectors {args.vectors} is out of range; allowed: 1 to 540")
    if args.svg is not None:
        check_file("--svg", args.svg)
    started = time.monotonic()
    console = _console(record=args.svg is not None)
    boards = _boards(args.boards, args.rig or [inventory.VIRTUAL])
    models = demo_models()[: 1 if args.fault else None]
    judge = Judge(demo_samples())
    scores = {model.id: judge.host(model) for model in models}
    console.print(
        f"{len(models)} quantized network{'s' if len(models) > 1 else ''}, {len(judge.samples)} handwritten "
        f"digits, compared with {scores[models[0].id].runtime}"
    )
    results = _judge_all(args, console, judge, boards, models)
    _conclude(console, results, scores, time.monotonic() - started)
    if args.svg is not None:
        _draw(console, args.svg)
    return _exit_code(results, named=bool(args.boards))


def _console(*, record: bool) -> Console:
    console = Console(highlight=False, record=record)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH, record=record)


def _draw(console: Console, path: Path) -> None:
    try:
        console.save_svg(str(path), title="quantcheck demo")
    except OSError as error:
        raise UsageError(f"--svg {path}: {error.strerror or error}") from error


def _boards(names: Sequence[str], rig: Sequence[str]) -> list[BoardEntry]:
    for name in set(names):
        if names.count(name) > 1:
            raise UsageError(f"--boards names {name} more than once; name each board once")
    found = inventory.load(rig)
    boards = [found.board(name) for name in names] if names else list(found)
    if not boards:
        raise UsageError(
            f"--rig {' '.join(rig)} has no boards; add one, or leave --rig out for the virtual ones"
        )
    return boards


def _judge_all(
    args: argparse.Namespace,
    console: Console,
    judge: Judge,
    boards: Sequence[BoardEntry],
    models: Sequence[QuantizedModel],
) -> list[BoardResult]:
    """One thread per board: the work is done in the boards' own processes."""
    stop = Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def judge_one(entry: BoardEntry) -> BoardResult:
            vectors = args.vectors or len(judge.samples)
            bar = bars.add_task(f"{entry.name}: start", total=vectors * len(models))
            result = BoardResult(entry)

            def progress(stage: str, done: int, _total: int) -> None:
                if stop.is_set():
                    raise _StoppedError
                finished = len(result.verdicts) * vectors + (done if stage == "inferences" else 0)
                bars.update(bar, completed=finished, description=f"{entry.name}: {stage}")

            try:
                for verdict in judge.board(
                    entry, models, vectors=vectors, log_dir=args.log_dir, fault=args.fault, progress=progress
                ):
                    verdict.run.estimate()  # while the board is open
                    result.verdicts.append(verdict)
                    console.print(_line(entry, verdict))
            except QuantcheckError as error:
                result.error = error
            return result

        with ThreadPoolExecutor(max_workers=len(boards)) as pool:
            try:
                return list(pool.map(judge_one, boards))
            except BaseException:  # Ctrl-C reaches this thread only; the others give their boards back
                stop.set()
                raise


def _line(entry: BoardEntry, verdict: Verdict) -> str:
    word = "[green]bit-exact[/]" if verdict.exact else "[red]NOT bit-exact[/]"
    return f"{entry.name}: {escape(verdict.name)}: {counted(len(verdict.run), 'sample')} {word}"


def _conclude(
    console: Console, results: Sequence[BoardResult], scores: Mapping[str, HostScore], seconds: float
) -> None:
    """The table, failed verdicts, boards that stopped or could not be had."""
    verdicts = [verdict for result in results for verdict in result.verdicts]
    if verdicts:
        console.print(_table(results, scores))
    for result in results:
        if note := _few_samples(result, scores):
            console.print(note)
    for verdict in verdicts:
        if not verdict.passed:
            console.print(escape(verdict.explain()), style="red", soft_wrap=True)
    for result in results:
        if result.error is not None:
            word = "not here" if result.missing else type(result.error).__name__
            text = f"{result.entry.name}: {word}: {escape(str(result.error))}"
            console.print(text, style="yellow" if result.missing else "red", soft_wrap=True)
    if verdicts:
        good = sum(verdict.passed for verdict in verdicts)
        console.print(f"{good} of {len(verdicts)} bit-exact in {seconds:.0f} s")


def _few_samples(result: BoardResult, scores: Mapping[str, HostScore]) -> str:
    """Why a board's score may differ from the host's although no output does; empty when it cannot."""
    few = [verdict for verdict in result.verdicts if verdict.exact]
    few = [verdict for verdict in few if len(verdict.run) < scores[verdict.run.model.id].samples]
    if not few:
        return ""
    return (
        f"{result.entry.name} ran {len(few[0].run)} of the digits, with the host's outputs on every one of "
        f"them; what the host scores on all of them holds for it too."
    )


def _exit_code(results: Sequence[BoardResult], *, named: bool) -> int:
    """1 before 3 before 2. A board whose tools are missing matters only when it was asked for by name."""
    if any(not verdict.passed for result in results for verdict in result.verdicts):
        return 1
    errors = [result.error for result in results if result.error and (named or not result.missing)]
    if errors:
        return max(error.exit_code for error in errors)
    return 0 if any(result.verdicts for result in results) else UsageError.exit_code


def _table(results: Sequence[BoardResult], scores: Mapping[str, HostScore]) -> Table:
    verdicts = [(result.entry, verdict) for result in results for verdict in result.verdicts]
    units = {verdict.run.unit for _, verdict in verdicts}
    cost = units.pop() if len(units) == 1 else "per inference"
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("model", "quantization", "board"):
        table.add_column(heading, overflow="fold")
    for heading in (
        "float",
        "quantized",
        "on board",
        "samples",
        "bit-exact",
        cost,
        "estimated ms",
        "arena",
        "image",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry, verdict in verdicts:
        table.add_row(*_cells(entry, verdict, scores[verdict.run.model.id]))
    return table


def _cells(entry: BoardEntry, verdict: Verdict, host: HostScore) -> tuple[str, ...]:
    facts = verdict.row()
    config = verdict.run.model.config
    return (
        verdict.run.model.name,
        config.id if config else "",
        entry.name,
        "-" if host.float_accuracy is None else f"{host.float_accuracy:.2%}",
        f"{host.accuracy:.2%}",
        "-" if facts.score is None else f"{facts.score.value:.2%}",
        str(facts.samples),
        "[green]yes[/]" if verdict.exact else "[red]NO[/]",
        "-" if facts.counter is None else f"{facts.counter:,.0f}",
        _milliseconds(verdict.run.estimate()),
        cells.size(facts.arena),
        cells.size(facts.image),
    )


def _milliseconds(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = estimate.whole.milliseconds(estimate.clock_hz)
    return f"{low:.1f}-{high:.1f}"
