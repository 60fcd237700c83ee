"""A file imports only from its own floor's folder or from lower floors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PACKAGE = "pytest_quantcheck"
FLOORS = {  # folder or module inside the package -> floor
    "errors": 0,
    "entry_points": 0,
    "files": 0,
    "wording": 0,
    "numerics": 0,
    "graph": 1,
    "rig": 1,
    "models": 2,
    "data": 2,
    "quantizers": 2,
    "runners": 3,
    "verdict": 4,
    "report": 5,
    "workflows": 6,
}
TOP = 7  # plug-in, fixtures, commands, demo: everything that is not listed above
TOGETHER = ({"models", "data", "quantizers"},)  # folders that are one floor's one house
FORBIDDEN = {  # what a part knows nothing of
    "numerics": {"tensorflow", "serial", "pytest"},
    "graph": {"tensorflow", "pytest"},
    "rig": {"numpy", "tensorflow", "pytest"},
    "verdict": {"tensorflow", "serial", "pytest"},
    "report": {"tensorflow", "serial", "pytest"},
    "workflows": {"pytest"},
}
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))


def imports(file: Path) -> list[str]:
    """All modules a file imports, also inside functions and under TYPE_CHECKING."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return found


def part(module: str) -> str:
    """The folder or module inside the package: ``verdict`` for ``pytest_quantcheck.verdict.gate``."""
    words = module.split(".")
    return words[1] if len(words) > 1 else ""


def allowed(importer: str, imported: str) -> bool:
    if not imported or imported == importer or imported == "__version__":
        return True
    if any({importer, imported} <= house for house in TOGETHER):
        return True
    above, below = FLOORS.get(importer, TOP), FLOORS.get(imported, TOP)
    return above > below or (above == below == TOP) or (above == below == 0)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / PACKAGE)))
def test_imports_go_downwards(file: Path) -> None:
    own = part(".".join(file.relative_to(ROOT).with_suffix("").parts))
    upwards = {
        module
        for module in imports(file)
        if module.split(".")[0] == PACKAGE and not allowed(own, part(module))
    }
    assert not upwards


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / PACKAGE)))
def test_parts_know_nothing_of_what_is_none_of_their_business(file: Path) -> None:
    own = part(".".join(file.relative_to(ROOT).with_suffix("").parts))
    roots = {module.split(".")[0] for module in imports(file)}
    assert not roots & (FORBIDDEN.get(own, set()) | {"rigs"})


def test_plug_ins_do_not_know_each_other() -> None:
    families = [folder.name for folder in (ROOT / "rigs").iterdir() if (folder / "__init__.py").is_file()]
    assert len(families) > 1
    for family in families:
        for file in (ROOT / "rigs" / family).rglob("*.py"):
            others = {f"rigs.{name}" for name in families if name != family}
            assert not {m for m in imports(file) if any(m == o or m.startswith(o + ".") for o in others)}


def test_the_rule_finds_an_upward_import() -> None:
    assert not allowed("rig", "verdict")
    assert not allowed("graph", "rig")
    assert not allowed("numerics", "graph")
    assert allowed("verdict", "runners")
