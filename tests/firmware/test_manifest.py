"""The manifest beside a shipped image says what it is, and notices when it no longer is."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.host

SCRIPT = Path(__file__).parents[2] / "firmware" / "manifest.py"
FACTS = [
    "--port",
    "p",
    "--address",
    "0x08000000",
    "--build-id",
    "b",
    "--compiler",
    "gcc 1",
    "--flags",
    "-O2  -g",
]


@pytest.fixture(scope="module")
def manifest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manifest", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.c").write_text("int a;\n")
    (folder / "b.h").write_text("#define B\n")
    return folder


@pytest.fixture
def image(tmp_path: Path, sources: Path, manifest: ModuleType) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(bytes(range(200)))
    assert manifest.main(["write", str(path), *FACTS, "--source-hash", manifest.source_hash([sources])]) == 0
    return path


def test_it_states_size_hashes_address_and_how_it_was_made(image: Path) -> None:
    facts = json.loads(image.with_name("image.bin.json").read_text())
    data = image.read_bytes()
    assert (facts["size"], facts["crc32"]) == (200, zlib.crc32(data))
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert (facts["address"], facts["compiler"], facts["flags"]) == (0x08000000, "gcc 1", "-O2 -g")


def test_an_image_of_these_sources_is_fresh(image: Path, sources: Path, manifest: ModuleType) -> None:
    assert manifest.problems(image, manifest.source_hash([sources])) == []


@pytest.mark.parametrize(
    ("name", "content"), [("b.h", "#define B 1\n"), ("sub/a.c", ""), ("sub/new.S", "nop\n"), ("x.ld", "")]
)
def test_a_source_that_changed_or_came_makes_the_image_stale(
    image: Path, sources: Path, manifest: ModuleType, name: str, content: str
) -> None:
    (sources / name).write_text(content)
    assert manifest.problems(image, manifest.source_hash([sources])) == [
        "the sources have changed since the image was built"
    ]


def test_line_ends_and_other_files_do_not_count(sources: Path, manifest: ModuleType) -> None:
    before = manifest.source_hash([sources])
    (sources / "b.h").write_bytes(b"#define B\r\n")
    (sources / "notes.md").write_text("not a source")
    assert manifest.source_hash([sources]) == before


def test_other_flags_make_the_image_stale_and_other_spaces_do_not(
    sources: Path, manifest: ModuleType
) -> None:
    of = manifest.source_hash
    assert of([sources], "-O2 -g") == of([sources], " -O2   -g ") != of([sources], "-O3 -g")


def test_an_image_that_was_exchanged_is_noticed(image: Path, sources: Path, manifest: ModuleType) -> None:
    image.write_bytes(b"x" * 200)
    found = manifest.problems(image, manifest.source_hash([sources]))
    assert [each.split()[1] for each in found] == ["sha256", "crc32"]


def test_a_missing_image_or_manifest_is_named(image: Path, manifest: ModuleType) -> None:
    image.with_name("image.bin.json").unlink()
    assert manifest.problems(image, "") == [f"{image}.json is missing"]


def test_check_fails_with_the_remedy(image: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "check", str(image), "--source-hash", "other"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the sources have changed" in done.stderr
    assert "make firmware" in done.stderr
