"""A short campaign of every fuzz target; ``make fuzz`` is the long one.

Without clang the same targets are compiled with gcc and replay the corpus and seeded mutations of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_quantcheck.image.layout import OPCODES
from pytest_quantcheck.image.read import read_image
from tests.firmware.fuzz import seeds
from tests.firmware.fuzz.build import TARGETS, build, has_libfuzzer
from tests.firmware.fuzz.campaign import Campaign, read_log

pytestmark = pytest.mark.host

SECONDS = 8
MUTATIONS = 30_000
# What a sanitizer's report does to libFuzzer's log.
CRASH = """\
INFO: Loaded 1 modules   (4554 inline 8-bit counters): 4554 [0x5, 0x6),
#128	NEW    cov: 1161 ft: 3716 corp: 370/470Kb lim: 12000 exec/s: 64 rss: 67Mb
==17==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000110
SUMMARY: AddressSanitizer: heap-buffer-overflow qc_pad.c:17:5 in qc_pad
artifact_prefix='findings/'; Test unit written to findings/crash-da39a3ee
stat::number_of_executed_units: 146
stat::average_exec_per_sec:     73
"""


@pytest.fixture(scope="module")
def seed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    seeds.write(folder)
    return folder


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_campaign_finds_nothing(target: str, seed_folder: Path, tmp_path: Path) -> None:
    if has_libfuzzer():
        result = Campaign.start(target, SECONDS, seed_folder / target, tmp_path).wait()
        assert result.findings == [], result.last_words
        assert result.executions > 1000
        assert result.edges > result.edges_in_all // 5
        assert result.corpus > len(list((seed_folder / target).iterdir())) // 2
        return
    files = sorted(map(str, (seed_folder / target).iterdir()))
    program = build(target, libfuzzer=False)
    done = subprocess.run([program, str(MUTATIONS), "1", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{len(files)} files, {MUTATIONS} mutations\n"


def test_seeds_are_the_same_every_time_and_hold_every_opcode(seed_folder: Path, tmp_path: Path) -> None:
    seeds.write(tmp_path)
    for target in TARGETS:
        once, again = (
            {path.name: path.read_bytes() for path in (folder / target).iterdir()}
            for folder in (seed_folder, tmp_path)
        )
        assert once == again
    images = [read_image(path.read_bytes()) for path in (tmp_path / "image").iterdir()]
    assert {op.opcode for image in images for op in image.operators} == set(OPCODES) - {""}


def test_a_report_of_a_sanitizer_is_a_finding_with_its_file() -> None:
    result = read_log("image", CRASH, 77)
    assert result.findings == [
        "==17==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000110"
    ]
    assert result.artefact == "findings/crash-da39a3ee"
    assert (result.executions, result.edges, result.edges_in_all, result.corpus) == (146, 1161, 4554, 370)
    assert "qc_pad.c:17" in result.last_words


def test_a_target_that_ends_without_a_word_is_a_finding_too() -> None:
    assert read_log("link", "", -9).findings == ["ended with -9"]
