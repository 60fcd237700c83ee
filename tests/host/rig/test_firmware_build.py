"""Builds of firmware: whatever happens meanwhile, what is flashed was made of this model and sources."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import filelock
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig import build_command, firmware_build
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.firmware_build import Built, sources_of
from pytest_quantcheck.rig.model_firmware import ModelFirmware

pytestmark = pytest.mark.host

MODEL = b"\0\0\0\0TFL3 a model"
SHA256 = hashlib.sha256(MODEL).hexdigest()
MAKE = "cat src/*.c src/lib/*.c 2>/dev/null >app.elf; echo builtin:$1 >>app.elf; echo >>runs.txt"


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("QC_LEASE_DIR", str(tmp_path / "locks"))


@pytest.fixture
def lab(tmp_path) -> Path:
    folder = tmp_path / "lab"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.c").write_text("first")
    return folder


@pytest.fixture
def made_by(tmp_path):
    """``made_by(entry)``: the firmware's path, each time in a run of its own; the cache is shared."""

    def path(entry: BoardEntry, model: bytes = MODEL) -> Path:
        return ModelFirmware(tmp_path / "logs", Cache(tmp_path / "cache")).path(entry, model)

    return path


def board(lab: Path, script: str = MAKE, *, output: str = "app.elf"):
    """A board whose firmware the shell script ``script`` makes; its first argument is the SHA-256."""
    name = hashlib.sha256(script.encode()).hexdigest()[:8]
    (lab / f"{name}.sh").write_text(script)
    return BoardEntry(
        "mine",
        "posix",
        "posix",
        source=str(lab / "boards.toml"),
        firmware=str(lab / output),
        build=f"sh {name}.sh {{sha256}}",
        build_sources=(str(lab / "src"), str(lab / f"{name}.sh")),
    )


def runs(lab: Path) -> int:
    return (lab / "runs.txt").read_text().count("\n")


def test_a_firmware_is_read_before_the_next_build_of_that_file_may_begin(lab, made_by, monkeypatch):
    release = filelock.FileLock.release

    def and_the_next_one_builds(self, *args, **how):
        release(self, *args, **how)
        (lab / "app.elf").write_text(f"another's builtin:{SHA256}")

    monkeypatch.setattr(filelock.FileLock, "release", and_the_next_one_builds)
    assert made_by(board(lab)).read_text() == f"firstbuiltin:{SHA256}\n"
    assert made_by(board(lab)).read_text() == f"firstbuiltin:{SHA256}\n"  # out of the cache


def test_what_comes_out_of_the_cache_must_be_of_this_model(lab, made_by, tmp_path):
    made_by(board(lab))
    (entry,) = (tmp_path / "cache").rglob("*.qcc")
    other = Built(b"builtin:other").packed()
    header = json.loads(entry.read_bytes().partition(b"\n")[0])
    header["sha256"] = hashlib.sha256(other).hexdigest()
    entry.write_bytes(json.dumps(header).encode() + b"\n" + other)
    with pytest.raises(UsageError, match=f"another model's firmware for builtin:{SHA256}"):
        made_by(board(lab))


def test_firmwares_of_two_boards_have_two_names(lab, made_by):
    one = board(lab, 'mkdir -p one; echo "one builtin:$1" >one/app.elf', output="one/app.elf")
    two = board(lab, 'mkdir -p two; echo "two builtin:$1" >two/app.elf', output="two/app.elf")
    first, second = made_by(one), made_by(two)
    assert (first.read_text()[:3], second.read_text()[:3]) == ("one", "two")


def test_a_firmware_has_the_manifest_that_was_made_with_it(lab, made_by):
    entry = board(lab, 'echo "$(cat src/main.c) builtin:$1" >app.elf; cp src/main.c app.elf.json')
    first = made_by(entry)
    (lab / "src" / "main.c").write_text("later")
    later = made_by(entry)
    for path, said in ((first, "first"), (later, "later")):
        assert path.read_text() == f"{said} builtin:{SHA256}\n"
        assert path.with_name(f"{path.name}.json").read_text() == said


@pytest.mark.parametrize("name", ["app.elf", "app.hex"])
def test_the_output_of_an_earlier_build_is_not_taken_for_one_of_this(lab, made_by, name):
    earlier = f"earlier builtin:{SHA256}"
    (lab / name).write_text(earlier)
    with pytest.raises(UsageError, match="ended well, but the firmware it should make cannot be read"):
        made_by(board(lab, "true", output=name))
    assert (lab / name).read_text() == earlier  # it is the user's
    assert sorted(path.name for path in lab.glob(".*")) == []


