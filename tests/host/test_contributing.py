"""The checklists of CONTRIBUTING.md name files that exist, and for most additions at most four of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/\S*|\w[\w.-]*\.(?:py|toml|md|c|h|json|csv)")
QUOTED = re.findall(r"`([^`]+)`", TEXT)
PATHS = sorted({quoted for quoted in QUOTED if PATH.fullmatch(quoted)})
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
# Named without its folder: beside the file before it, in the sentence that names both.
BESIDE = {"qc_elementwise.c": "firmware/engine/kernels", "tflite_writer.py": "pytest_quantcheck/formats"}
MADE_BY_EACH_PORT = "registers.csv"


def test_paths_are_found_and_a_wrong_one_would_be() -> None:
    assert {"pytest_quantcheck/graph/model.py", "pyproject.toml", "rigs/posix/"} <= set(PATHS)
    assert PATH.fullmatch("pytest_quantcheck/quantizers/audit.py")
    assert not (ROOT / "pytest_quantcheck/quantizers/audit.py").exists()


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path: str) -> None:
    if path == MADE_BY_EACH_PORT:
        found = list((ROOT / "firmware" / "ports").glob(f"*/{path}"))
    else:
        found = list((ROOT / BESIDE.get(path, "")).glob(path))
    assert found, f"CONTRIBUTING.md names {path}, which is not there"


@pytest.mark.parametrize("what", ["chip", "runner", "form of report", "task", "quantizer", "metric"])
def test_an_addition_has_at_most_four_steps(what: str) -> None:
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", SECTIONS[f"Add a {what}"], re.MULTILINE)]
    assert steps
    assert max(steps) <= 4
