"""``quantcheck chain``: the steps of a Model-Zoo configuration, one after the other."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.rig import add_rig_options, progress, purpose, read_inventory
from pytest_quantcheck.cli.verdict import add_strict, conclude
from pytest_quantcheck.errors import QuantcheckError, RigFault, UsageError
from pytest_quantcheck.verdict.row import Row

if TYPE_CHECKING:
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.data.dataset import Dataset
    from pytest_quantcheck.runners.boards import AnyBoard
    from pytest_quantcheck.runners.float_outputs import FloatOutputs
    from pytest_quantcheck.runners.run import Runner
    from pytest_quantcheck.verdict.budget import Budget
    from pytest_quantcheck.verdict.gate import Gate
    from pytest_quantcheck.workflows.model_zoo.configuration import Configuration

USUAL = "user_config.yaml"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck chain``, which are Hydra's where Hydra has them."""
    parser = subparsers.add_parser(
        "chain",
        help="run the steps of a Model-Zoo configuration",
        description="Reads a configuration of the STM32 Model Zoo, with overrides as Hydra has them, and "
        "runs the steps of its operation_mode. `pytest CONFIG.yaml` runs the same steps as tests.",
    )
    parser.add_argument(
        "config", nargs="?", default="", metavar="CONFIG.yaml", help=f"the configuration (default: {USUAL})"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="values to replace in it, such as operation_mode=chain_qb",
    )
    parser.add_argument(
        "--config-path", "-cp", type=Path, metavar="DIR", help="the folder of the configuration"
    )
    parser.add_argument("--config-name", "-cn", metavar="NAME", help="its name in that folder")
    parser.add_argument(
        "--multirun", "-m", action="store_true", help="a job for each combination of values: key=a,b"
    )
    parser.add_argument(
        "--step", action="append", default=[], metavar="NAME", help="run only this step, repeatable"
    )
    parser.add_argument("--vectors", type=int, metavar="N", help="use at most N test samples")
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder for conversions (default: QC_CACHE)"
    )
    add_strict(parser)
    add_rig_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run all steps of all jobs; print each, the table, and what no limit judges."""
    from pytest_quantcheck.workflows.model_zoo.load import gates, grouped, label, load_configurations
    from pytest_quantcheck.workflows.model_zoo.tracking import track

    if args.vectors is not None and args.vectors < 1:
        raise UsageError(f"--vectors {args.vectors} is out of range; allowed: a whole number from 1")
    file, overrides = _file(args)
    configs = load_configurations(
        file,
        overrides,
        multirun=args.multirun,
        now=datetime.now(),
        working=Path.cwd(),
        name=str(file),
    )
    _check_steps(args.step, configs)
    rows: list[Row] = []
    for config in configs:
        made = _run_job(config, args, label(config))
        rows += made
        print(f"{config.composed.run_dir}: everything that was written")
        if line := track(config, made):
            print(f"{config.composed.name}: {line}")
    code = conclude(rows, strict=args.strict)
    told = [(config.composed.name, gates(config)) for config in configs]
    for line in grouped([(name, text) for name, text in told if text]):
        print(line)
    return code


def _file(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """The configuration and the overrides among the words."""
    words = [*filter(None, [args.config]), *args.overrides]
    files = [word for word in words if "=" not in word and not word.startswith("~")]
    overrides = [word for word in words if word not in files]
    if len(files) > 1:
        raise UsageError(f"{files[1]} is no key=value, and {files[0]} is the configuration already")
    if files and (args.config_path or args.config_name):
        raise UsageError(f"{files[0]} and --config-path or --config-name name two configurations; give one")
    name = files[0] if files else args.config_name or USUAL
    file = (args.config_path or Path()) / name
    if not file.suffix:
        file = file.with_name(f"{file.name}.yaml")
    if not file.is_file():
        raise UsageError(f"there is no configuration {file}; give one, or --config-path and --config-name")
    return file, overrides


def _check_steps(wanted: list[str], configs: tuple[Configuration, ...]) -> None:
    known = list(dict.fromkeys(step for config in configs for step in config.steps))
    for name in wanted:
        if name not in known:
            raise UsageError(f"--step {name}: no such step; allowed: {', '.join(known)}")


def _run_job(config: Configuration, args: argparse.Namespace, label: str) -> list[Row]:
    from pytest_quantcheck.workflows.model_zoo.job import Job

    rows: list[Row] = []
    with ExitStack() as stack:
        tools = _Tools(args, stack)
        job = Job(config, tools)
        for step in config.steps:
            if args.step and step not in args.step:
                continue
            print(f"{label + ': ' if label else ''}{step} ...", file=sys.stderr, flush=True)
            made = _run_step(job, step, tools)
            named = [replace(row, test=f"{step}[{label}]" if label else step, case=step) for row in made]
            job.folder.results(step, named)
            rows += named
    return rows


def _run_step(job: object, step: str, tools: _Tools) -> list[Row]:
    """The rows of a step; where it could have none, one that says why."""
    from pytest_quantcheck.workflows.model_zoo.job import Job
    from pytest_quantcheck.workflows.model_zoo.steps import run as steps

    assert isinstance(job, Job)
    tools.rows = []
    try:
        steps.prepare(job, step)
        steps.run(job, step)
    except AssertionError as error:
        if not tools.rows:
            tools.rows = [Row(outcome="regression", reason=str(error))]
    except (QuantcheckError, OSError) as error:
        fault = error.kind if isinstance(error, RigFault) else type(error).__name__
        outcome = "rig_fault" if isinstance(error, RigFault) else "error"
        tools.rows.append(Row(outcome=outcome, fault=fault, reason=str(error)))
    return tools.rows


@dataclass
class _Tools:
    """What steps need, on a command line."""

    args: argparse.Namespace
    stack: ExitStack
    rows: list[Row] = field(default_factory=list)

    @property
    def vectors(self) -> int | None:
        wanted: int | None = self.args.vectors
        return wanted

    @cached_property
    def cache(self) -> Cache:
        from pytest_quantcheck.cache import Cache

        return Cache(self.args.cache)

    @cached_property
    def reference(self) -> Runner:
        from pytest_quantcheck.runners.exact import exact_runner
        from pytest_quantcheck.runners.remembering import Remembering

        return Remembering(exact_runner())

    @cached_property
    def _float_outputs(self) -> FloatOutputs:
        from pytest_quantcheck.runners.float_outputs import FloatOutputs

        return FloatOutputs()

    def gate(self, data: Dataset | None, budget: Budget | None, device: Runner | None) -> Gate:
        from pytest_quantcheck.verdict.gate import Gate
        from pytest_quantcheck.verdict.sanity.check import Sanity

        return Gate(
            reference=self.reference,
            device=device,
            data=data,
            float_outputs=self._float_outputs,
            budget=budget,
            sanity=Sanity(self._float_outputs),
            strict=self.args.strict,
            record=lambda verdict: self.rows.append(verdict.row()),
        )

    def record(self, row: Row) -> None:
        self.rows.append(row)

    @cached_property
    def _boards(self) -> dict[str, AnyBoard]:
        return {}

    def board(self, wanted: str) -> AnyBoard:
        from pytest_quantcheck.rig.deadlines import Deadlines
        from pytest_quantcheck.rig.faults import FaultLedger
        from pytest_quantcheck.runners.boards import board_runner

        if wanted not in self._boards:
            runner = board_runner(
                read_inventory(self.args).choice(wanted),
                log_dir=self.args.log_dir,
                who=purpose(self.args),
                lease_timeout=self.args.lease_timeout,
                ledger=FaultLedger(retries=self.args.retries),
                storage="flash" if self.args.storage == "auto" else self.args.storage,
                deadlines=Deadlines.of_runs(self.args.run_timeout),
                progress=self.stack.enter_context(progress()),
            )
            self.stack.callback(runner.session.close)
            self._boards[wanted] = runner
        return self._boards[wanted]
