"""The pytest plug-in's hooks: words and wiring only.

Every pytest run on the machine imports this module, so it and what it imports at the top cost the
standard library and pytest, nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantcheck.plugin import options
from pytest_quantcheck.plugin.fixtures import (
    board,
    float_model,
    gate,
    quant_board,
    quant_case,
    quant_config,
    quant_data,
    quantcheck_session,
    quantized_model,
    reference,
    release_board,
    test_vectors,
)
from pytest_quantcheck.plugin.items import function_key, is_ours, runs_tflite
from pytest_quantcheck.plugin.notes import REPORT_KEY, ZooJob, run_notes, start_item_notes

__all__ = [
    "board",
    "float_model",
    "gate",
    "quant_board",
    "quant_case",
    "quant_config",
    "quant_data",
    "quantcheck_session",
    "quantized_model",
    "reference",
    "test_vectors",
]

WORKER_KEY = "quantcheck"
STARTED_KEY = "quantcheck_started"
MARKERS = (
    "quant(model=, data=, artefact=, input_type=, output_type=, granularity=, calibration=, quantizer=, "
    "scheme=, options=, optimize=, seed=, configs=, strict=): quantize a model in every combination; lists "
    "multiply, the nearest marker wins key by key; impossible combinations are left out, or an error when "
    "strict",
    "host: runs on this machine alone (given to tests that use quantcheck's fixtures, but not board)",
    "hw(family=, target=, tags=, io='core'|'all'): runs on boards (given to tests that use board)",
    "budget(latency_ms=, cycles=, instructions=, arena_kib=, flash_kib=, stack_kib=, firmware_kib=): upper "
    "limits that gate.check judges; a number, or {target: number}",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    run_notes(config).started = getattr(config, "workerinput", {}).get(STARTED_KEY, time.time())
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if options.given(config):
        from pytest_quantcheck.plugin.settings import share_with_workers

        share_with_workers(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    wanted = parent.config.getini("qc_yaml_files")
    if not parent.session.isinitpath(file_path) and not any(file_path.match(pattern) for pattern in wanted):
        return None
    from pytest_quantcheck.plugin import yaml_file

    return yaml_file.collect(file_path, parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if is_ours(metafunc):
        from pytest_quantcheck.plugin import collection

        collection.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_ours(item):
        from pytest_quantcheck.plugin import collection

        collection.mark(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    ours = [item for item in items if is_ours(item)]  # before -k, -m and others take some away
    yield
    if ours:
        from pytest_quantcheck.plugin import collection

        collection.check_overrides(config)
        collection.select_and_order(config, items)
        run_notes(config).expected = collection.expected(config, ours)


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        if is_ours(item):
            run_notes(item.config).partial.add(function_key(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, Any, Any]:
    if not session.config.option.collectonly and any(runs_tflite(item) for item in session.items):
        from pytest_quantcheck.runners.exact import warm_up

        warm_up()
    result = yield
    # A worker of xdist cannot end the run as a usage error; the controlling process does it for them.
    if run_notes(session.config).usage_errors and not hasattr(session.config, "workeroutput"):
        raise pytest.UsageError("\n".join(run_notes(session.config).usage_errors))
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    result = yield
    release_board(item.config, unless=nextitem)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if is_ours(item):
        start_item_notes(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    if is_ours(item):
        from pytest_quantcheck.plugin import outcome

        outcome.check_what_was_judged(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if not is_ours(item):
        return (yield)
    from pytest_quantcheck.plugin import outcome

    return outcome.finish_report(item, call, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
    """A report that leaves this process, as a worker's does, carries its rows as plain values."""
    plain = yield
    if plain and plain.get(REPORT_KEY):
        plain[REPORT_KEY] = [row.to_dict() for row in plain[REPORT_KEY]]
    return plain


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[STARTED_KEY] = run_notes(node.config).started


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    said = (getattr(node, "workeroutput", None) or {}).get(WORKER_KEY)
    if said:  # all workers collect the same items, so each says the same
        notes = run_notes(node.config)
        notes.usage_errors, notes.left_out = list(said["usage_errors"]), dict(said["left_out"])
        notes.omitted = Counter(said["omitted"])
        notes.expected = list(said["expected"])
        notes.collected = Counter({(file, name): count for file, name, count in said["collected"]})
        notes.partial = {(file, name) for file, name in said["partial"]}
        notes.zoo_jobs, notes.ungated = (
            [ZooJob(*job) for job in said["zoo_jobs"]],
            [(file, text) for file, text in said["ungated"]],
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    notes = run_notes(config)
    if notes.rows or notes.left_out or notes.omitted or notes.unwritten or notes.hw_skipped:
        from pytest_quantcheck.plugin import summary

        summary.summarize(terminalreporter, config)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    config = session.config
    release_board(config, unless=None)
    output, notes = getattr(config, "workeroutput", None), run_notes(config)
    notes.collected += Counter(function_key(item) for item in session.items if is_ours(item))
    if output is not None:
        output[WORKER_KEY] = {
            "usage_errors": notes.usage_errors,
            "left_out": notes.left_out,
            "omitted": dict(notes.omitted),
            "expected": notes.expected,
            "collected": [(*function, count) for function, count in notes.collected.items()],
            "partial": sorted(notes.partial),
            "zoo_jobs": [list(job) for job in notes.zoo_jobs],
            "ungated": notes.ungated,
        }
    else:
        _conclude(session)
    yield


def _conclude(session: pytest.Session) -> None:
    """What the controlling process does at the end: baselines, reports, and whether all of that is well."""
    config, notes = session.config, run_notes(session.config)
    well = True
    if notes.baselines:
        from pytest_quantcheck.plugin import baselines

        well = baselines.finish(config)
    if notes.zoo_jobs and notes.rows:
        from pytest_quantcheck.plugin import tracking

        tracking.track_jobs(config)
    if config.option.qc_report or notes.rows:
        from pytest_quantcheck.plugin import summary

        summary.write_reports(config)
    if config.option.qc_require_hw and notes.hw_skipped and not notes.hw_ran:
        well = False  # none of the tests that were required ran
    if not well and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