def test_an_earlier_manifest_does_not_go_with_a_new_firmware(lab, made_by):
    (lab / "app.elf.json").write_text("earlier")
    path = made_by(board(lab))
    assert not path.with_name(f"{path.name}.json").exists()
    assert (lab / "app.elf.json").read_text() == "earlier"


def test_a_change_behind_a_link_to_a_folder_is_a_new_firmware(lab, made_by, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    (library / "kernel.c").write_text("old")
    (lab / "src" / "lib").symlink_to(library)
    entry = board(lab)
    assert made_by(entry).read_text() == f"firstoldbuiltin:{SHA256}\n"
    made_by(entry)
    assert runs(lab) == 1
    (library / "kernel.c").write_text("new")
    assert made_by(entry).read_text() == f"firstnewbuiltin:{SHA256}\n"


def test_links_that_lead_back_are_followed_once(lab):
    for name in ("here", "there"):
        (lab / "src" / name).symlink_to(lab / "src")
    entry = board(lab)
    names = {"src/main.c", "src/here/", "src/there/", entry.build.split()[1]}
    assert set(sources_of(entry)) == names


def test_python_s_caches_and_what_is_made_are_no_sources(lab, made_by):
    script = (
        MAKE.replace("app.elf", "src/app.elf") + "; mkdir -p src/__pycache__; date +%N >src/__pycache__/a.pyc"
    )
    for _ in range(2):
        made_by(board(lab, script, output="src/app.elf"))
    assert runs(lab) == 1


def test_sources_that_change_during_a_build_are_an_error_and_nothing_is_kept(lab, made_by, tmp_path):
    entry = board(lab, f"{MAKE}; echo second >src/main.c; echo more >src/more.c")
    with pytest.raises(UsageError, match=r"changed while the firmware was made: src/main\.c, src/more\.c\. "):
        made_by(entry)
    assert list((tmp_path / "cache").rglob("*.qcc")) == []


def test_a_build_that_failed_is_not_repeated_in_a_run(lab, tmp_path):
    firmware = ModelFirmware(tmp_path / "logs", Cache(tmp_path / "cache"))
    entry = board(lab, "echo >>runs.txt; echo no room in FLASH; exit 3")
    for _ in range(2):
        with pytest.raises(UsageError, match="ended with exit status 3:\nno room in FLASH"):
            firmware.path(entry, MODEL)
    assert runs(lab) == 1


def test_who_waits_too_long_for_another_build_is_told(lab, made_by, monkeypatch):
    monkeypatch.setattr(firmware_build, "BUILD_SECONDS", 0.05)
    with (
        firmware_build._alone(lab / "app.elf"),
        pytest.raises(RigFault, match=r"have been building .*app\.elf"),
    ):
        made_by(board(lab))


def test_a_build_without_end_is_ended_with_all_that_it_started(lab, made_by, monkeypatch):
    monkeypatch.setattr(firmware_build, "BUILD_SECONDS", 1.5)
    entry = board(lab, "echo cc kernel.c; sleep 30 & echo $! >child.txt; wait")
    with pytest.raises(UsageError, match=r"did not end within 1\.5 s and was stopped.*:\ncc kernel\.c"):
        made_by(entry)
    child = int((lab / "child.txt").read_text())
    deadline = time.monotonic() + 10  # of the 30 that it would live
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_build_ends_when_its_command_ends_whatever_it_leaves_behind(lab, made_by):
    begin = time.monotonic()
    made_by(board(lab, f"sleep 20 & echo $! >child.txt; {MAKE}"))
    assert time.monotonic() - begin < 10
    os.kill(int((lab / "child.txt").read_text()), 15)


def test_a_build_that_talks_without_end_does_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(build_command, "_MOST_SAID_BYTES", 1000)
    said = tmp_path / "said.txt"
    talk = "for i in 1 2 3 4 5; do head -c 3000 /dev/zero; sleep 0.15; done; echo end"
    assert build_command.run(["sh", "-c", talk], folder=tmp_path, said=said, seconds=20) == 0
    assert said.stat().st_size < 2 * 3000 + 10
    assert build_command.last_words(said, 10).endswith("end")


def is_alive(process: int) -> bool:
    """A process that runs; one that is only not yet waited for does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")
