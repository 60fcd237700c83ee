"""pytest plug-in of a run against a mutant: the engine compiles fast, Hypothesis repeats itself.

What fails here fails in the ordinary suite too, only with shrinking, sanitizers and other examples.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

import pytest_quantcheck

FIRST = "QC_MUTANTS_FIRST"
"""Environment variable: words; tests with them in their names run first."""
SANITIZE = "QC_MUTANTS_SANITIZE"
"""Environment variable: set, the engine keeps the flags of the ordinary suite."""
FAST_FLAGS = ["-std=c11", "-O1"]

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


def pytest_collection(session: pytest.Session) -> None:
    settings.load_profile("mutants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests most likely to notice come first, which is a matter of speed only."""
    words = os.environ.get(FIRST, "").split()
    items.sort(key=lambda item: -sum(word in _plain(item.nodeid) for word in words))
    if SANITIZE not in os.environ:
        for plugin in config.pluginmanager.get_plugins():
            if hasattr(plugin, "ENGINE") and isinstance(getattr(plugin, "FLAGS", None), list):
                plugin.FLAGS[:] = FAST_FLAGS


def _plain(nodeid: str) -> str:
    return re.sub(r"[^a-z0-9]", "", nodeid.lower())


_SERVES = {
    "qc_columns": "fullyconnected conv2d",
    "qc_simd": "packed",
    "qc_wide": "int16",
    "qc_broadcast": "add mul",
    "qc_quantize_f32": "floatedge",
    "qc_dequantize_f32": "floatedge",
    "qc_softmax_s16": "softmaxint16",
    "tables": "int16",
}


def words_of(file: str) -> str:
    """What names of tests may have in common with a source file: "averagepool average pool"."""
    stem = file.rsplit("/", 1)[-1].split(".")[0]
    parts = [part for part in stem.split("_") if part not in {"qc", "s8", "s16", "f32"}]
    return " ".join([_SERVES.get(stem, ""), "".join(parts), *parts])
