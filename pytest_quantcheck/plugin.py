"""The pytest plug-in's hooks: words and wiring only.

Every pytest run on the machine imports this module, so it and what it imports at the top cost the
standard library and pytest, nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_quantcheck import collection, options, outcome
from pytest_quantcheck.fixtures import (
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

MARKERS = (
    "quant(model=, data=, artefact=, input_type=, output_type=, granularity=, calibration=, quantizer=, "
    "seed=, configs=): quantize a model in every combination; lists multiply, the nearest marker wins "
    "key by key",
    "host: runs on this machine alone (given to tests that use quantcheck's fixtures, but not board)",
    "hw(family=, target=, tags=, io='core'|'all'): runs on boards (given to tests that use board)",
    "budget(latency_ms=, cycles=, instructions=, arena_kib=, flash_kib=, stack_kib=, firmware_kib=): upper "
    "limits that gate.check judges; a number, or {target: number}",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    settings = options.read_settings(config)
    config.stash[options.SETTINGS] = settings
    config.stash[outcome.RESULTS] = results = outcome.Results()
    config.pluginmanager.register(results, "quantcheck-results")
    options.share_with_workers(config, settings)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if collection.is_ours(metafunc.fixturenames):
        collection.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    collection.mark(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    collection.select_and_order(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, Any, Any]:
    result = yield
    collection.raise_workers_usage_errors(session.config)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    result = yield
    release_board(item.config, unless=nextitem)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    outcome.check_budget_was_used(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome.before_report(item, call)
    report = yield
    return outcome.finish_report(item, call, report)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    collection.receive(node.config, getattr(node, "workeroutput", None) or {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcome.summarize(terminalreporter, config)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    release_board(session.config, unless=None)
    outcome.write_reports(session.config)
    collection.send(session.config)
    yield
