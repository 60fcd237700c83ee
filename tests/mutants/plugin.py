"""pytest plug-in of a run against a mutant: the engine compiles fast, Hypothesis repeats itself, likely and
cheap tests come first, a test without an end is ended, and what failed is written down.

What fails here fails in the ordinary suite too, only with shrinking, sanitizers and other examples.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

import pytest_quantcheck

FIRST = "QC_MUTANTS_FIRST"
"""Environment variable: words; tests with them in their names run first."""
SECONDS = "QC_MUTANTS_SECONDS"
"""Environment variable: a JSON file with the seconds that every test takes without a mutant, once known."""
RECORD = "QC_MUTANTS_RECORD"
"""Environment variable: the JSON file for what happened."""
SANITIZE = "QC_MUTANTS_SANITIZE"
"""Environment variable: set, the engine is compiled with the sanitizers of the ordinary suite."""
FAST_FLAGS = ["-std=c11", "-O1"]
NUMBER, CRASH, ENDLESS = "wrong number", "crash", "no end"
"""How a mutant was noticed: by an assertion, by an exception, signal or sanitizer, by its time."""

settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def pytest_configure(config: pytest.Config) -> None:
    imported = Path(pytest_quantcheck.__file__)
    if not imported.is_relative_to(config.rootpath):
        raise pytest.UsageError(f"{imported} is not the mutated copy in {config.rootpath}")
    config.pluginmanager.register(_Record(Path(os.environ[RECORD]), _known_seconds()))


def pytest_collection(session: pytest.Session) -> None:
    settings.load_profile("mutants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order is a matter of speed only; the flags leave out warnings, which are no tests."""
    words, seconds = os.environ.get(FIRST, "").split(), _known_seconds()
    items.sort(
        key=lambda item: (
            -sum(word in _plain(item.nodeid) for word in words),
            seconds.get(item.nodeid, 0.0),
        )
    )
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "ENGINE") and isinstance(flags := getattr(plugin, "FLAGS", None), list):
            sanitized = [flag for flag in flags if not flag.startswith("-W")]
            flags[:] = sanitized if SANITIZE in os.environ else FAST_FLAGS


def _known_seconds() -> dict[str, float]:
    path = os.environ.get(SECONDS)
    return json.loads(Path(path).read_text()) if path else {}


class _Record:
    """The first failure and how it was noticed; how long tests took."""

    def __init__(self, path: Path, known_seconds: dict[str, float]) -> None:
        self._path, self._known = path, known_seconds
        self._failed: dict[str, str] | None = None
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        watchdog = threading.Timer(self._patience(item.nodeid), self._end, [item.nodeid])
        watchdog.daemon = True
        watchdog.start()
        try:
            return (yield)
        finally:
            watchdog.cancel()

    def pytest_exception_interact(self, node: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        if self._failed is None and call.excinfo is not None:
            how = NUMBER if _is_asserted(call.excinfo.value) else CRASH
            self._failed = {"test": node.nodeid, "how": how}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._seconds[report.nodeid] = report.duration

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps({"failed": self._failed, "seconds": self._seconds}))

    def _patience(self, test: str) -> float:
        return 10 + 10 * self._known[test] if test in self._known else 300

    def _end(self, test: str) -> None:
        """Takes the process and its children with it: a loop in C listens to nothing else."""
        self._path.write_text(json.dumps({"failed": {"test": test, "how": ENDLESS}, "seconds": {}}))
        os.killpg(0, signal.SIGKILL)


def _is_asserted(error: BaseException) -> bool:
    """Whether a test saw a wrong value, not a crash: of the code, of the engine, under a sanitizer."""
    failure = pytest.fail.Exception  # "DID NOT RAISE"
    return isinstance(error, (AssertionError, failure)) and "the engine died" not in str(error)


def _plain(nodeid: str) -> str:
    return re.sub(r"[^a-z0-9]", "", nodeid.lower())


_SERVES = {
    "qc_columns": "fullyconnected conv2d",
    "qc_simd": "packed",
    "qc_wide": "int16",
    "qc_ratio_rule": "sums means",
    "qc_broadcast": "add mul",
    "qc_quantize_f32": "floatedge",
    "qc_dequantize_f32": "floatedge",
    "qc_softmax_s16": "softmaxint16",
    "tables": "int16",
    "windows": "operatorgives",
}


def words_of(file: str) -> str:
    """What names of tests may have in common with a source file: "averagepool average pool"."""
    stem = file.rsplit("/", 1)[-1].split(".")[0]
    parts = [part for part in stem.split("_") if part not in {"qc", "s8", "s16", "f32"}]
    return " ".join([_SERVES.get(stem, ""), "".join(parts), *parts])
