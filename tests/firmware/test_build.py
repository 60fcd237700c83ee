"""The firmware's build: what changes the identity compiles again what it decides, and nothing stale stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

FIRMWARE = Path(__file__).parents[2] / "firmware"
CHANGES = {  # what is changed -> the objects that must be made again
    "Makefile": None,
    "ports/posix/port.mk": None,
    "runtimes/lookup/runtime.mk": None,
    "include/qc_status.h": {"harness/qc_model.o", "runtimes/lookup/qc_lookup.o"},
    "harness/qc_bytes.h": {"harness/qc_link.o"},
    "harness/qc_store.c": {"harness/qc_store.o"},
    "ports/posix/port.c": {"ports/posix/port.o"},
}
COMMENTS = {".mk": "# {}\n", ".c": "/* {} */\n", ".h": "/* {} */\n", "": "# {}\n"}


@dataclass
class Build:
    """A copy of the firmware's tree, and what ``make`` has made of it."""

    tree: Path

    @property
    def folder(self) -> Path:
        return self.tree / "build" / "posix-lookup"

    def make(self, *arguments: str) -> str:
        """Builds; returns the identity that the image carries."""
        command = ["make", "-s", "posix", "RUNTIME=lookup", f"PYTHON={sys.executable}", *arguments]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        manifest = json.loads((self.folder / "quantcheck-posix.bin.json").read_text())
        image = (self.folder / "quantcheck-posix.bin").read_bytes()
        assert manifest["build_id"].encode() in image
        return str(manifest["build_id"])

    def objects(self) -> dict[str, int]:
        """Every object and when it was made."""
        found = self.folder.rglob("*.o")
        return {path.relative_to(self.folder).as_posix(): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Built once; each test changes it further."""
    tree = tmp_path_factory.mktemp("build") / "firmware"
    shutil.copytree(FIRMWARE, tree, ignore=shutil.ignore_patterns("build"))
    made = Build(tree)
    made.make()
    return made


def remade(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in after if after[name] != before.get(name)}


def test_nothing_is_made_again_when_nothing_has_changed(build: Build) -> None:
    identity, before = build.make(), build.objects()
    assert build.make() == identity
    assert build.objects() == before


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_another_identity_and_compiled_again(build: Build, name: str) -> None:
    identity, before = build.make(), build.objects()
    path = build.tree / name
    path.write_text(path.read_text() + COMMENTS[path.suffix].format("changed"))
    assert build.make() != identity
    again = remade(before, build.objects())
    wanted = CHANGES[name]
    assert again >= (before.keys() if wanted is None else {*wanted, "harness/qc_build.o"})
    if wanted is not None and name.endswith(".c"):
        assert again == {*wanted, "harness/qc_build.o"}


def test_other_flags_are_another_identity_and_compile_everything_again(build: Build) -> None:
    identity, before = build.make(), build.objects()
    assert build.make("PORT_CFLAGS=-D_GNU_SOURCE -DQC_OTHER") != identity
    assert remade(before, build.objects()) == before.keys()


def test_other_linker_flags_are_another_identity(build: Build) -> None:
    assert build.make("PORT_LDFLAGS=-Wl,--no-undefined") != build.make()


def test_another_compiler_is_another_identity_and_compiles_everything_again(
    build: Build, tmp_path: Path
) -> None:
    identity, before = build.make(), build.objects()
    other = tmp_path / "gcc"
    other.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "gcc of another version" && exit\nexec gcc "$@"\n'
    )
    other.chmod(0o755)
    assert build.make(f"CC={other}") != identity
    assert remade(before, build.objects()) == before.keys()


def test_a_source_that_is_gone_is_in_no_image(build: Build) -> None:
    extra = build.tree / "harness" / "qc_extra.c"
    extra.write_text('extern const char qc_extra[];\nconst char qc_extra[] = "here I am";\n')
    other = build.tree / "harness" / "qc_build.c"
    text = other.read_text()
    other.write_text(
        text + "extern const char qc_extra[];\nconst char *qc_keep(void);\n"
        "__attribute__((used)) const char *qc_keep(void) { return qc_extra; }\n"
    )
    image = build.folder / "quantcheck-posix.bin"
    with_it = build.make("PORT_LDFLAGS=-Wl,-u,qc_keep")
    assert b"here I am" in image.read_bytes()
    extra.unlink()
    other.write_text(text)
    assert build.make() != with_it
    assert b"here I am" not in image.read_bytes()


def test_the_engines_makefile_decides_how_its_sources_are_compiled(build: Build) -> None:
    """With another list of sources to be compiled for size their objects become other ones."""
    target = "build/posix/engine/qc_check.o"
    command = ["make", "-s", "PORT=posix", f"PYTHON={sys.executable}", target]
    subprocess.run(command, cwd=build.tree, check=True)
    before = (build.tree / target).read_bytes()
    makefile = build.tree / "engine" / "engine.mk"
    makefile.write_text(makefile.read_text() + "RUNTIME_SMALL :=\n")
    subprocess.run(command, cwd=build.tree, check=True)
    assert (build.tree / target).read_bytes() != before
