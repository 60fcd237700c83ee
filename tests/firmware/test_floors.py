"""The C units: each includes downwards only, in no circle, and fits a screen.

A unit is a header and the source of the same name. What a header declares, its own source defines; the
exceptions are contracts, which several implement or which ``include/`` lays down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

FIRMWARE = Path(__file__).parents[2] / "firmware"
FLOORS = {  # the units of a floor include those of lower floors only
    "engine": (
        {"qc_image", "qc_simd", "qc_float32"},
        {"qc_layout", "qc_sections", "qc_ratio_rule", "qc_broadcast", "qc_move", "qc_sigmoid"},
        {"qc_float_rule"},
        {"qc_fixed_point", "qc_kernels", "qc_check_rules"},
        {"qc_columns", "qc_wide"},
        {"kernels"},
        {"qc_check_products", "qc_check_elementwise", "qc_check_reduce", "qc_check_move", "qc_check_lstm"},
        {"qc_check", "qc_work"},
        {"qc_open"},
        {"qc_engine"},
    ),
    "harness": (
        {"qc_bytes", "qc_crc32", "qc_cobs", "qc_messages", "qc_build", "qc_text"},
        {"qc_mem", "qc_link", "qc_store", "qc_say"},
        {"qc_context"},
        {"qc_retained", "qc_busy", "qc_model", "qc_scores"},
        {"qc_run", "qc_crash"},
        {"qc_requests", "qc_mlperf"},
        {"qc_harness"},
    ),
}
CONTRACTS = {  # header -> who defines what it declares
    "qc_kernels": "engine/kernels",
    "qc_port": "ports",
    "qc_runtime": "engine",
}
LONGEST_MODULE, LONGEST_FUNCTION = 500, 60
FILES = sorted(path for path in FIRMWARE.rglob("*.[ch]") if "build" not in path.parts)
SOURCES = [path for path in FILES if path.suffix == ".c"]
DECLARATION = re.compile(r"^[a-z][\w *]*?(\w+)\((?:[^;{}]|\n)*?\);$", re.MULTILINE)
DEFINITION = re.compile(
    r"^(?:static )?(?:inline )?[a-zA-Z_][\w *()]*?(\w+)\((?:[^;{}]|\n)*?\) \{$", re.MULTILINE
)


def bare(path: Path) -> str:
    """The text without comments, which may name anything; line numbers stay."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


def includes(path: Path) -> set[str]:
    """The units whose headers a file includes, without its own; the compiler's headers are none."""
    return set(re.findall(r'#include "(?:.*/)?(\w+)\.h"', bare(path))) - {path.stem}


def units(part: str) -> dict[str, set[str]]:
    """The units below a folder, and those of the same folder that each of them includes."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        if path.is_relative_to(FIRMWARE / part):
            found.setdefault(path.stem, set()).update(includes(path))
    return {unit: others & found.keys() for unit, others in found.items()}


def floor_of(unit: str, part: str) -> int:
    """The floor that lists the unit; a kernel without a header of its own is on the kernels' floor."""
    name = unit if any(unit in floor for floor in FLOORS[part]) else "kernels"
    if name == "kernels":
        assert (FIRMWARE / part / name / f"{unit}.c").is_file(), f"{unit} is on no floor of {part}"
    return next(i for i, floor in enumerate(FLOORS[part]) if name in floor)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function that a file defines."""
    text = bare(path)
    for found in DEFINITION.finditer(text):
        end = text.index("\n}", found.end())
        yield found[1], text.count("\n", found.start(), end) + 2


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of the graph, or nothing."""
    done: set[str] = set()

    def walk(unit: str, path: list[str]) -> list[str]:
        if unit in path:
            return [*path[path.index(unit) :], unit]
        if unit in done:
            return []
        for other in sorted(graph.get(unit, ())):
            if found := walk(other, [*path, unit]):
                return found
        done.add(unit)
        return []

    return next((found for unit in sorted(graph) if (found := walk(unit, []))), [])


def calls(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Which unit uses functions that which other unit defines, whatever the headers say."""
    home = {name: path.stem for path in paths for name, _ in functions(path) if name.startswith("qc_")}
    graph: dict[str, set[str]] = {}
    for path in paths:
        text = DECLARATION.sub("", bare(path))
        used = {home[name] for name in re.findall(r"\bqc_\w+", text) if name in home}
        graph.setdefault(path.stem, set()).update(used - {path.stem})
    return graph


@pytest.mark.parametrize("part", FLOORS)
def test_units_include_downwards_only(part: str) -> None:
    for unit, others in units(part).items():
        upwards = {other for other in others if floor_of(other, part) >= floor_of(unit, part)}
        assert not upwards, f"{unit} includes {upwards}"


@pytest.mark.parametrize("part", FLOORS)
def test_every_unit_on_a_floor_is_there(part: str) -> None:
    assert set().union(*FLOORS[part]) - {"kernels"} <= units(part).keys()


@pytest.mark.parametrize("part", FLOORS)
def test_no_units_include_or_call_each_other_in_a_circle(part: str) -> None:
    inside = [path for path in FILES if path.is_relative_to(FIRMWARE / part)]
    assert circle(units(part)) == []
    assert circle(calls(inside)) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_the_engine_knows_nothing_of_the_harness() -> None:
    harness = {path.stem for path in (FIRMWARE / "harness").glob("*.h")} | {"qc_port"}
    for path in FILES:
        if path.is_relative_to(FIRMWARE / "engine"):
            assert not includes(path) & harness, path.name


@pytest.mark.parametrize("port", sorted(path.name for path in (FIRMWARE / "ports").iterdir()))
def test_only_a_port_includes_its_headers(port: str) -> None:
    headers = {path.stem for path in (FIRMWARE / "ports" / port).glob("*.h")}
    for path in FILES:
        if not path.is_relative_to(FIRMWARE / "ports" / port):
            assert not includes(path) & headers, path.name


def test_a_header_declares_what_its_own_source_defines() -> None:
    for header in (path for path in FILES if path.suffix == ".h"):
        declared = {name for name in DECLARATION.findall(bare(header)) if name.startswith("qc_")}
        if header.stem in CONTRACTS:
            homes = [path for path in SOURCES if path.is_relative_to(FIRMWARE / CONTRACTS[header.stem])]
        else:
            homes = [path for path in SOURCES if path.stem == header.stem]
        defined = {name for path in homes for name, _ in functions(path)}
        assert {name for name in declared - defined if not name.startswith("qc_harness_")} == set(), (
            header.name
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FIRMWARE).as_posix())
def test_a_module_and_its_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    assert {name: length for name, length in functions(path) if length > LONGEST_FUNCTION} == {}


def test_functions_are_found_and_measured() -> None:
    found = dict(functions(FIRMWARE / "engine" / "qc_engine.c"))
    assert {"execute", "qc_harness_runtime", "load"} <= found.keys()
    assert 40 < found["execute"] <= LONGEST_FUNCTION
    assert found["engine_of"] == 3
