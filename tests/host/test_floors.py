"""The house: which room a file stands in, what it may import, that there are no circles, and its length."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
PACKAGE, PLUG_INS = "pytest_quantcheck", "rigs"
# From the ground up. A file imports from its own room, from rooms on lower floors, and from rooms that stand
# before its own on the same floor. A room is a folder or a module of the package.
FLOORS = (
    ("version", "wording", "errors", "finding", "files", "loud", "temporary", "entry_points",
     "named_function", "cache"),
    ("numerics", "formats"),
    ("graph", "image", "rig"),
    ("data", "models", "quantizers"),
    ("runners",),
    ("baselines", "verdict"),
    ("report",),
    ("workflows",),
    ("demo", "cli", "plugin"),
    ("__init__",),  # the public names: nothing in the house imports them
)  # fmt: skip
BESIDE = {"strategies": 3, "properties": 3, PLUG_INS: 3}  # these stand on so many floors, and nobody on them
BESIDE_ORDER = ("strategies", "properties")  # the second may use the first
FORBIDDEN = {  # what a room knows nothing of
    "numerics": {"tensorflow", "serial", "pytest"},
    "formats": {"tensorflow", "serial", "pytest"},
    "graph": {"tensorflow", "pytest"},
    "image": {"tensorflow", "pytest"},
    "rig": {"numpy", "tensorflow", "pytest"},
    "verdict": {"tensorflow", "serial", "pytest"},
    "baselines": {"tensorflow", "serial", "pytest"},
    "report": {"tensorflow", "serial", "pytest"},
    "workflows": {"pytest"},
}
LONGEST_MODULE, LONGEST_FUNCTION = 500, 60
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
HOUSE = sorted([*FILES, *(ROOT / PLUG_INS).rglob("*.py")])
MEASURED = sorted([*HOUSE, *(ROOT / "conformance_models").rglob("*.py"), *(ROOT / "firmware").glob("*.py")])


def module_of(file: Path) -> str:
    """``pytest_quantcheck.verdict.gate``; of a package the package."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(file: Path) -> frozenset[str]:
    """All modules a file imports, also inside functions and under TYPE_CHECKING."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {_module(module, alias.name) for alias in node.names}
    return frozenset(found)


def _module(base: str, name: str) -> str:
    """What ``from base import name`` imports: a module where there is one, else the base."""
    path = ROOT.joinpath(*base.split("."), name)
    return f"{base}.{name}" if path.with_suffix(".py").is_file() or path.is_dir() else base


def room(module: str) -> str:
    """The room of a module: ``verdict`` for ``pytest_quantcheck.verdict.gate``, ``rigs`` for all of them."""
    words = module.split(".")
    if words[0] == PLUG_INS:
        return PLUG_INS
    return words[1] if len(words) > 1 else "__init__"


def place(name: str) -> tuple[int, int]:
    """Floor and position of a room. ``KeyError`` for one that is on no floor."""
    for floor, rooms in enumerate(FLOORS):
        if name in rooms:
            return floor, rooms.index(name)
    if name in BESIDE:
        return BESIDE[name], -1
    raise KeyError(f"{name} is on no floor: name it in FLOORS")


def allowed(importer: str, imported: str) -> bool:
    """Whether a file of the room ``importer`` may import from the room ``imported``."""
    if importer == imported:
        return True
    if imported in BESIDE:
        return importer in BESIDE_ORDER and BESIDE_ORDER.index(imported) < BESIDE_ORDER.index(importer)
    if importer in BESIDE:
        return place(imported)[0] < BESIDE[importer]
    return place(imported) < place(importer)


def own(modules: frozenset[str]) -> Iterator[str]:
    return (module for module in modules if module.split(".")[0] in (PACKAGE, PLUG_INS))


@pytest.mark.parametrize("file", HOUSE, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_go_downwards(file: Path) -> None:
    here = room(module_of(file))
    assert not {module for module in own(imports(file)) if not allowed(here, room(module))}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_parts_know_nothing_of_what_is_none_of_their_business(file: Path) -> None:
    roots = {module.split(".")[0] for module in imports(file)}
    assert not roots & (FORBIDDEN.get(room(module_of(file)), set()) | {PLUG_INS})


def test_every_module_stands_on_a_floor() -> None:
    for file in HOUSE:
        place(room(module_of(file)))
    with pytest.raises(KeyError, match="attic is on no floor"):
        place(room("pytest_quantcheck.attic.trunk"))


def circles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module] & graph.keys()):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            at = stack.index(module)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in order:
            visit(module)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circles({module_of(file): imports(file) - {module_of(file)} for file in HOUSE})
    a, b, c = "a", "b", "c"
    assert circles({a: frozenset({b}), b: frozenset({c}), c: frozenset({b})}) == [[b, c]]


def test_plug_ins_do_not_know_each_other() -> None:
    folders = [folder.name for folder in (ROOT / PLUG_INS).iterdir() if (folder / "__init__.py").is_file()]
    families = sorted({*folders} - {"common"})
    assert len(families) > 1
    for family in [*families, "common"]:
        for file in (ROOT / PLUG_INS / family).rglob("*.py"):
            others = {f"rigs.{name}" for name in families if name != family}
            assert not {m for m in imports(file) if any(m == o or m.startswith(o + ".") for o in others)}


def test_the_rule_finds_an_upward_import() -> None:
    assert not allowed("rig", "verdict")
    assert not allowed("graph", "rig")
    assert not allowed("graph", "image")
    assert not allowed("data", "models")
    assert not allowed("numerics", "graph")
    assert not allowed("verdict", "__init__")
    assert not allowed("graph", "strategies")
    assert not allowed("rigs", "runners")
    assert allowed("verdict", "runners")
    assert allowed("models", "data")
    assert allowed("properties", "strategies")


@pytest.mark.parametrize("file", MEASURED, ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_and_functions_are_short_enough_to_be_read(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"
