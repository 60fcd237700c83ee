"""``quantcheck demo`` as a stranger types it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import CONFIGURATIONS

pytestmark = pytest.mark.hw

BOARDS = ("virtual-esp32c3", "virtual-stm32f405")


@pytest.fixture
def demo(tmp_path, capfd):
    """``demo(*options)``: exit code and output."""

    def run(*options: str) -> tuple[int, str]:
        code = main(["demo", "--log-dir", str(tmp_path), *options])
        return code, capfd.readouterr().out

    return run


def rows(output: str) -> list[list[str]]:
    """The table's lines as cells."""
    return [re.split(r" {2,}", line.strip()) for line in output.splitlines() if line.startswith("digits ")]


def test_all_digits_on_all_boards_in_all_configurations_are_bit_exact(demo) -> None:
    code, output = demo()
    assert code == 0
    table = rows(output)
    assert [(row[1], row[2]) for row in table] == [
        (config.id, board) for board in BOARDS for config in CONFIGURATIONS
    ]
    for model, _, _, *scores, samples, exact, instructions, estimated, arena, image in table:
        assert (model, exact) == ("digits", "yes")
        assert int(samples) == 540
        assert all(float(score.rstrip("%")) >= 97 for score in scores)
        assert 100_000 < int(instructions.replace(",", "")) < 2_000_000
        low, high = map(float, estimated.split("-"))
        assert 1 < low < high < 10
        assert arena.endswith("KiB")
        assert image.endswith("KiB")
    assert re.search(r"^10 of 10 bit-exact in \d+ s$", output, re.MULTILINE)


def test_a_broken_zero_point_fails_and_is_located_and_explained(demo) -> None:
    code, output = demo("--break", "zero-point", "--vectors", "20", "--boards", "virtual-esp32c3")
    assert code == 1
    assert [row[-5] for row in rows(output)] == ["NO"]
    assert "first diverging: operator 5 (CONV_2D)" in output
    assert "likely cause: input zero point -127 instead of -128" in output
    assert "0 of 1 bit-exact" in output


def test_ctrl_c_ends_it_at_once_with_130(tmp_path) -> None:
    script = "import sys; from pytest_quantcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-uc",
        script,
        "demo",
        "--boards",
        "virtual-esp32c3",
        "--log-dir",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "quantized networks" in process.stdout.readline()
        assert "bit-exact" in process.stdout.readline()  # the second network is on its way now
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=30)
        took = time.monotonic() - began
    assert process.returncode == 130
    assert errors == "quantcheck demo: interrupted\n"
    assert took < 10


def test_a_board_whose_tools_are_missing_is_named_and_the_others_go_on(tmp_path) -> None:
    script = (
        "import sys; sys.modules['pyocd'] = None; "  # as where it is not installed
        "from pytest_quantcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "demo", "--vectors", "3", "--log-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {row[2] for row in rows(done.stdout)} == {"virtual-esp32c3"}
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("virtual-stm32f405: not here: ")]
    assert "pip install" in line
    named = subprocess.run([*command, "--boards", "virtual-stm32f405"], capture_output=True, timeout=120)
    assert named.returncode == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--boards", "virtual-esp32"],
            "board 'virtual-esp32' is not in the inventory; it has: virtual-esp32c3",
        ),
        (["--boards", BOARDS[0], BOARDS[0]], "--boards names virtual-esp32c3 more than once"),
        (["--vectors", "0"], "--vectors 0 is out of range; allowed: 1 to 540"),
    ],
)
def test_wrong_usage_ends_with_2(options, message, tmp_path, capfd) -> None:
    assert main(["demo", "--log-dir", str(tmp_path), *options]) == 2
    assert message in capfd.readouterr().err


def test_the_demo_can_be_drawn_as_a_picture(demo, tmp_path) -> None:
    picture = tmp_path / "demo.svg"
    code, output = demo("--boards", BOARDS[0], "--vectors", "5", "--svg", str(picture))
    assert code == 0
    assert "ran 5 of the digits, with the host's outputs on every one of them" in output
    drawn = picture.read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert "bit-exact" in drawn


def test_a_picture_that_cannot_be_written_is_a_usage_error(tmp_path, capfd) -> None:
    missing = tmp_path / "missing" / "demo.svg"
    assert main(["demo", "--log-dir", str(tmp_path), "--vectors", "1", "--svg", str(missing)]) == 2
    assert str(missing) in capfd.readouterr().err
