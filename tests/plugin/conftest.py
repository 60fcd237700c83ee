"""Helpers of the plug-in's tests: each runs pytest; what only collects does so in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

# Loaded before any run in this process: what a run imports is forgotten after it, and its classes come twice.
import pytest_quantcheck.plugin.collection
import pytest_quantcheck.plugin.yaml_file
import pytest_quantcheck.quantizers.config
import pytest_quantcheck.quantizers.onnx.options
import pytest_quantcheck.quantizers.tflite.schemes
import pytest_quantcheck.rig.inventory
import pytest_quantcheck.verdict.budget  # noqa: F401

BOARDS = """
[[board]]
name = "desk-1"
family = "posix"
target = "alpha"
port = "/dev/null"
tags = ["slow"]

[[board]]
name = "desk-2"
family = "posix"
target = "alpha"
port = "/dev/zero"

[[board]]
name = "desk-3"
family = "posix"
target = "beta"
port = "/dev/full"
tags = ["slow", "big"]
"""


@pytest.fixture
def collect(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """``collect(source, *options)``: collect only, with no rig unless one is given."""
    monkeypatch.delenv("QC_RIG", raising=False)

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--collect-only", "-q", *options)

    return run


@pytest.fixture
def lab(pytester: pytest.Pytester) -> Path:
    """A ``boards.toml`` in rootdir: two boards of target alpha, one of beta. None is ever opened."""
    path = pytester.path / "boards.toml"
    path.write_text(BOARDS)
    return path
