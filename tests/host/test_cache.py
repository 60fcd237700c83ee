"""Conversions are kept by content, survive damage, and happen once however many processes want them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import pytest_quantcheck
from pytest_quantcheck.cache import Cache, default_root

pytestmark = pytest.mark.host

FACTS = {"source": "abc", "granularity": "per_channel", "samples": 3}


class Maker:
    """Counts how often something was really made."""

    def __init__(self, content=b"payload\nwith a newline\x00"):
        self.content, self.calls = content, 0

    def __call__(self):
        self.calls += 1
        return self.content


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def entry(cache):
    (path,) = cache.root.rglob("*.qcc")
    return path


def test_the_same_facts_are_made_once(cache):
    make = Maker()
    assert [cache.get_or_make(FACTS, make) for _ in range(3)] == [make.content] * 3
    assert make.calls == 1


def test_the_order_of_the_facts_does_not_matter(cache):
    make = Maker()
    cache.get_or_make(FACTS, make)
    cache.get_or_make(dict(reversed(FACTS.items())), make)
    assert make.calls == 1


@pytest.mark.parametrize("changed", [{"source": "abd"}, {"samples": 4}, {"new": None}])
def test_any_other_fact_is_another_entry(cache, changed):
    make = Maker()
    cache.get_or_make(FACTS, make)
    cache.get_or_make({**FACTS, **changed}, make)
    assert make.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:-1] + b"\x01",
        lambda content: content.replace(b'"sha256"', b'"sha257"'),
        lambda content: b"garbage" * 10,
        lambda content: b"[]\n" + content,
    ],
)
def test_a_damaged_entry_is_made_again(cache, damage):
    make = Maker()
    cache.get_or_make(FACTS, make)
    path = entry(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get_or_make(FACTS, make) == make.content
    assert make.calls == 2
    assert cache.get_or_make(FACTS, make) == make.content
    assert make.calls == 2


def test_a_failed_conversion_leaves_nothing_behind(cache):
    def fail():
        raise RuntimeError("converter")

    with pytest.raises(RuntimeError):
        cache.get_or_make(FACTS, fail)
    make = Maker()
    assert cache.get_or_make(FACTS, make) == make.content
    assert [p.suffix for p in cache.root.rglob("*") if p.is_file()].count(".qcc") == 1
    assert not list(cache.root.rglob(".making-*"))


PROCESS = """
import sys, time, pathlib
from pytest_quantcheck.cache import Cache
def make():
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(0.5)
    return b"x" * 100_000
assert Cache(sys.argv[1]).get_or_make({"k": 1}, make) == b"x" * 100_000
"""


def test_parallel_processes_convert_once(cache, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", PROCESS, str(cache.root), str(log)]
    children = [subprocess.Popen(command) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0] * 4
    assert log.read_text() == "made\n"


def test_a_process_killed_while_making_does_not_block_the_next(cache, tmp_path):
    log = tmp_path / "log"
    program = PROCESS.replace("time.sleep(0.5)", "time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", program, str(cache.root), str(log)])
    while not log.exists() and child.poll() is None:
        time.sleep(0.02)
    assert child.poll() is None
    child.kill()
    child.wait()
    start = time.monotonic()
    make = Maker()
    assert cache.get_or_make({"k": 1}, make) == make.content
    assert time.monotonic() - start < 5


def test_a_folder_that_cannot_be_made_is_named_with_the_option(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    make = Maker()
    with pytest.warns(RuntimeWarning, match="--qc-cache or QC_CACHE"):
        assert Cache(tmp_path / "file" / "cache").get_or_make(FACTS, make) == make.content


FULL_DISK = """
import resource, signal, sys, warnings
from pytest_quantcheck.cache import Cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for key in "ab":
    assert Cache(sys.argv[1]).get_or_make({"k": key}, lambda: b"x" * 100_000) == b"x" * 100_000
