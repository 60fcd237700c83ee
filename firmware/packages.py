"""Describes these sources to other build systems. What is compiled stands in one list, ``sources()``.

usage: packages.py write             the descriptions, into this folder
       packages.py check             1 when a description is not what `write` would write
       packages.py arduino FOLDER    a library for the Arduino IDE: all files below FOLDER/src

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).parent
MEMORY = "harness/qc_mem.c"
"""memcpy and its like, for firmware without a C library."""
HEADERS = ("qc_port.h", "qc_runtime.h")
"""What a firmware of one's own includes."""
FOLDERS = ("include", "harness", "engine")
"""Where headers lie; the first are for everybody, the others for these sources."""
PARTS = {  # part -> the folders whose sources it has
    "harness": ("harness",),
    "engine": ("engine", "engine/kernels"),
}
NAME = "quantcheck"
SUMMARY = "Runs quantized neural networks for pytest-quantcheck"
STORY = (
    "Link, harness and engine by which pytest-quantcheck judges quantized networks on a board. "
    "You give a port (qc_port.h), and call qc_harness_main()."
)
URL = "https://pypi.org/project/pytest-quantcheck/"
WRITTEN = "Written by packages.py from its list of sources: change that, then make packages."


def sources(part: str) -> list[str]:
    """The sources of ``harness`` or ``engine``, relative to this folder, without ``MEMORY``."""
    found = [path for folder in PARTS[part] for path in (HERE / folder).glob("*.c")]
    return sorted(name for name in (path.relative_to(HERE).as_posix() for path in found) if name != MEMORY)


