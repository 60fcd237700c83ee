"""A configuration file as jobs, each checked: what pytest collects and what ``quantcheck chain`` runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pytest_quantcheck.wording import shortened
from pytest_quantcheck.workflows.model_zoo import modes
from pytest_quantcheck.workflows.model_zoo.composition import compose
from pytest_quantcheck.workflows.model_zoo.configuration import Configuration, read_configuration

SHOWN = 5  # names of files in one line


def load_configurations(
    file: Path,
    overrides: Sequence[str] = (),
    *,
    multirun: bool = False,
    now: datetime,
    working: Path,
    name: str = "",
) -> tuple[Configuration, ...]:
    """The jobs of ``file`` with ``overrides`` (``key=value``), in Hydra's order.

    ``now`` is the time of the run, ``working`` the folder that relative paths start from before the file's
    own; ``name`` is what messages call the file. Raises ``UsageError``.
    """
    composed = compose(file, overrides, multirun=multirun, now=now, name=name)
    return tuple(read_configuration(each, working) for each in composed)


def with_folder(config: Configuration, run_dir: str) -> Configuration:
    """The same job in another folder: two files of one run must not share theirs."""
    return replace(config, composed=replace(config.composed, run_dir=run_dir))


def label(config: Configuration) -> str:
    """What tells a job of a sweep apart: its overrides; empty where there is one job only."""
    if config.composed.number is None:
        return ""
    return ",".join(text.lstrip("+") for text in config.composed.overrides)


def grouped(told: Sequence[tuple[str, str]]) -> list[str]:
    """``a.yaml, b.yaml: text``: what several files have in common, once. ``told`` are files with texts."""
    files: dict[str, list[str]] = {}
    for name, text in dict.fromkeys(told):
        files.setdefault(text, []).append(name)
    return [f"{shortened(names, SHOWN)}: {text}" for text, names in files.items()]


def gates(config: Configuration) -> str:
    """What no limit judges; empty where accuracy has its limit."""
    judged = {modes.EVALUATE, modes.EVALUATE_QUANTIZED, modes.DEPLOY} & set(config.steps)
    wanted = config.quantcheck
    if wanted.max_drop is None:
        return "no accuracy gate is set; add a section quantcheck with max_drop, such as 0.01"
    if not judged:
        return f"quantcheck.max_drop is not judged: {config.mode} measures no accuracy"
    if wanted.budget and not {modes.BENCHMARK, modes.DEPLOY} & set(config.steps):
        return f"quantcheck.budget is not judged: {config.mode} neither benchmarks nor deploys"
    return ""
