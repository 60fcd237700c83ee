"""What is told to other build systems: all of it comes from one list, and builds what `make` builds."""

from __future__ import annotations

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from firmware import packages
from pytest_quantcheck.demo.artefacts import demo_models, demo_samples
from pytest_quantcheck.rig.session import BoardSession
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner
from tests.firmware.own_build import FIRMWARE, PORT, as_board, run

pytestmark = pytest.mark.host

CMAKE = shutil.which("cmake") or shutil.which("cmake", path=Path(sys.executable).parent)
ALL = [*packages.sources("harness"), *packages.sources("engine")]


@dataclass(frozen=True)
class Described:
    """What a description tells a compiler, as absolute paths."""

    sources: Sequence[Path]
    private: Sequence[Path]
    public: Sequence[Path]


def script(folder: Path, text: str, *defined: str) -> list[str]:
    """What a CMake script says, line by line."""
    path = folder / "script.cmake"
    path.write_text(text)
    assert CMAKE is not None
    return run(CMAKE, *(f"-D{each}" for each in defined), "-P", path).splitlines()


def beside(names: Iterable[str], folder: Path = FIRMWARE) -> list[Path]:
    return [(folder / name).resolve() for name in names]


def idf_component(folder: Path) -> Described:
    """As ESP-IDF reads a component: its function gets lists by keyword."""
    text = f"""
        function(idf_component_register)
          cmake_parse_arguments(C "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS" ${{ARGN}})
          message("${{C_SRCS}}\\n${{C_PRIV_INCLUDE_DIRS}}\\n${{C_INCLUDE_DIRS}}")
        endfunction()
        include({FIRMWARE}/CMakeLists.txt)
    """
    told = script(folder, text, "ESP_PLATFORM=1")
    return Described(*(beside(line.split(";")) for line in told))


def zephyr_module(folder: Path) -> Described:
    """As Zephyr reads a module whose symbols are set."""
    functions = ("zephyr_library_sources", "zephyr_library_include_directories", "zephyr_include_directories")
    text = "".join(
        f'function({name})\nmessage("{number} ${{ARGN}}")\nendfunction()\n'
        for number, name in enumerate(functions)
    )
    text += """
        function(zephyr_library)
        endfunction()
        function(zephyr_library_sources_ifdef symbol)
          if(${symbol})
            zephyr_library_sources(${ARGN})
          endif()
        endfunction()
    """
    text += f"include({FIRMWARE}/zephyr/CMakeLists.txt)\n"
    told = script(folder, text, "CONFIG_QUANTCHECK=1", "CONFIG_QUANTCHECK_ENGINE=1")
    lists: list[list[Path]] = [[], [], []]
    for line in told:
        number, names = line.split(" ", 1)
        lists[int(number)] += beside(names.split(";"), FIRMWARE / "zephyr")
    return Described(*lists)


def platformio(_: Path) -> Described:
    build = json.loads((FIRMWARE / "library.json").read_text())["build"]
    assert build["srcFilter"][0] == "-<*>"
    taken = [re.fullmatch(r"\+<(.+)>", each)[1] for each in build["srcFilter"][1:]]  # type: ignore[index]
    return Described(
        beside(taken),
        beside(flag.removeprefix("-I") for flag in build["flags"]),
        beside([build["includeDir"]]),
    )


def cmsis_pack(_: Path) -> Described:
    root = ElementTree.parse(FIRMWARE / "quantcheck.quantcheck.pdsc").getroot()
    files = [(each.get("category"), each.get("name", "")) for each in root.iter("file")]
    folders = beside(name for category, name in files if category == "include")
    return Described(beside(name for category, name in files if category == "sourceC"), folders, folders)


def arduino(folder: Path) -> Described:
    """As the Arduino IDE takes a library: everything below src, which is where it looks for headers."""
    library = folder / "quantcheck"
    packages.assemble_arduino(library)
    return Described(sorted((library / "src").rglob("*.c")), [library / "src"], [library / "src"])


DESCRIPTIONS: dict[str, Callable[[Path], Described]] = {
    each.__name__: each for each in (idf_component, zephyr_module, platformio, cmsis_pack, arduino)
}


def test_the_descriptions_are_those_of_the_sources() -> None:
    assert packages.stale() == [], "make packages"


def test_another_source_makes_every_list_of_sources_stale(tmp_path, monkeypatch) -> None:
    packages.write(tmp_path)
    assert packages.stale(tmp_path) == []
    real = packages.sources
    monkeypatch.setattr(packages, "sources", lambda part: [*real(part), "engine/qc_new.c"])
    listed = ["CMakeLists.txt", "library.json", "quantcheck.quantcheck.pdsc", "zephyr/CMakeLists.txt"]
    assert packages.stale(tmp_path) == listed


def test_the_list_is_what_make_compiles() -> None:
    told = run("make", "-n", "-B", "posix", f"PYTHON={sys.executable}")
    compiled = set(re.findall(r" -c (\S+\.c) ", told))
    assert compiled - {"ports/posix/port.c"} == set(ALL)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_description_names_all_sources_and_each_folder_of_headers(name: str, tmp_path: Path) -> None:
    described = DESCRIPTIONS[name](tmp_path)
    assert sorted(path.name for path in described.sources) == sorted(Path(each).name for each in ALL)
    assert all(path.is_file() for path in described.sources)
    assert all(path.is_dir() for path in (*described.private, *described.public))


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_source_finds_its_headers_where_the_description_says(name: str, tmp_path: Path) -> None:
    described = DESCRIPTIONS[name](tmp_path)
    own, all_ = ([f"-I{path}" for path in paths] for paths in (described.public, described.private))
    run("gcc", "-fsyntax-only", "-std=gnu11", "-Wall", "-Werror", *own, *all_, *described.sources)
    run("gcc", "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE", *own, PORT)


def test_a_sketch_in_cpp_may_include_the_headers(tmp_path: Path) -> None:
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text('#include "qc_runtime.h"\n#include "qc_port.h"\nvoid setup() { qc_harness_main(); }\n')
    run(
        "g++",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-c",
        f"-I{FIRMWARE / 'include'}",
        sketch,
        "-o",
        tmp_path / "s.o",
    )
    assert "U qc_harness_main" in run("nm", tmp_path / "s.o")


def test_a_firmware_built_by_cmake_runs_a_model(tmp_path: Path) -> None:
    project = f"""
        cmake_minimum_required(VERSION 3.16)
        project(own C)
        add_subdirectory({FIRMWARE} quantcheck)
        add_executable(own {PORT})
        target_compile_definitions(own PRIVATE _GNU_SOURCE)
        target_link_libraries(own PRIVATE quantcheck::quantcheck)
    """
    (tmp_path / "CMakeLists.txt").write_text(project)
    assert CMAKE is not None
    run(CMAKE, "-S", tmp_path, "-B", tmp_path / "build", "-DCMAKE_BUILD_TYPE=Release")
    run(CMAKE, "--build", tmp_path / "build", "--parallel", "2")
    model, samples = demo_models()[0], demo_samples().take(range(2))
    with BoardSession([as_board(tmp_path / "build" / "own")], log_dir=tmp_path / "logs") as session:
        done = BoardRunner(session).run(model, samples)
    assert done.device is not None
    assert done.device.build_id == "own build"
    assert np.array_equal(done.outputs[0], IntegerRunner().run(model, samples).outputs[0])
