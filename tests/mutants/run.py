"""Runs the real tests against mutants, each in a copy of the tree, and says which test noticed."""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.mutants import plugin
from tests.mutants.edit import Edit, Mutant

TREE = (
    "pytest_quantcheck",
    "rigs",
    "firmware",
    "conformance_models",
    "tests",
    "docs",
    "conftest.py",
    "pyproject.toml",
)
IMAGE_COMPILER = "pytest_quantcheck/image/"
ENGINE = "tests/firmware/engine/"
# likely catchers first
C_TESTS = (
    ENGINE + "test_operators.py",
    ENGINE + "test_network.py",
    ENGINE + "test_rare_values.py",
    ENGINE + "test_zero_points.py",
    ENGINE + "test_paired_weights.py",
    ENGINE + "test_depthwise.py",
    ENGINE + "test_staged.py",
    ENGINE + "test_ratio_rule.py",
    ENGINE + "test_properties.py",
    ENGINE + "test_differential.py",
)
# again for mutants that give the right numbers, with sanitizers
SANITIZED_TESTS = (*C_TESTS[:4], ENGINE + "test_corrupt_images.py")
PYTHON_TESTS = (
    "tests/host/numerics",
    "tests/host/test_properties.py",
    "tests/host/graph/test_execute.py",
    "tests/host/runners/test_prepare.py",
)
GRAPH_TESTS = ("tests/host/graph/test_folding.py", *PYTHON_TESTS[2:], ENGINE + "test_differential.py")
POWERS_OF_TWO = "pytest_quantcheck/numerics/power_of_two.py"
LIMITS = "pytest_quantcheck/numerics/limits.py"
# compared with the engine's; what the importers refuse
LIMIT_TESTS = (
    "tests/firmware/test_format.py",
    "tests/host/graph/test_onnx.py",
    "tests/host/graph/test_tflite.py",
    *PYTHON_TESTS,
    ENGINE + "test_differential.py",
)
PATIENCE = 900.0  # seconds for the tests without a mutant
ATTEMPTS = 3  # to have a crash twice
OPTIONS = ("-x", "-q", "--tb=short", "--no-header", "-p", "no:cacheprovider")
RECORD = "record.json"
PLUGINS = ("pytest_quantcheck.plugin.hooks", "_hypothesis_pytestplugin", "tests.mutants.plugin")
VARIANTS = ((), ("-DQC_SIMULATE_DSP",))

T = TypeVar("T")


class BrokenSuiteError(RuntimeError):
    """The tests do not pass without a mutant, or could not run: nothing can be said about mutants."""


@dataclass(frozen=True)
class Failure:
    """The first test that failed, and how, in the words of ``plugin``; a run that died names no test."""

    test: str
    how: str


@dataclass(frozen=True)
class Result:
    """What became of a mutant. ``failure`` is None for a survivor."""

    mutant: Mutant
    failure: Failure | None
    seconds: float = 0.0


