"""A runtime with its model compiled in: each model of a matrix gets the firmware that was made for it."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.cache import Cache
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig import inventory
from pytest_quantcheck.rig.lease import held_by
from pytest_quantcheck.rig.model_firmware import ModelFirmware
from pytest_quantcheck.runners.board import BoardRunner
from pytest_quantcheck.runners.integer import IntegerRunner

pytestmark = pytest.mark.hw

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware"
BUILT = "firmware/build/posix-three/quantcheck-posix.bin"
BOARD = f"""
[[board]]
name = "mine"
family = "posix"
target = "posix"
port = "mine"
firmware = "{BUILT}"
build = "{sys.executable} build.py {{artefact}} {{sha256}}"
build_sources = ["build.py", "firmware/engine", "firmware/harness", "firmware/runtimes/three/qc_three.c"]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab's folder: its firmware's sources with a runtime of its own, and its inventory."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(FIRMWARE, folder / "firmware", ignore=shutil.ignore_patterns("build"))
    runtime = folder / "firmware" / "runtimes" / "three"
    runtime.mkdir()
    for name in ("qc_three.c", "runtime.mk"):
        shutil.copy(HERE / "three_models" / name, runtime)
    shutil.copy(HERE / "three_models" / "build.py", folder)
    (folder / "boards.toml").write_text(BOARD)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def firmware(tmp_path, cache):
    return ModelFirmware(tmp_path / "logs" / "firmware", cache)


def board_of(lab, **changes):
    (entry,) = inventory.read(lab / "boards.toml")
    return replace(entry, **changes)


def builds(lab) -> int:
    runs = lab / "runs.txt"
    return len(runs.read_text().splitlines()) if runs.exists() else 0


def judged(session, models, samples) -> list[str]:
    """Runs each model and compares its integers with the interpreter's; the firmware's files."""
    runner, files = BoardRunner(session), []
    for model in models:
        run = runner.run(model, samples, operators=True)
        right = IntegerRunner().run(model, samples, operators=True)
        assert run.runtime.startswith("three ")
        assert np.array_equal(run.outputs[0], right.outputs[0])
        crcs = [[record.crc32 for record in each] for each in run.operators]
        assert crcs == [[record.crc32 for record in each] for each in right.operators]
        files.append(session.entry.firmware)
    return files


def test_three_models_get_three_firmwares_which_are_built_once(
    new_session, lab, cache, tmp_path, digits, samples
):
    models = digits[:3]
    for run in ("first", "second"):  # which finds all of them in the cache
        firmware = ModelFirmware(tmp_path / run, cache)
        session = new_session(entry=board_of(lab), firmware=firmware)
        files = judged(session, [*models, models[0]], samples)
        assert len(set(files)) == 3
        assert files[3] == files[0]
        assert builds(lab) == 3
        session.close()
    source = lab / "firmware" / "runtimes" / "three" / "qc_three.c"
    source.write_text(source.read_text() + "/* changed */\n")
    firmware = ModelFirmware(tmp_path / "third", cache)
    judged(new_session(entry=board_of(lab), firmware=firmware), models[:1], samples)
    assert builds(lab) == 4


def test_a_table_names_the_firmware_of_each_model(new_session, lab, firmware, digits, samples):
    first = new_session(entry=board_of(lab), firmware=firmware)
    made = judged(first, digits[:2], samples)
    first.close()
    named = lab / "second.tflite"
    named.write_bytes(digits[1].artefact)
    table = f'[board.firmwares]\n"{digits[0].sha256}" = "{made[0]}"\n"second.tflite" = "{made[1]}"\n'
    text = "\n".join(line for line in BOARD.splitlines() if not line.startswith(("firmware", "build")))
    (lab / "table.toml").write_text(f"{text}\n{table}")
    (entry,) = inventory.read(lab / "table.toml")
    session = new_session(entry=entry)
    assert judged(session, digits[:2], samples) == made
    with pytest.raises(UsageError, match=f'add "{digits[2].sha256}" = "its.elf" to the table'):
        BoardRunner(session).run(digits[2], samples)