def version() -> str:
    """The distribution's."""
    text = (HERE.parent / "pytest_quantcheck" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def _listed(names: Iterable[str], before: str = "  ") -> str:
    return "\n".join(f"{before}{name}" for name in names)


def cmake() -> str:
    """For CMake, and for ESP-IDF, of which the folder is a component."""
    return f"""\
# {WRITTEN}
#
# add_subdirectory(.../firmware), or FetchContent with SOURCE_SUBDIR firmware, then
#   target_link_libraries(my_firmware PRIVATE quantcheck::quantcheck)
# In ESP-IDF this folder is the component {NAME}.
# QUANTCHECK_ENGINE OFF: another runtime, which my_firmware has. QUANTCHECK_MEMORY ON: without a C library.
cmake_minimum_required(VERSION 3.16)

set(QUANTCHECK_HARNESS_SOURCES
{_listed(sources("harness"))}
)
set(QUANTCHECK_ENGINE_SOURCES
{_listed(sources("engine"))}
)

option(QUANTCHECK_ENGINE "with the engine as runtime" ON)
option(QUANTCHECK_MEMORY "with memcpy, memmove, memset and memcmp" OFF)

set(QUANTCHECK_SOURCES ${{QUANTCHECK_HARNESS_SOURCES}})
if(QUANTCHECK_ENGINE)
  list(APPEND QUANTCHECK_SOURCES ${{QUANTCHECK_ENGINE_SOURCES}})
endif()
if(QUANTCHECK_MEMORY)
  list(APPEND QUANTCHECK_SOURCES {MEMORY})
endif()

if(ESP_PLATFORM)
  idf_component_register(
    SRCS ${{QUANTCHECK_SOURCES}}
    INCLUDE_DIRS {FOLDERS[0]}
    PRIV_INCLUDE_DIRS {" ".join(FOLDERS[1:])}
  )
  return()
endif()

project({NAME} VERSION {version()} LANGUAGES C)
add_library({NAME} STATIC ${{QUANTCHECK_SOURCES}})
add_library({NAME}::{NAME} ALIAS {NAME})
set_target_properties({NAME} PROPERTIES C_STANDARD 11)
target_include_directories({NAME} PUBLIC {FOLDERS[0]} PRIVATE {" ".join(FOLDERS[1:])})
"""


def idf_component() -> str:
    """For ESP-IDF's component manager."""
    return f"""\
# {WRITTEN}
version: "{version()}"
description: {SUMMARY}
url: {URL}
license: Apache-2.0
dependencies:
  idf: ">=5.1"
"""


def zephyr_module() -> str:
    """For Zephyr: what the module has."""
    return f"""\
# {WRITTEN}
name: {NAME}
build:
  cmake: zephyr
  kconfig: zephyr/Kconfig
"""


def zephyr_kconfig() -> str:
    """For Zephyr: what can be switched."""
    return f"""\
# {WRITTEN}
config QUANTCHECK
\tbool "{SUMMARY}"
\thelp
\t  {STORY.replace(". ", ".{}".format(chr(10) + chr(9) + "  "))}

config QUANTCHECK_ENGINE
\tbool "with the engine as runtime"
\tdefault y
\tdepends on QUANTCHECK
\thelp
\t  Without it the application has another one (qc_runtime.h).
"""


def zephyr_cmake() -> str:
    """For Zephyr: what is compiled."""
    return f"""\
# {WRITTEN}
if(CONFIG_QUANTCHECK)
  zephyr_include_directories(../{FOLDERS[0]})
  zephyr_library()
  zephyr_library_include_directories({" ".join(f"../{folder}" for folder in FOLDERS[1:])})
  zephyr_library_sources(
{_listed(sources("harness"), "    ../")}
  )
  zephyr_library_sources_ifdef(CONFIG_QUANTCHECK_ENGINE
{_listed(sources("engine"), "    ../")}
  )
endif()
"""


def platformio() -> str:
    """For PlatformIO."""
    compiled = [*sources("harness"), *sources("engine")]
    described = {
        "name": NAME,
        "version": version(),
        "description": STORY,
        "keywords": ["neural network", "quantization", "testing"],
        "homepage": URL,
        "license": "Apache-2.0",
        "headers": list(HEADERS),
        "build": {
            "srcDir": ".",
            "includeDir": FOLDERS[0],
            "srcFilter": ["-<*>", *(f"+<{name}>" for name in compiled)],
            "flags": [f"-I{folder}" for folder in FOLDERS[1:]],
        },
    }
    return json.dumps(described, indent=2) + "\n"


def arduino() -> str:
    """For the Arduino IDE, which wants the sources in ``src``: ``packages.py arduino FOLDER``."""
    return f"""\
name={NAME}
version={version()}
author=The authors of pytest-quantcheck
maintainer=The authors of pytest-quantcheck
sentence={SUMMARY}.
paragraph={STORY}
category=Other
url={URL}
architectures=*
includes={",".join(HEADERS)}
"""


def cmsis() -> str:
    """For CMSIS-Pack: Keil MDK, CMSIS-Toolbox."""
    files = {part: _pack_files(part) for part in PARTS}
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!-- {WRITTEN} -->
<package schemaVersion="1.7.7" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance"
  xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>{NAME}</vendor>
  <name>{NAME}</name>
  <description>{STORY}</description>
  <url>{URL}</url>
  <releases>
    <release version="{version()}">See CHANGELOG.md</release>
  </releases>
  <components>
    <component Cclass="Machine Learning" Cgroup="{NAME}" Csub="Harness" Cversion="{version()}">
      <description>Link and harness; needs a runtime, such as the engine, and a port</description>
      <files>
        <file category="include" name="{FOLDERS[0]}/"/>
{files["harness"]}
      </files>
    </component>
    <component Cclass="Machine Learning" Cgroup="{NAME}" Csub="Engine" Cversion="{version()}">
      <description>The engine as runtime</description>
      <files>
{files["engine"]}
      </files>
    </component>
  </components>
</package>
"""


def _pack_files(part: str) -> str:
    lines = [f'<file category="include" name="{part}/"/>']
    lines += [f'<file category="sourceC" name={quoteattr(name)}/>' for name in sources(part)]
    return _listed(lines, " " * 8)


PACKAGES: Mapping[str, Callable[[], str]] = {
    "CMakeLists.txt": cmake,
    "idf_component.yml": idf_component,
    "library.json": platformio,
    "library.properties": arduino,
    f"{NAME}.{NAME}.pdsc": cmsis,
    "zephyr/CMakeLists.txt": zephyr_cmake,
    "zephyr/Kconfig": zephyr_kconfig,
    "zephyr/module.yml": zephyr_module,
}
"""The descriptions, relative to this folder."""


def stale(folder: Path = HERE) -> list[str]:
    """The descriptions in ``folder`` that are missing or not what would be written."""
    return [
        name
        for name, make in PACKAGES.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != make()
    ]


def write(folder: Path = HERE) -> None:
    """Write all descriptions."""
    for name, make in PACKAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(make(), encoding="utf-8")


def assemble_arduino(folder: Path) -> None:
    """A library for the Arduino IDE, which compiles all files below ``src`` and looks for headers there."""
    flat = folder / "src"
    flat.mkdir(parents=True)
    headers = [path for each in FOLDERS for path in sorted((HERE / each).rglob("*.h"))]
    compiled = [HERE / name for part in PARTS for name in sources(part)]
    for path in (*headers, *compiled):
        if (flat / path.name).exists():
            raise FileExistsError(f"two files are called {path.name}")
        shutil.copyfile(path, flat / path.name)
    (folder / "library.properties").write_text(arduino(), encoding="utf-8")
    shutil.copyfile(HERE.parent / "LICENSE", folder / "LICENSE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="packages.py", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write")
    commands.add_parser("check")
    commands.add_parser("arduino").add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "write":
        write()
    elif options.command == "arduino":
        assemble_arduino(options.folder)
    found = stale() if options.command == "check" else []
    for name in found:
        print(f"{name} does not describe the sources; write it again with: make packages", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