class Workshop:
    """Copies of a tree, one for each mutant under work; the tree itself is never touched."""

    def __init__(self, root: Path, folder: Path, jobs: int) -> None:
        self._jobs = jobs
        self._free: queue.Queue[Path] = queue.Queue()
        first = folder / "0"
        ignore = shutil.ignore_patterns("__pycache__", "build", "*.qcm")
        for name in TREE:
            if (root / name).is_dir():
                shutil.copytree(root / name, first / name, ignore=ignore)
            else:
                shutil.copy2(root / name, first / name)
        # by content: a mutant may have the size and the second of the file it replaces
        compileall.compile_dir(
            first, quiet=2, workers=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
        )
        self._free.put(first)
        for i in range(1, jobs):
            shutil.copytree(first, folder / str(i))
            self._free.put(folder / str(i))
        self._pristine = folder / "pristine"
        shutil.copytree(first / "firmware", self._pristine / "firmware")
        self._objects: dict[Path, list[bytes] | None] = {}
        self._timeout = PATIENCE
        self._seconds = folder / "seconds.json"
        self._durations: dict[str, float] = {}  # of the tests, without a mutant

    def prove_suite(self, mutants: Iterable[Mutant]) -> None:
        """Raises ``BrokenSuiteError`` unless the tests for these mutants pass on an unchanged copy.

        How long they took decides which run first, and when a run with a mutant counts as endless.
        """
        unchanged = {_tests_of(m): replace(m, edit=Edit(0, 0, "")) for m in mutants}
        results = list(self.run(unchanged.values()))
        for result in results:
            if result.failure:
                raise BrokenSuiteError(
                    f"{result.failure.test} fails without any mutant; `make test` comes first"
                )
        self._timeout = 30 + 2 * max(result.seconds for result in results)
        self._seconds.write_text(json.dumps(self._durations))

    def viable(self, mutants: Iterable[Mutant], count: int) -> Iterator[Mutant]:
        """The first ``count`` mutants that compile, and to another program than the original."""
        ranked = list(mutants)
        found = 0
        for start in range(0, len(ranked), 4 * self._jobs):
            batch = ranked[start : start + 4 * self._jobs]
            for mutant, differs in zip(batch, self._each(self._is_viable, batch), strict=True):
                if differs and found < count:
                    found += 1
                    yield mutant
            if found == count:
                return

    def run(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        """The result of every mutant, as they come."""
        return self._each(self._try, mutants, as_completed)

    def _each(
        self,
        function: Callable[[Mutant], T],
        mutants: Iterable[Mutant],
        order: Callable[[list[Future[T]]], Iterable[Future[T]]] = iter,
    ) -> Iterator[T]:
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                for future in order([pool.submit(function, mutant) for mutant in mutants]):
                    yield future.result()
            except BaseException:  # Ctrl-C ends what runs, too
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(_running):
                    _kill(process)
                raise

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    @contextmanager
    def _applied(self, mutant: Mutant) -> Iterator[Path]:
        with self._copy() as copy:
            path = copy / mutant.file
            original = path.read_text()
            path.write_text(mutant.edit.apply(original))
            try:
                yield copy
            finally:
                path.write_text(original)

    def _try(self, mutant: Mutant) -> Result:
        started = time.monotonic()
        with self._applied(mutant) as copy:
            tests = _tests_of(mutant)
            failure = self._sure_failure(copy, mutant, tests)
            if tests == C_TESTS and not failure:
                failure = self._sure_failure(copy, mutant, SANITIZED_TESTS, sanitize=True)
        return Result(mutant, failure, time.monotonic() - started)

    def _sure_failure(
        self, copy: Path, mutant: Mutant, tests: tuple[str, ...], *, sanitize: bool = False
    ) -> Failure | None:
        """A crash counts when the same test alone shows it again: a busy machine can kill a process too."""
        for _ in range(ATTEMPTS):
            failure = self._first_failure(copy, mutant, tests, sanitize=sanitize)
            if not failure or failure.how == plugin.NUMBER:
                return failure
            again = (failure.test,) if failure.test else tests
            if confirmed := self._first_failure(copy, mutant, again, sanitize=sanitize):
                return confirmed
        return None

    def _first_failure(
        self, copy: Path, mutant: Mutant, tests: tuple[str, ...], *, sanitize: bool = False
    ) -> Failure | None:
        """None when all tests pass in this copy."""
        scratch, record = copy / "tmp", copy / RECORD
        environment = {
            **os.environ,
            plugin.FIRST: plugin.words_of(mutant.file),
            plugin.RECORD: str(record),
            **({plugin.SECONDS: str(self._seconds)} if self._seconds.exists() else {}),
            **({plugin.SANITIZE: "1"} if sanitize else {}),
            "PYTHONPATH": str(copy),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "OMP_NUM_THREADS": "1",
        }
        plugins = [word for name in PLUGINS for word in ("-p", name)]
        command = [sys.executable, "-m", "pytest", *OPTIONS, *plugins, f"--basetemp={scratch}/pytest", *tests]
        scratch.mkdir(exist_ok=True)
        record.unlink(missing_ok=True)
        ended = _output(command, copy, environment, self._timeout)
        if not self._seconds.exists() and record.exists():
            self._durations.update(json.loads(record.read_text())["seconds"])
        return _read(*ended, record)

    def _is_viable(self, mutant: Mutant) -> bool:
        """For a header the first kernel that becomes another one decides."""
        if not _is_c(mutant):
            return True
        with self._applied(mutant) as copy:
            for source in _sources(copy, mutant.file):
                objects = _objects(copy, source)
                if objects is None:
                    return False
                if objects != self._original_objects(source.relative_to(copy)):
                    return True
        return False

    def _original_objects(self, source: Path) -> list[bytes] | None:
        if source not in self._objects:
            self._objects[source] = _objects(self._pristine, self._pristine / source)
        return self._objects[source]


def _is_c(mutant: Mutant) -> bool:
    return mutant.file.startswith("firmware/")


def _tests_of(mutant: Mutant) -> tuple[str, ...]:
    """What the engine computes comes from its kernels and from the image made for it."""
    if _is_c(mutant) or mutant.file.startswith(IMAGE_COMPILER):
        return C_TESTS
    if mutant.file == LIMITS:
        return LIMIT_TESTS
    if mutant.file == POWERS_OF_TWO:
        return (*PYTHON_TESTS, ENGINE + "test_ratio_rule.py")
    return GRAPH_TESTS if "/graph/" in mutant.file else PYTHON_TESTS


def _sources(copy: Path, file: str) -> list[Path]:
    """What a file is compiled with: itself, or for a header all kernels, those that name it first."""
    path = copy / file
    if path.suffix == ".c":
        return [path]
    sources = sorted((copy / "firmware" / "engine").rglob("*.c"))
    return sorted(sources, key=lambda source: path.name not in source.read_text())


def _objects(copy: Path, source: Path) -> list[bytes] | None:
    """The object code of a source in both variants; None where it does not compile."""
    include = [f"-I{copy}/firmware/engine", f"-I{copy}/firmware/include"]
    objects = []
    for variant in VARIANTS:
        command = ["cc", "-std=c11", "-O2", "-w", *variant, *include, "-S", source, "-o", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            return None
        objects.append(done.stdout)
    return objects


def _output(
    command: list[str], folder: Path, environment: dict[str, str], timeout: float
) -> tuple[int | None, str]:
    """Exit status and output; status None when the time was up. Ends what the tests have started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _running.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        _kill(process)
        process.wait()
        _running.discard(process)


_running: set[subprocess.Popen[str]] = set()


def _kill(process: subprocess.Popen[str]) -> None:
    """With its children, which share its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(status: int | None, output: str, record: Path) -> Failure | None:
    if status == 0:
        return None
    if failed := json.loads(record.read_text())["failed"] if record.exists() else None:
        return Failure(**failed)
    if status is None:
        return Failure("", plugin.ENDLESS)
    if status < 0:
        return Failure("", plugin.CRASH)
    raise BrokenSuiteError(f"pytest ended with {status}:\n{output[-3000:]}")