def test_a_build_that_leaves_another_models_firmware_is_refused(new_session, lab, firmware, digits, samples):
    broken = board_of(lab, build=f"sh -c 'cp earlier/* {BUILT}' {{sha256}}", build_sources=())
    first = new_session(entry=board_of(lab, build_sources=()), firmware=firmware)
    (made,) = judged(first, digits[:1], samples)
    first.close()
    (lab / "earlier").mkdir()
    shutil.copy(made, lab / "earlier" / Path(BUILT).name)
    with pytest.raises(UsageError, match=f"does not hold the text builtin:{digits[1].sha256}"):
        BoardRunner(new_session(entry=broken, firmware=firmware)).run(digits[1], samples)


def test_a_build_that_fails_shows_what_it_said(new_session, lab, firmware, digits, samples):
    (lab / "failing.py").write_text("raise SystemExit('no room in FLASH')")
    failing = board_of(lab, build=f"{sys.executable} failing.py {{artefact}}")
    with pytest.raises(UsageError, match=r"ended with exit status 1:\nno room in FLASH"):
        BoardRunner(new_session(entry=failing, firmware=firmware)).run(digits[0], samples)


def test_a_board_that_waits_for_its_first_model_is_free_for_others(new_session, lab, firmware):
    entry = board_of(lab)
    session = new_session(entry=entry, firmware=firmware)
    session.begin()
    assert not session.is_open
    assert held_by(entry) == ""


def test_a_board_is_free_for_others_while_a_firmware_is_built(new_session, lab, firmware, digits):
    """The first build finds it free, and so does one for another model while the session holds it."""
    says = (
        "from pytest_quantcheck.rig import inventory, lease; from pathlib import Path; import subprocess, sys"
    )
    (lab / "watched.py").write_text(
        f"{says}\nheld = lease.held_by(*inventory.read(Path('boards.toml')))\n"
        "with open('held.txt', 'a') as file: file.write(repr(held) + '\\n')\n"
        "subprocess.run([sys.executable, 'build.py', *sys.argv[1:]], check=True)\n"
    )
    build = f"{sys.executable} watched.py {{artefact}} {{sha256}}"
    entry = board_of(lab, build=build, build_sources=())
    session = new_session(entry=entry, firmware=firmware)
    for model in digits[:2]:
        session.start(model.artefact)
        assert held_by(entry) != ""
    assert (lab / "held.txt").read_text() == "''\n''\n"


def test_each_case_of_a_matrix_gets_its_own_firmware(pytester, lab, cache, digits):
    names = []
    for model in digits[:3]:
        names.append(f"{model.id}.tflite")
        (pytester.path / names[-1]).write_bytes(model.artefact)
    pytester.makepyfile(
        f"""
        import pytest

        pytestmark = pytest.mark.quant(artefact={names}, data="pytest_quantcheck.demo.artefacts:demo_dataset")

        @pytest.mark.hw
        def test_on_board(board, quantized_model, test_vectors, gate):
            gate.check(board.run(quantized_model, test_vectors), exact=True)
        """
    )
    options = ("-m", "hw", "--qc-vectors", "10", "--qc-rig", lab / "boards.toml", "--qc-cache", cache.root)
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)
    said = result.stdout.str()
    assert len(set(re.findall(r"three 0\.1\.0, build (\w+)", said))) == 3


def test_a_build_that_fails_runs_once_for_all_boards_and_tests(pytester, lab, digits):
    (pytester.path / "model.tflite").write_bytes(digits[0].artefact)
    (lab / "counting.py").write_text(
        "open('tried.txt', 'a').write('x'); raise SystemExit('no room in FLASH')"
    )
    one = re.sub(r"build = .*", f'build = "{sys.executable} counting.py {{artefact}}"', BOARD)
    (lab / "two.toml").write_text(one + one.replace('"mine"', '"other"'))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.hw
        @pytest.mark.quant(artefact="model.tflite", data="pytest_quantcheck.demo.artefacts:demo_dataset")
        @pytest.mark.parametrize("time", [1, 2])
        def test_on_board(board, quantized_model, test_vectors, time):
            board.run(quantized_model, test_vectors)
        """
    )
    options = ("-m", "hw", "--qc-vectors", "10", "--qc-rig", lab / "two.toml", "--qc-each-board")
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*no room in FLASH*"])
    assert (lab / "tried.txt").read_text() == "x"