"""


@pytest.mark.parametrize("options", [[], ["-W", "error"]])
def test_a_full_disk_costs_the_entry_and_one_loud_line_and_never_the_result(cache, options):
    """A limit on the size of files stands for the disk: writing fails in the same place."""
    run = subprocess.run(
        [sys.executable, *options, "-c", FULL_DISK, str(cache.root)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("cannot be written") == 1
    assert [p for p in cache.root.rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_two_entries_swapped_under_each_others_keys_are_not_served(cache):
    one, other = Maker(b"one"), Maker(b"other")
    cache.get_or_make({"k": 1}, one)
    cache.get_or_make({"k": 2}, other)
    first, second = (cache._path(cache.key({"k": k})) for k in (1, 2))
    first.rename(cache.root / "aside")
    second.rename(first)
    (cache.root / "aside").rename(second)
    assert cache.get_or_make({"k": 1}, one) == b"one"
    assert cache.get_or_make({"k": 2}, other) == b"other"


@pytest.mark.parametrize("make_it", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_an_entry_that_is_no_file_neither_hangs_nor_fails(cache, make_it):
    path = cache._path(cache.key(FACTS))
    path.parent.mkdir(parents=True)
    make_it(path)
    make = Maker()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cache.get_or_make(FACTS, make) == make.content


def test_pruning_everything_leaves_an_empty_cache(cache):
    for n in range(3):
        cache.get_or_make({"n": n}, Maker())
    pruned = cache.prune()
    assert (pruned.removed, pruned.kept, pruned.kept_bytes) == (3, 0, 0)
    assert not [p for p in cache.root.rglob("*") if p.is_file()]


def test_pruning_by_age_goes_by_last_use(cache):
    long_ago = time.time() - 40 * 86400
    for n in range(3):
        cache.get_or_make({"n": n}, Maker())
    for path in cache.root.rglob("*.qcc"):
        os.utime(path, (long_ago, long_ago))
    make = Maker()
    cache.get_or_make({"n": 1}, make)  # a hit: used just now
    pruned = cache.prune(max_age_days=30)
    assert (pruned.removed, pruned.kept) == (2, 1)
    cache.get_or_make({"n": 1}, make)
    assert make.calls == 0


def test_pruning_by_size_keeps_what_was_used_last(cache):
    for n in range(4):
        cache.get_or_make({"n": n}, Maker(bytes(1000)))
    for age, n in enumerate((2, 0, 3, 1)):
        path = cache._path(cache.key({"n": n}))
        os.utime(path, (time.time() - 100 * age,) * 2)
    pruned = cache.prune(max_bytes=2500)
    assert (pruned.removed, pruned.kept) == (2, 2)
    kept = {n for n in range(4) if cache._path(cache.key({"n": n})).exists()}
    assert kept == {2, 0}


def test_what_killed_writers_left_is_removed_when_it_is_old(cache):
    cache.get_or_make(FACTS, Maker())
    old, new = (entry(cache).with_name(f".making-{name}") for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert cache.prune(max_bytes=1 << 20).leftovers == 1
    assert (old.exists(), new.exists(), cache.size()[0]) == (False, True, 1)


def test_an_entry_in_the_making_is_not_pruned(cache, tmp_path):
    def make():
        cache._path(cache.key(FACTS)).write_bytes(b"half")
        assert cache.prune().removed == 0
        return b"whole"

    assert cache.get_or_make(FACTS, make) == b"whole"


def test_the_folder_is_where_the_platform_keeps_caches(monkeypatch):
    monkeypatch.delenv("QC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_root() == Path("/xdg/pytest-quantcheck")
    monkeypatch.setenv("QC_CACHE", "/mine")
    assert default_root() == Path("/mine")


def test_another_version_of_the_converting_code_makes_it_anew(tmp_path):
    package = Path(pytest_quantcheck.__file__).parent
    shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copytree(package / "data", tmp_path / package.name / "data")
    script = "from pytest_quantcheck.cache import Cache; print(Cache.key({}))"

    def key():
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return run.stdout

    first = key()
    assert first.strip() == Cache.key({})
    with (tmp_path / package.name / "quantizers" / "tflite" / "quantize.py").open("a") as file:
        file.write("# changed\n")
    assert key() != first
